"""Small valid models with a linear model beside the network, for the golden files: of words, and of a series."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from models import WORDS, Parts, draw_tensors

from tidegate import cells, layers
from tidegate.document import assemble as document_of
from tidegate.features import ngrams
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.features.text import Tokenizer
from tidegate.features.vocabulary import Vocabulary
from tidegate.outputs import forecast, make_entry


def wide(H: int = 4, seed: int = 24) -> Parts:
    """Make a classifier of words with n-grams, and sums of them beside the network, that may answer nothing."""
    vocabulary = Vocabulary.learn({word.encode(): 1 for word in WORDS})
    words = [word.encode() for word in WORDS]
    pairs = [ngrams.hash_pair(b, ngrams.append_word(a)) for a, b in pairwise(words)]
    parts = [code for word in words[::2] for code in ngrams.hash_characters(word, 2, 3)]
    hashes = {"words": [*map(ngrams.hash_word, words), *pairs], "characters": parts}
    tables = {f"input.ngrams.{kind}": np.unique(np.array(codes, np.uint32)) for kind, codes in hashes.items()}
    names = {kind: f"input.ngrams.{kind}" for kind in hashes}
    source = {
        "kind": "text",
        "tokenizer": Tokenizer("word").to_json(),
        "vocabulary": {"bytes": "input.vocabulary.bytes", "offsets": "input.vocabulary.offsets"},
        "size": len(vocabulary),
        "ngrams": {"hash": ngrams.HASH, "characters": [2, 3], "tables": names},
    }
    builder, (of_words, of_characters) = layers.Builder(None), map(len, tables.values())
    most = ngrams.count_most(2, 3)
    builder.add("embed", ("x",), rows=len(vocabulary), size=5)
    builder.add("bag", ("x.characters",), rows=of_characters, size=3, most=most)
    builder.add("dense", size=5, activation="none", add=0)
    builder.recurrence(cells.load("gru"), H)
    builder.add("pool", over=["last", "mean", "max", "attention"])
    builder.add("running_bag", ("x.words",), rows=of_words, size=3, most=ngrams.WORDS)
    builder.add("running_bag", ("x.characters",), rows=of_characters, size=3, most=most)
    builder.add("dense", (4, 5, 6), size=3, activation="none")
    builder.add("softmax")
    labels, tensors = ["low", "high", "slack"], draw_tensors(builder.layers, seed)
    for layer in builder.layers[5:7]:
        tensors[layer.tensors["square"]] = np.abs(tensors[layer.tensors["square"]])
    outputs = {"label": {**make_entry(labels, "softmax"), "reject": {"score": "entropy", "threshold": 1.0}}}
    document = document_of("classify", {}, {"x": source}, builder.layers, outputs, {"seed": seed})
    data, offsets = vocabulary.arrays()
    return document, {**tensors, **tables, "input.vocabulary.bytes": data, "input.vocabulary.offsets": offsets}


def lagged(H: int = 4, seed: int = 25) -> Parts:
    """Make a forecaster of two columns with a linear map of their last steps beside the network."""
    transform = SeriesTransform(
        ("load", "wind"),
        ("target", "target"),
        mean=np.array([[60.0, 8.0]]),
        deviation=np.array([[12.0, 3.5]]),
        window=Window(6, segment=2),
        forecast=ForecastSpec(2, (0.1, 0.5, 0.9)),
    )
    source, arrays = transform.to_json()
    builder = layers.Builder(transform.features)
    builder.recurrence(cells.load("gru"), H)
    builder.add("pool", over=["last"])
    builder.add("dense", size=2 * 2 * 3, activation="none")
    builder.add("lags", ("x",), parts=2, columns=2, steps=3)
    builder.add("grouped", groups=2, size=2, times=3, add=2)
    outputs = {"forecast": {**forecast.make_entry(transform, "x"), "from": "layers.4"}}
    document = document_of("forecast", {}, {"x": source}, builder.layers, outputs, {"seed": seed})
    return document, {**draw_tensors(builder.layers, seed), **arrays}
