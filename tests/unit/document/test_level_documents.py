"""Documents of several graphs: what docs/format-levels.md says must hold, and the errors where it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from level_models import level_model, put
from tidegate.errors import ModelFileError
from tidegate.model import Model
from tidegate.verify import attach

MODEL = attach(level_model(days=True))


def test_each_graph_is_a_model_of_its_own() -> None:
    found = {name: (one.level, one.reads, list(one.model.outputs)) for name, one in MODEL.levels.items()}
    assert found == {
        "words": ("message", (), ["topic", "words.2"]),
        "talk": ("conversation", ("words.2", "speaker"), ["label", "talk.1"]),
        "days": ("customer", ("talk.1", "weather"), ["mood"]),
    }
    assert MODEL.first is MODEL.levels["words"].model
    assert MODEL.first.first is MODEL.first
    blocks = {name: one.model.state_bytes for name, one in MODEL.levels.items()}
    starts = {one["name"]: one["offset"] for one in MODEL.state_schema if one["name"].endswith("steps")}
    assert starts == {"steps": 0, "talk.steps": blocks["words"], "days.steps": blocks["words"] + blocks["talk"]}
    assert MODEL.state_bytes == sum(blocks.values())
    assert set(MODEL.document["check"]) == set(MODEL.levels)
    assert Model(MODEL.document, MODEL.tensors).weights_hash == MODEL.weights_hash


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("graphs.talk.clock", "x", "graphs.talk.clock: is 'x'; expected 'words.end'"),
        ("graphs.words.clock", "talk.end", "graphs.words.clock: is 'talk.end'; expected 'x'"),
        ("graphs.talk.level", "message", "graphs.talk.level: is 'message', as of a graph below; expected another word"),
        ("graphs.talk.level", None, "graphs.talk: the key 'level' is missing"),
        ("graphs.talk.nodes.0.from", ["speaker"], r"talk\[2\].from: reads words.2, speaker; expected all that"),
        ("graphs.talk.nodes.0.from", ["words.9", "speaker"], "reads words.2, speaker; expected all"),
        ("graphs.days.nodes.0.from", ["weather"], "graphs.days: reads no node of 'talk', at whose end it ticks"),
        ("graphs.days.nodes.0.from", ["talk.1"], "inputs.weather: no node of 'days' reads it; remove it"),
        ("graphs.days.nodes.0.from", ["words.2", "weather"], "graphs.days: reads 'words.2'; expected 'talk.0' to"),
        ("inputs.weather.clock", "words", "inputs.weather.clock: is 'words'; expected one of talk, days"),
        (
            "inputs.weather",
            {"kind": "ids", "size": 5, "clock": "days"},
            "a side input is one row of numbers, or a name",
        ),
        ("inputs.speaker.size", 65, "inputs.speaker.size: is 65; expected an integer of 1 to 64"),
        ("outputs.more", {"from": "evening.2"}, "outputs.more.from: is 'evening.2'; expected a node of a graph"),
        ("state.bytes", 8, "state.bytes: is 8; the layers need"),
        ("check.talk", None, "check: the key 'talk' is missing"),
    ],
)
def test_what_does_not_hold_is_refused(place: str, value: Any, message: str) -> None:
    document = json.loads(json.dumps(MODEL.document))
    put(document, place, value)
    with pytest.raises(ModelFileError, match=message):
        Model(document, MODEL.tensors)
