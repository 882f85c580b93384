"""Six thousand documents changed at random: each is valid or refused in one sentence, never with a traceback."""

import copy
import random
import runpy
from pathlib import Path

import pytest

from tidegate.document import validate
from tidegate.errors import ModelFileError

MODELS = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "models.py"))
NUMBERS = [None, True, False, 0, 1, -1, 2, 8, 10**19, 0.5, 1e-5]
TEXTS = ["", "a", "gru", "H", "check.1.output", "layers.1.W", "-inf", "text", "embed", "pool", "recurrent"]
NESTED = [[], {}, [1], ["H"], ["a", "b"], {"a": 1}, [[]], [{}], ["H", "H", "H"]]


def list_paths(value, path=()):
    """Yield the path of every value inside, outermost first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from list_paths(inner, (*path, key))


def change_document(document, rng):
    document = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 2, 3])):
        *keys, last = rng.choice(list(list_paths(document)))
        inner = document
        for key in keys:
            inner = inner[key]
        if rng.random() < 0.2:
            del inner[last]
        else:
            inner[last] = copy.deepcopy(rng.choice(NUMBERS + TEXTS + NESTED))
    return document


@pytest.mark.parametrize("name", ["classifier", "forecaster", "seasonal", "stations", "attentive"])
def test_a_changed_document_is_valid_or_one_sentence(name):
    document, tensors = MODELS["with_empty_check"](MODELS[name]())
    rng = random.Random(1)
    answers = [find_refusal(change_document(document, rng), tensors) for _ in range(1500)]
    refused = [sentence for sentence in answers if sentence is not None]
    assert max(map(len, refused)) < 700
    assert 1300 < len(refused) < 1500


def find_refusal(document, tensors):
    try:
        validate(document, tensors)
    except ModelFileError as error:
        return str(error)
    return None
