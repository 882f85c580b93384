"""Texts whose steps have the ids of a word and of its features: whole, in pieces, in a pool, and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError
from tidegate.model import Model
from tidegate.runtime import Predictor, State
from tidegate.tasks._messages import Messages, build_input_and_ids
from tidegate.tasks.classify import Options
from tidegate.verify import attach
from tidegate.verify.samples import sample

FEATURES = ["prefix2", "prefix3"]  # what the sample has
TEXT = "What's my CASH balance, Größe 日本? cash"


def make(text: str = TEXT) -> tuple[Model, list[Any]]:
    """Return a model whose vocabulary is that of the text, and the ids of the text."""
    options = Options()
    words = options.tokenizer().plain().tokens(text.encode())
    (section, arrays, vocabulary, rates), ids = build_input_and_ids(options, [words, words], [words], FEATURES)
    assert section["features"] == FEATURES
    plain = sample(size=8, ids=3, over=("mean",))
    table = np.random.default_rng(0).standard_normal((len(vocabulary), 8)).astype(np.float32)
    document = {**plain.document, "inputs": {"x": section}}
    nodes = [dict(node) for node in document["graphs"]["layers"]["nodes"]]
    nodes[0]["rows"] = len(vocabulary)
    document["graphs"] = {"layers": {**document["graphs"]["layers"], "nodes": nodes}}
    weights = {n: v for n, v in plain.tensors.items() if not n.startswith("vocabulary.")}
    return attach(Model(document, {**weights, **arrays, "layers.0.weight": table})), [ids[0], vocabulary, rates]


def test_a_vocabulary_has_features_that_occur_twice() -> None:
    _, (ids, vocabulary, rates) = make()
    assert ids.shape == (12, 3)
    assert ids.dtype == np.int32
    assert ids.all()  # both training rows are this text
    assert b"cas " in vocabulary
    assert b"ca " in vocabulary
    assert rates[vocabulary.ids([b"cas "])[0]] == 0
    assert rates[vocabulary.ids([b"cash"])[0]] > 0


def test_hidden_words_keep_their_features() -> None:
    _, (ids, _, rates) = make()
    rows = Messages([ids] * 20, "label", np.zeros(20), np.maximum(rates, 0.5 * (rates > 0)).astype(np.float32))
    hidden = rows.batch(np.arange(20), np.random.default_rng(0)).inputs["x"].reshape(20, *ids.shape)
    assert 0 < (hidden[..., 0] == 0).mean() < 1
    assert (hidden[..., 1:] == ids[:, 1:]).all()


def test_pieces_give_the_bits_of_the_whole(tmp_path: Path) -> None:
    model, _ = make()
    model.save(tmp_path / "m.safetensors")
    predictor = Predictor(Model.load(tmp_path / "m.safetensors"))
    (expected,) = predictor.answers([TEXT])
    for size in (1, 3, 100):
        stream, data = predictor.stream(), TEXT.encode()
        for at in range(0, len(data), size):
            stream.push(data[at : at + size])
            saved, stream = stream.state.to_bytes(), predictor.stream()
            stream.restore(State.from_bytes(saved))
        assert stream.end().values.tobytes() == expected.values.tobytes()


def test_a_pool_takes_rows_of_ids() -> None:
    model, (ids, _, _) = make()
    predictor = Predictor(model)
    pool = predictor.pool()
    for row in ids:
        scores = pool.step(["a", "b"], np.stack([row, row]))
    (expected,) = predictor.answers([TEXT])
    assert scores[1].tobytes() == expected.values.tobytes()
    pool.push([("c", TEXT, True)])
    answers = pool.push([("d", TEXT[:9]), ("d", TEXT[9:], True)])
    assert answers[-1].values.tobytes() == expected.values.tobytes()
    with pytest.raises(DataError, match=r"integers of shape \[n, 3\]; int32 of shape \[12\] was given"):
        pool.step(list(range(12)), ids[:, 0])
