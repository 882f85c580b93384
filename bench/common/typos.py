"""Texts with one mistake of typing each, and how much a classifier loses by them."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

WORD: Final = re.compile(r"[^\W\d_]{4,}")  # shorter words are often others after a mistake: "to", "two", "too"
DRAWS: Final = 2000  # of the bootstrap

Right = npt.NDArray[np.bool_]


def add_typos(texts: Sequence[str], seed: int) -> list[str]:
    """Return the texts, each with a mistake in one of its words of at least four letters; as it is without such a word.

    >>> add_typos(["where is my card", "is it on"], 0)
    ['where is my carrd', 'is it on']
    """
    random = np.random.default_rng(seed)
    return [add_typo(text, random) for text in texts]


def add_typo(text: str, random: np.random.Generator) -> str:
    """Return a text with a random letter of a random word replaced, dropped, doubled or swapped with the next one."""
    words = list(WORD.finditer(text))
    if not words:
        return text
    word = words[random.integers(len(words))]
    changed = word[0]
    while changed == word[0]:  # two equal letters can be swapped, and a letter be replaced by itself
        at = int(random.integers(len(word[0])))
        changed = MISTAKES[random.integers(len(MISTAKES))](word[0], at, random)
    return text[: word.start()] + changed + text[word.end() :]


def replace(word: str, at: int, random: np.random.Generator) -> str:
    return word[:at] + string.ascii_lowercase[random.integers(26)] + word[at + 1 :]


def drop(word: str, at: int, random: np.random.Generator) -> str:
    return word[:at] + word[at + 1 :]


def double(word: str, at: int, random: np.random.Generator) -> str:
    return word[: at + 1] + word[at:]


def swap(word: str, at: int, random: np.random.Generator) -> str:
    """Swap a letter with the next one, the last letter with the one before."""
    at = min(at, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


MISTAKES: Final = (replace, drop, double, swap)


def measure_loss(before: Right, after: Right, other: tuple[Right, Right] | None = None) -> dict[str, Any]:
    """Return how many points of accuracy are lost, and the interval that holds 95 % of bootstrap draws of the rows.

    before, after: whether each row is right without and with its typo, [n]. other: those of another classifier, whose
    loss is subtracted. A draw takes rows with all that belongs to them (paired bootstrap, Efron and Tibshirani 1993).

    >>> right = np.array([True, True, True, False])
    >>> measure_loss(right, np.array([True, True, False, False]))
    {'lost': 25.0, 'interval': [0.0, 75.0]}
    """
    points = 100.0 * (before.astype(float) - after)
    if other is not None:
        points -= 100.0 * (other[0].astype(float) - other[1])
    random = np.random.default_rng(0)
    means = [points[random.integers(len(points), size=len(points))].mean() for _ in range(DRAWS)]
    return {"lost": float(points.mean()), "interval": [float(edge) for edge in np.percentile(means, [2.5, 97.5])]}
