"""The exported C of a model with several graphs: connected as its headers say, it has the bits of a stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from level_models import level_model
from tidegate.runtime import Predictor
from tidegate.verify.c_target import build_library, find_compiler

COMMAND = find_compiler()
TALK = [("what is my card", "ann"), ("how much", "bob"), ("i lost it ?", "ann"), ("日 本", "eve"), ("pin", "bob")]


def speaker_row(names: list[str], name: str) -> Any:
    """Return the numbers of a speaker, as docs/format-levels.md defines them, and count the name."""
    if name not in names and len(names) < 2:
        names.append(name)
    return np.eye(3, dtype=np.float32)[names.index(name) if name in names else 2]


@pytest.mark.skipif(COMMAND is None, reason="no C compiler here")
@pytest.mark.parametrize("ahead", [0, 1])
def test_the_c_of_both_graphs_has_the_bits_of_base(ahead: int) -> None:
    model = level_model(ahead=ahead)
    predictor, names = Predictor(model, target="base", threads=1), list[str]()
    stream = predictor.stream()
    (words, _), (talk, reads) = ((one.model, one.reads) for one in model.levels.values())
    part, label = words.outputs[reads[0]].part, talk.outputs["label"]
    with build_library(words, COMMAND) as of_words, build_library(talk, COMMAND) as of_talk:
        state = of_talk.initial_state()
        for text, speaker in TALK:
            expected: Any = stream.push(text, end=True, sides={"speaker": speaker})
            ids = model.inputs["x"].read_whole(text)[0].rows
            out, _ = of_words.run(of_words.initial_state(), ids)
            out, state = of_talk.run(state, np.concatenate([out[part], speaker_row(names, speaker)])[None])
            assert label.convert(out[None])[0].tobytes() == expected["label"].values.tobytes()
            assert state.tobytes() == stream.state.block[words.state_bytes :].tobytes()
