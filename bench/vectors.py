"""Measure how near each other the vectors of alike inputs are: learnt with labels, without, and from pairs.

Each encoder is trained with the default options on the official training split, written, and loaded again. A row of the
official test split counts as right if the training row whose vector is nearest by cosine has its label. Next to it:
tf-idf of words, and its truncated SVD with as many numbers as a vector has; for series their numbers, and their PCA.
The pairs of clinc150 are made of training rows of one intent, each row in one pair. multi30k has real ones, English
and German captions of a picture, of which the first `MOST_PAIRS` are learnt from; a test caption counts as right if its
translation is the nearest of all. Of swda, the first `MOST_TALKS` conversations are learnt from. Writes
bench/results/vectors.json and keeps its other entries.

    python bench/vectors.py clinc150 trec ecg5000 swda multi30k
    python bench/vectors.py trec --ways labels
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import fits, record
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

import tidegate
from tidegate.data import catalogue
from tidegate.data.dataset import File
from tidegate.data.folder import Folder
from tidegate.data.npz import read_npz
from tidegate.tasks._pairs import measure_ranks, rank_partners, unit
from tidegate.text_tables import format_table

SIZE = 64
MOST_PAIRS = 10_000
MOST_TALKS = 100
TEXTS, SERIES, TALK, PAIRS = ("clinc150", "trec"), ("ecg5000",), "swda", "multi30k"
MULTI30K = Folder(
    "multi30k_en_de",
    {
        "train.en": File("train.en", 1801238, "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6"),
        "train.de": File("train.de", 2110398, "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72"),
        "test.en": File(
            "test_2016_flickr.en", 62076, "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182"
        ),
        "test.de": File(
            "test_2016_flickr.de", 70649, "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16"
        ),
    },
)
Rows = tuple[list[Any], list[str]]  # texts or series, and the label of each


def main() -> None:
    parser = record.make_parser(__doc__)
    sets = [*TEXTS, *SERIES, TALK, PAIRS]
    parser.add_argument("sets", nargs="*", default=sets, help=f"data sets (default {' '.join(sets)})")
    parser.add_argument("--ways", nargs="+", help="what vectors are made from (default: all that a set has)")
    args = parser.parse_args()
    for name in args.sets:
        ways = WAYS[name]
        for way in args.ways or ways:
            store(args.out, name, {"way": way, **ways[way](name)})
    print(format_results(record.read(args.out, "vectors")))


def store(folder: Path, name: str, run: dict[str, Any]) -> None:
    """Write one run of a set, in the order of its ways, and keep its other runs and other sets."""
    known = record.read(folder, "vectors")
    former = known[name]["figures"]["runs"] if name in known else []
    runs = [*(one for one in former if one["way"] != run["way"]), run]
    runs.sort(key=lambda one: list(WAYS[name]).index(one["way"]))
    known[name] = record.with_provenance({"runs": runs}, "torch", "scikit-learn")
    known[name]["command"] = f"python bench/vectors.py {name}"  # which gives all of its runs
    record.write(folder, "vectors", {key: known[key] for key in sorted(known)})


# ---- vectors by tidegate


def encode(name: str, train: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Train an encoder, write and load it; return its predictor, and what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "model.safetensors")
        wall, cpu = time.perf_counter(), time.process_time()
        tidegate.fit("encode", train, out=out, size=SIZE, progress=fits.print_epochs(name), **options)
        spent = {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        return tidegate.load(out), {**spent, "numbers": SIZE, "bytes": os.path.getsize(out)}


def encoded(options: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Return the case of an encoder that reads the training file of a set as it is."""

    def run(name: str) -> dict[str, Any]:
        predictor, spent = encode(name, str(catalogue.fetch(name)["train"]), **options)
        return {**compare(name, lambda rows: vectors_of(predictor, rows)), **spent}

    return run


def encoded_from_pairs(name: str) -> dict[str, Any]:
    """Train on pairs of training rows of one label, drawn once."""
    texts, labels = load(name, "train")
    groups: dict[str, list[str]] = {}
    for i in np.random.default_rng(0).permutation(len(texts)).tolist():
        groups.setdefault(labels[i], []).append(texts[i])
    pairs = [pair for group in groups.values() for pair in zip(group[::2], group[1::2], strict=False)]
    order = np.random.default_rng(1).permutation(len(pairs)).tolist()
    with tempfile.TemporaryDirectory() as folder:
        predictor, spent = encode(name, write_pairs(folder, [pairs[i] for i in order]), text="first", pairs="second")
    return {**compare(name, lambda rows: vectors_of(predictor, rows)), **spent, "pairs": len(pairs)}


def encoded_talk(name: str) -> dict[str, Any]:
    """Train on messages in their conversations, and compare the vectors of conversations up to a message."""
    columns = ["text", "conversation", "turn", "speaker"]
    with tempfile.TemporaryDirectory() as folder:
        train = os.path.join(folder, "train.csv")
        with open(train, "w", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, columns, extrasaction="ignore")
            rows.writeheader()
            rows.writerows(read_talk(name, "train"))
        predictor, spent = encode(name, train, **{column: column for column in columns})
    found = {split: vectors_of_talk(predictor, read_talk(name, split)) for split in ("test", "train")}
    return {**compare(name, lambda rows: found["test" if len(rows) == len(found["test"]) else "train"]), **spent}


def vectors_of_talk(predictor: Any, rows: list[dict[str, str]]) -> Any:
    """Return the vector after each message, [messages, size]; the messages of a conversation follow each other."""
    talks: dict[str, list[Any]] = {}
    for row in rows:
        talks.setdefault(row["conversation"], []).append((row["text"], {"speaker": row["speaker"]}))
    found = [one for answers in predictor.answers(list(talks.values())) for one in answers]
    return np.stack([np.zeros(SIZE) if one.values is None else one.values for one in found])


def encoded_captions(name: str) -> dict[str, Any]:
    """Train on captions of one picture in two languages, and look for the translation of each test caption."""
    lines = read_captions()
    with tempfile.TemporaryDirectory() as folder:
        train = write_pairs(folder, list(zip(lines["train.en"], lines["train.de"], strict=True))[:MOST_PAIRS])
        predictor, spent = encode(name, train, text="first", pairs="second")
    return {**rank(lambda rows: vectors_of(predictor, rows)), **spent, "pairs": MOST_PAIRS}


def write_pairs(folder: str, pairs: list[tuple[str, str]]) -> str:
    path = os.path.join(folder, "pairs.csv")
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("first", "second"), *pairs])
    return path


def vectors_of(predictor: Any, rows: list[Any]) -> Any:
    """Return the vectors of texts or series, [n, size]; of zeros for an input without one."""
    found = [answer if not hasattr(answer, "keys") else answer["vector"] for answer in predictor.answers(rows)]
    return np.stack([np.zeros(SIZE) if one.values is None else one.values for one in found])


# ---- vectors by others


def tfidf(size: int | None = None) -> Callable[[str], dict[str, Any]]:
    """Return the case of tf-idf of words, or of its truncated SVD of this size, with scikit-learn's defaults."""

    def run(name: str) -> dict[str, Any]:
        table = TfidfVectorizer().fit(load(name, "train")[0])
        if size is None:
            return {**compare(name, table.transform), "numbers": len(table.vocabulary_)}
        svd = TruncatedSVD(size, random_state=0).fit(table.transform(load(name, "train")[0]))
        return {**compare(name, lambda rows: svd.transform(table.transform(rows))), "numbers": size}

    return run


def numbers(size: int | None = None) -> Callable[[str], dict[str, Any]]:
    """Return the case of the numbers of a series, one step after another, or of their PCA of this size."""

    def run(name: str) -> dict[str, Any]:
        train = flatten(load(name, "train")[0])
        if size is None:
            return {**compare(name, flatten), "numbers": train.shape[1]}
        pca = PCA(size, random_state=0).fit(train)
        return {**compare(name, lambda rows: pca.transform(flatten(rows))), "numbers": size}

    return run


def flatten(rows: list[Any]) -> Any:
    return np.stack([np.ravel(row) for row in rows])


def captions_by_characters(name: str) -> dict[str, Any]:
    """Compare captions by tf-idf of two to four characters, which names and related words of two languages share."""
    lines = read_captions()
    table = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))
    table.fit(lines["train.en"][:MOST_PAIRS] + lines["train.de"][:MOST_PAIRS])
    return {**rank(lambda rows: table.transform(rows).toarray()), "numbers": len(table.vocabulary_)}


# ---- figures


def compare(name: str, embed: Callable[[list[Any]], Any]) -> dict[str, Any]:
    """Return the share of test rows whose nearest training row, by cosine, has their label."""
    (train, known), (test, wanted) = load(name, "train"), load(name, "test")
    first, second = (normalise(embed(rows)) for rows in (test, train))
    nearest = [int(np.argmax(as_array(first[i : i + 1] @ second.T))) for i in range(len(test))]
    right = [known[k] == label for k, label in zip(nearest, wanted, strict=True)]
    return {"rows": len(test), "accuracy": float(np.mean(right))}


def normalise(vectors: Any) -> Any:
    """Return rows of length 1; those of tf-idf have it already."""
    return unit(vectors) if isinstance(vectors, np.ndarray) else vectors


def as_array(cosines: Any) -> Any:
    return cosines if isinstance(cosines, np.ndarray) else cosines.toarray()


def rank(embed: Callable[[list[str]], Any]) -> dict[str, Any]:
    """Return how often the translation of an English test caption is the nearest German one, and its mean rank."""
    lines = read_captions()
    english, german = (embed(lines[f"test.{language}"]) for language in ("en", "de"))
    order = np.arange(len(english))
    ranks = measure_ranks(rank_partners(english, german, order, order + len(order)))
    return {"rows": len(order), "accuracy": ranks["recall_at_1"], "reciprocal_rank": ranks["mean_reciprocal_rank"]}


def load(name: str, split: str) -> Rows:
    """Read the rows and the labels of a split of a public set."""
    path = catalogue.fetch(name)[split]
    if name in SERIES:
        arrays = read_npz(path.read_bytes(), str(path))
        return [row[:, None] if row.ndim == 1 else row for row in arrays["x"]], [str(y) for y in arrays["y"]]
    if name == TALK:
        rows = read_talk(name, split)
    else:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def read_talk(name: str, split: str) -> list[dict[str, str]]:
    """Read the messages of a split, of the training split those of its first conversations."""
    with catalogue.fetch(name)[split].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = list(dict.fromkeys(row["conversation"] for row in rows))[:MOST_TALKS]
    return [row for row in rows if row["conversation"] in chosen] if split == "train" else rows


def read_captions() -> dict[str, list[str]]:
    return {name: data.decode().splitlines() for name, data in MULTI30K.fetch(lambda _: None).items()}


def format_results(results: dict[str, Any]) -> str:
    rows = [
        [name, run["way"], f"{run['accuracy']:.4f}", run["numbers"], f"{run.get('cpu_seconds', 0):.0f}"]
        for name, entry in results.items()
        for run in entry["figures"]["runs"]
    ]
    return format_table(["set", "vectors from", "nearest is right", "numbers", "seconds a fit"], rows, left=2)


OF_TEXTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "labels": encoded({"label": "label"}),
    "no labels": encoded({}),
    "no labels, --own-words 1": encoded({"own_words": 1.0}),
    "tf-idf": tfidf(),
    "tf-idf and SVD": tfidf(SIZE),
}
WAYS: dict[str, dict[str, Callable[[str], dict[str, Any]]]] = {
    "clinc150": {**OF_TEXTS, "pairs": encoded_from_pairs},
    "trec": OF_TEXTS,
    "ecg5000": {
        "labels": encoded({"label": "y", "layout": "rows"}),
        "no labels": encoded({"layout": "rows"}),
        "the numbers": numbers(),
        "PCA": numbers(SIZE),
    },
    TALK: {
        "no labels, in conversations": encoded_talk,
        "tf-idf": tfidf(),
        "tf-idf and SVD": tfidf(SIZE),
    },
    PAIRS: {"pairs": encoded_captions, "tf-idf of characters": captions_by_characters},
}


if __name__ == "__main__":
    main()
