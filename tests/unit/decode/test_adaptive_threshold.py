"""An adaptive threshold raises alarms as its definition says, alone and among other streams, and follows a drift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate import decode
from tidegate.decode.adaptive_threshold import AdaptiveThreshold
from tidegate.errors import ModelFileError

OPTIONS = {"on": 8.0, "off": 4.0, "least": 1, "wait": 5, "usual": 1.0, "share": 0.0, "most": 4.0}


def make(width: int = 1, **options: Any) -> AdaptiveThreshold:
    return AdaptiveThreshold("decoders.alarms", {"options": {**OPTIONS, **options}}, width)


@pytest.mark.parametrize("least", [1, 3])
def test_alarms_by_their_definition(least: int) -> None:
    decoder = make(least=least)
    scores = np.random.default_rng(least).exponential(4.0, (400, 1)).astype(np.float32)
    moments = decoder.decode(scores)
    alarms, active, number = decoder.find_alarms(moments), 0, 0
    for t, score in enumerate(scores[:, 0].tolist()):
        stays = active > 0 and (active < least or score >= 4.0)
        before, active = active, active + 1 if t >= 5 and (stays or score >= 8.0) else 0
        number += active == 1 and before == 0
        assert alarms[t] == bool(active)
        assert moments[t, 2] == number
    assert number > 5
    assert decoder.is_waiting(moments).tolist() == [True] * 5 + [False] * 395


def test_an_event_has_its_start_and_its_peak() -> None:
    decoder = make(width=2, wait=0)
    scores = np.array([[1, 0], [9, 1], [20, 2], [5, 3], [1, 4], [9, 5]], np.float32)
    moments = decoder.decode(scores)
    own, peak = decoder.split(moments[3])
    assert (own.steps, own.number, own.start, own.peak) == (4, 1, 1, 2)
    assert peak.tolist() == [20, 2]
    own, peak = decoder.split(moments[5])
    assert (own.number, own.start, own.peak, peak.tolist()) == (2, 5, 5, [9, 5])


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_streams_among_others_have_the_bits_of_one_alone(share: float) -> None:
    decoder, random = make(width=3, share=share, least=2), np.random.default_rng(1)
    scores = random.exponential(5.0, (200, 7, 3)).astype(np.float32)
    scores[50:60, 3] = np.nan
    scores[70, 4] = np.inf
    memory: Any = decoder.start(7)
    for row in scores:
        memory = decoder.update(memory, row).memory
    for i in range(7):
        alone = decoder.decode(scores[:, i])[-1]
        assert alone.tobytes() == memory["moment"][i].tobytes()


def test_the_threshold_follows_a_slow_drift_and_is_bounded() -> None:
    decoder = make(wait=0, share=0.01)
    slow = np.concatenate([np.full(500, 1.0), np.linspace(1.0, 7.5, 3000), np.full(1000, 7.5)])[:, None]
    moments = decoder.decode(slow.astype(np.float32))
    assert not decoder.find_alarms(moments).any()
    assert decoder.level(moments[400]) == 1.0
    assert 4.0 >= decoder.level(moments[-1]) > 3.9
    again = decoder.decode(np.concatenate([slow, [[20.0]]]).astype(np.float32))
    assert not decoder.find_alarms(again)[-1], "20 is less than 8 times the level"
    assert decoder.find_alarms(decoder.decode(np.concatenate([slow, [[50.0]]]).astype(np.float32)))[-1]


def test_an_event_moves_the_level_little() -> None:
    decoder = make(wait=0, share=0.001)
    scores = np.concatenate([np.full(300, 1.0), np.full(200, 1e6), np.full(10, 9.0)])[:, None].astype(np.float32)
    moments = decoder.decode(scores)
    assert decoder.find_alarms(moments)[300:].all()
    assert decoder.level(moments[-1]) < 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"on": 1}, "decoders.a.options.on: is 1; expected a number such as 0.5"),
        ({"on": 3.0}, "decoders.a.options.on: is 3.0; expected at least off"),
        ({"usual": 0.0}, "decoders.a.options.usual: is 0.0; expected a number above 0"),
        ({"share": 2.0}, "decoders.a.options.share: is 2.0; expected at most 1"),
        ({"most": 0.5}, "decoders.a.options.most: is 0.5; expected at least 1"),
        ({"least": 0}, "decoders.a.options.least: is 0; expected an integer of 1 to"),
        ({"wait": -1}, "decoders.a.options.wait: is -1; expected an integer of 0 to"),
    ],
)
def test_a_wrong_entry_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    entry = {"kind": "adaptive_threshold", "reads": "layers.0", "options": {**OPTIONS, **changes}}
    with pytest.raises(ModelFileError) as caught:
        decode.parse("decoders.a", entry, 2, {})
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(("at", "value"), [(0, 1.5), (2, -1.0), (5, np.nan), (7, np.inf)])
def test_a_memory_that_no_step_leaves_is_refused(at: int, value: float) -> None:
    decoder = make(width=2)
    memory = decoder.start(1)
    assert decoder.check(memory) == ""
    memory["moment"][0, at] = value
    assert decoder.check(memory).startswith("decoders.alarms.moment")
