"""Classifiers of texts with one face: a model file of tidegate, and scikit-learn's linear SVM on tf-idf."""

from __future__ import annotations

import os
import pickle
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

import tidegate

TIMED: Final = 500  # texts, whose words are pushed one by one

Floats = npt.NDArray[Any]


class TextModel(Protocol):
    """A fitted classifier: the labels of its scores, and how many CPU seconds the fit took."""

    labels: list[str]
    cpu_seconds: float

    def score(self, texts: Sequence[str]) -> Floats:
        """Return the score of each label of each text, [n, labels]."""

    def measure_costs(self, texts: Sequence[str]) -> dict[str, Any]:
        """Return what a word costs, and the bytes that are kept.

        us_a_word: CPU time, as a busy machine interrupts a model's milliseconds more often than another's microseconds.
        """


def is_right(model: TextModel, texts: Sequence[str], wanted: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return whether the label with the largest score is that of each text, [n]."""
    return np.array(model.labels)[model.score(texts).argmax(1)] == np.array(wanted)


def halve(text: str) -> str:
    """Return the first half of the words of a text, rounded up.

    >>> halve("what is my balance now"), halve("hello")
    ('what is my', 'hello')
    """
    words = text.split()
    return " ".join(words[: (len(words) + 1) // 2])


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """Return a value and the CPU seconds that it took."""
    start = time.process_time()
    return run(), time.process_time() - start


class Tidegate:
    """A model file. An answer without a label, beyond the threshold of the file, has scores all the same."""

    def __init__(self, path: str, cpu_seconds: float) -> None:
        self.predictor = tidegate.load(path, threads=1)
        self.labels, self.cpu_seconds, self.bytes = (
            list(self.predictor.labels or ()),
            cpu_seconds,
            os.path.getsize(path),
        )

    def score(self, texts: Sequence[str]) -> Floats:
        return np.stack([answer.values for answer in self.predictor.answers(list(texts))])

    def measure_costs(self, texts: Sequence[str]) -> dict[str, Any]:
        """Push the words of texts one by one, and compare the answers at half and at the end with those of texts."""
        texts = [text for text in texts[:TIMED] if text.split()]
        stream, seconds, halves, wholes, state = self.predictor.stream(), list[float](), [], [], 0
        for text in texts:
            words = text.split()
            for k, word in enumerate(words, 1):
                start = time.thread_time()
                answer = stream.push(f"{word} ")
                seconds.append(time.thread_time() - start)
                if k == (len(words) + 1) // 2:
                    halves.append(answer.values)
            state = max(state, stream.state.block.nbytes)
            wholes.append(stream.push("", end=True).values)
        for found, whole in ((halves, [halve(text) for text in texts]), (wholes, texts)):
            if not np.array_equal(np.stack(found), self.score(whole)):
                raise SystemExit("a stream of words answers otherwise than the text of these words")
        return {
            "us_a_word": 1e6 * statistics.median(seconds),
            "state_bytes": state,
            "bytes": self.bytes,
            "cpu_seconds": self.cpu_seconds,
        }


class LinearSVM:
    """A linear SVM on tf-idf of words, pairs of words and 2 to 5 characters, with scikit-learn's other defaults."""

    def __init__(self, texts: Sequence[str], labels: Sequence[str]) -> None:
        words, characters = TfidfVectorizer(ngram_range=(1, 2)), TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5))
        pipeline = make_pipeline(make_union(words, characters), LinearSVC(random_state=0))
        self.pipeline, self.cpu_seconds = timed(lambda: pipeline.fit(texts, labels))
        self.labels = [str(label) for label in pipeline.classes_]

    def score(self, texts: Sequence[str]) -> Floats:
        scores = np.asarray(self.pipeline.decision_function(list(texts)))
        return scores if scores.ndim == 2 else np.stack([-scores, scores], 1)

    def measure_costs(self, texts: Sequence[str]) -> dict[str, Any]:
        """Read the text so far again at each word, as it has no state but the text. bytes: pickled."""
        seconds, most = list[float](), 0
        for text in texts[:TIMED]:
            words = text.split()
            for k in range(1, len(words) + 1):
                start = time.thread_time()
                self.pipeline.decision_function([" ".join(words[:k])])
                seconds.append(time.thread_time() - start)
            most = max(most, len(text.encode()))
        return {
            "us_a_word": 1e6 * statistics.median(seconds),
            "state_bytes": most,
            "bytes": len(pickle.dumps(self.pipeline, pickle.HIGHEST_PROTOCOL)),
            "cpu_seconds": self.cpu_seconds,
        }
