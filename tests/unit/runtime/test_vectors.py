"""`Predictor.vectors`: the vectors of whole inputs, block by block, with a row of NaN where there is none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError, OptionError
from tidegate.model import Model
from tidegate.outputs.vector import Vector, VectorOutput
from tidegate.runtime import Predictor, vectors
from tidegate.runtime.vectors import collect_vectors
from tidegate.verify.samples import sample

OUTPUT = VectorOutput("vector", {"kind": "vector", "at": "end"}, 2)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """A model of texts whose recurrence gives the vector, and which has labels, too."""
    model = sample(size=4)
    document: Any = json.loads(json.dumps(model.document))
    document["outputs"]["vector"] = {"kind": "vector", "at": "end", "from": "layers.1"}
    return Predictor(Model(document, model.tensors), threads=1)


def test_they_are_those_of_the_answers_in_any_blocks(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [" ".join(["card", "pin", "what", "is"][: 1 + i % 4]) if i != 5 else " " for i in range(9)]
    wanted = [answer["vector"] for answer in predictor.answers(rows)]
    for block in (4096, 2, 1):
        monkeypatch.setattr(vectors, "BLOCK", block)
        found = predictor.vectors(rows)
        assert (found.dtype, found.shape) == (np.float32, (9, len(wanted[0].values)))
        assert np.isnan(found[5]).all()
        for i in {*range(9)} - {5}:
            assert found[i].tobytes() == wanted[i].values.tobytes()
        with pytest.raises(DataError, match="^text 7: "):  # its number among all, not in its block
            predictor.vectors([*rows[:7], 3])
    assert predictor.vectors([]).shape == (0, len(wanted[0].values))


def test_one_text_and_other_numbers_of_times_are_refused(predictor: Predictor) -> None:
    with pytest.raises(DataError, match="vectors takes a list of texts; put the text in a list"):
        predictor.vectors("what")
    with pytest.raises(DataError, match="there are 2 inputs and 1 series; give one for each input"):
        predictor.vectors(["what", "is"], series=["a"])


def test_a_model_without_vectors_says_so() -> None:
    with pytest.raises(OptionError, match="this model gives no vectors; train one that does with tidegate fit encode"):
        Predictor(sample(size=4), threads=1).vectors(["what"])


def test_conversations_have_a_list_unless_all_are_single_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number stands for an input: a message, or as many messages as it says."""
    monkeypatch.setattr(vectors, "BLOCK", 2)

    def answer(rows: list[int], times: Any, series: Any, first: int) -> list[Any]:
        one = Vector(np.array([first, 1], np.float32))
        return [one if not n else [one] * n for n in rows]

    assert collect_vectors(answer, OUTPUT, [0, 0, 0], None, None).tolist() == [[0, 1], [0, 1], [2, 1]]
    mixed = collect_vectors(answer, OUTPUT, [0, 0, 3, 0, 1], None, None)
    assert [one.shape for one in mixed] == [(2,), (2,), (3, 2), (2,), (1, 2)]
    assert [one.ravel()[0] for one in mixed] == [0, 0, 2, 2, 4]
    assert collect_vectors(answer, OUTPUT, [], None, None).shape == (0, 2)
