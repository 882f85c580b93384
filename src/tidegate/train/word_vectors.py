"""The first values of an embedding from a file of word vectors: `--vectors`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..data import word_vectors
from ..errors import DataError, OptionError
from ..layers import INPUT, Layer
from ..model import Model
from ..tasks.base import Frozen

DEVIATION: Final = 0.3  # of the numbers of the first values; docs/training.md says how it was chosen


class FirstRows(NamedTuple):
    """What an embedding takes over from a file.

    tensors: its table. frozen: the rows that were found. entry: of the provenance. note: a sentence about it.
    """

    tensors: dict[str, npt.NDArray[np.float32]]
    frozen: dict[str, Frozen]
    entry: dict[str, Any]
    note: str


def choose_width(options: Any) -> Any:
    """Return the options with an embedding as wide as the vectors, if there are any.

    Raises DataError for a file that holds no vectors, OptionError where both widths differ.
    """
    path = getattr(options, "vectors", None)
    if path is None:
        return options
    width = word_vectors.read_width(path)
    if options.embed not in (None, width):
        raise OptionError(
            f"{path}: its vectors have {width:,} numbers, and --embed is {options.embed:,}; leave --embed out, or give "
            "vectors of that width"
        )
    return replace(options, embed=width)


def decide_freezing(options: Any) -> Any:
    """Return the options with the number of epochs that leave the vectors as they are; the default is a third."""
    if options.freeze_vectors is not None:
        return options
    return replace(options, freeze_vectors=max(1, round(options.epochs / 3)))


def start_embedding(path: str, epochs: int, model: Model, seed: int) -> FirstRows:
    """Return the first values of the embedding of a model of texts: the vectors of a file, for words that it has.

    The vectors are scaled, so that their numbers deviate as those of an embedding that starts at random; other words
    start at random. epochs: how many leave the words that were found as they are. Raises DataError.
    """
    source, layer = model.inputs[INPUT], find_embedding(model)
    tokens = source.tokens
    if tokens is None or layer is None:
        raise OptionError(f"{path} has vectors of words, and this model reads {source.takes}; leave --vectors out")
    words = {token: i for i, token in enumerate(tokens) if token and b" " not in token}
    found = word_vectors.read_word_vectors(path, words, source.normalise)
    if not found.vectors:
        raise DataError(
            f"{path}: has none of the {len(words):,} words of the training rows; give vectors of the same language, "
            "and of words"
        )
    name, rows = layer.tensors["weight"], np.array([words[word] for word in found.vectors])
    vectors = np.stack(list(found.vectors.values()))
    table = np.random.default_rng([seed, 0x3EC7]).standard_normal((len(tokens), found.width)) * DEVIATION
    table[rows] = vectors * (DEVIATION / max(float(vectors.std()), 1e-30))
    is_found = np.zeros(len(tokens), bool)
    is_found[rows] = True
    entry = {
        "file": os.path.basename(path),
        "sha256": found.sha256,
        "width": found.width,
        "found": len(rows),
        "of": len(words),
    }
    note = f"vectors: {len(rows):,} of {len(words):,} words found ({100 * len(rows) / len(words):.1f} %)"
    if found.repeated:
        note += f"; {found.repeated:,} stand in the file more than once, and the first one counts"
    return FirstRows({name: table.astype(np.float32)}, {name: Frozen(is_found, epochs)}, {"vectors": entry}, note)


def find_embedding(model: Model) -> Layer | None:
    """Return the layer that looks up the tokens of a model's input; None if there is none."""
    found = (layer for layer in model.first.layers if layer.vocabulary_size and layer.use("weight") == "table")
    return next(found, None)
