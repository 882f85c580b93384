"""Documents of graphs that decoders drive: what docs/format-levels.md says must hold, and the errors else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from driven_models import driven_model
from level_models import put
from tidegate.document.driven import check_memories
from tidegate.document.upgrade import upgrade
from tidegate.errors import ModelFileError
from tidegate.layers import Outside
from tidegate.model import Model
from tidegate.verify import attach

MODEL = attach(driven_model(talk=True, history=4))


def test_a_driven_graph_is_a_model_of_its_own() -> None:
    graph = MODEL.driven["reply"]
    assert (graph.level, graph.decoder) == ("", "beam")
    assert dict(zip(graph.readers, graph.reads, strict=True)) == {1: "talk.0", 3: "words.2", 4: "talk.1"}
    assert list(MODEL.graphs) == ["words", "talk", "reply"]
    assert MODEL.memories == {"words.2": Outside(16, 20), "talk.1": Outside(16, 4)}
    assert set(MODEL.document["check"]) == {"words", "talk", "reply"}
    blocks = [one.model.state_bytes for one in MODEL.levels.values()]
    assert MODEL.state_bytes == sum(blocks)  # what a driven graph remembers ends with what it writes
    again = Model(MODEL.document, MODEL.tensors)
    assert (again.weights_hash, again.schema_hash) == (MODEL.weights_hash, MODEL.schema_hash)
    assert driven_model(talk=True, history=5).schema_hash != MODEL.schema_hash
    assert upgrade(MODEL.document) == MODEL.document


VALUES = {"kind": "values", "at": "step", "labels": None, "from": "beam"}
BEAM, REPLY = "decoders.beam", "graphs.reply"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (f"{REPLY}.clock", "decoder.other", "graphs.reply.clock: is 'decoder.other'; no decoder has this name"),
        (f"{REPLY}.clock", "x", "graphs.reply: the key 'level' is missing"),
        (f"{REPLY}.level", "word", "graphs.reply: unknown key 'level'"),
        (f"{BEAM}.drives", "talk", "decoders.beam.drives: is 'talk'; expected 'reply'"),
        (f"{BEAM}.drives", None, "decoders.beam.drives: is None; expected 'reply'"),
        (f"{BEAM}.feeds", "x", "decoders.beam.feeds: is 'x'; expected the name of an input whose clock is 'reply'"),
        (f"{BEAM}.feeds", "speaker", "reads 'previous'; expected 'speaker', earlier nodes, or one of"),
        (f"{BEAM}.reads", "talk.0", "decoders.beam.reads: is 'talk.0'; expected one of 'layers.0' to 'layers.5'"),
        (f"{BEAM}.options.end", 8, "decoders.beam.options.end: is 8; expected an integer of 0 to 7"),
        (f"{BEAM}.options.width", 65, "decoders.beam.options.width: is 65; expected an integer of 1 to 64"),
        (f"{BEAM}.options.most", 0, "decoders.beam.options.most: is 0; expected an integer of 1 to 65536"),
        (f"{BEAM}.options.length_penalty", 1, "length_penalty: is 1; expected a number from 0.0 to 10.0"),
        (f"{BEAM}.options.length_penalty", None, "decoders.beam.options: the key 'length_penalty' is missing"),
        (
            "decoders.more",
            {"kind": "beam", "drives": "talk"},
            "decoders.more.drives: is 'talk'; expected a graph",
        ),
        ("decoders.more", {"kind": "bio", "reads": "day.1"}, "decoders.more.reads: is 'day.1'; expected a node of a"),
        (
            "decoders.talk",
            {},
            "decoders: has the name 'talk'; expected letters, digits and _, not the name",
        ),
        ("inputs.previous.size", 9, "rows: is 8; it must be equal to the size of inputs.x, 9"),
        ("inputs.previous.clock", "talk", "inputs: none has the clock 'reply'; expected 'previous' alone"),
        ("inputs.previous.clock", "words", "inputs.previous.clock: is 'words'; expected one of talk, reply"),
        (f"{REPLY}.nodes.1.from", [0], r"reply\[1\].from: given needs a node of another graph at the end"),
        (f"{REPLY}.nodes.1.from", [0, "words.9"], r"reply\[1\].from: reads 'words.9'; expected 'previous', earlier"),
        (f"{REPLY}.nodes.1.from", ["talk.0", 0], r"expected 'talk.0' behind what the node reads of its own graph"),
        (f"{REPLY}.nodes.1.from", [0, "words.3"], r"reply\[1\].from: words.3 is 16 wide; given reads 10 numbers"),
        (f"{REPLY}.nodes.1.from", [0, "talk.0", "talk.0"], "reads talk.0, talk.0; expected one node of another graph"),
        (
            f"{REPLY}.nodes.2.from",
            [1, "talk.0"],
            "reads 'talk.0' of another graph, which recurrent cannot; put",
        ),
        ("outputs.reply.from", "reply.5", "decoders.beam: 0 outputs read it by their key 'from'; expected one"),
        ("outputs.reply", VALUES, "outputs.reply.from: decoders.beam gives the ids that it writes; an output of kind"),
        ("outputs.reply.labels", ["a"], "outputs.reply.labels: there are 1; the output has 8 numbers"),
        ("check.reply", None, "check: the key 'reply' is missing"),
    ],
)
def test_a_wrong_document_is_refused_in_a_sentence(place: str, value: Any, message: str) -> None:
    document = MODEL.document
    put(document, place, value)
    with pytest.raises(ModelFileError, match=message):
        Model(document, MODEL.tensors)


def test_a_memory_has_a_limit() -> None:
    document = driven_model().document
    put(document, f"{REPLY}.nodes.3.most", 4097)
    with pytest.raises(ModelFileError, match="most is 4097; expected an integer of 1 to 4096"):
        Model(document, driven_model().tensors)


def test_decoders_of_several_graphs_decide_at_once() -> None:
    model = driven_model(talk=True)
    document, roles = model.document, {"transitions": (16, 16), "start": (16,), "end": (16,)}
    names = {role: f"path.{role}" for role in roles}
    viterbi = {"kind": "viterbi", "reads": "words.3", "tensors": names, "options": {"look_ahead": 2}}
    tags = {"kind": "tags", "from": "path", "at": "step", "scores": "logits", "scheme": None}
    put(document, "decoders.path", viterbi)
    put(document, "outputs.topic", {**tags, "labels": [f"t{k}" for k in range(16)]})
    more = {names[role]: np.zeros(shape, np.float32) for role, shape in roles.items()}
    with pytest.raises(ModelFileError, match=r"decoders\.path: decides later, which a model of several graphs cannot"):
        Model(document, {**model.tensors, **more})


def test_steps_that_start_anew_are_not_kept() -> None:
    check_memories({"words.2": Outside(16, 20)}, "")
    check_memories({"talk.1": Outside(16, 20)}, "words")
    with pytest.raises(
        ModelFileError, match=r"graphs\.words: its input starts anew for each answer, so its steps cannot"
    ):
        check_memories({"words.2": Outside(16, 20)}, "words")
