"""Models with a graph that a decoder drives, with random weights: a reply to a message, written word by word."""

from __future__ import annotations

from typing import Any

import numpy as np

from level_models import NAMES, SPEAKER, rename
from tidegate import cells
from tidegate.document import assemble_levels
from tidegate.document.levels import GraphPlan
from tidegate.features.text import Tokenizer, Vocabulary
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.outputs import make_entry
from tidegate.verify.samples import WORDS, random_tensor

REPLY = ["<begin>", "<end>", "yes", "no", "maybe", "tomorrow", "at", "noon"]


def driven_model(
    seed: int = 0,
    talk: bool = False,
    topic: bool = True,
    both: bool = False,
    heads: int = 2,
    most: int = 20,
    history: int = 0,
    width: int = 3,
    longest: int = 12,
    penalty: float = 0.6,
    decoder: dict[str, Any] | None = None,
) -> Model:
    """Return a model that answers a message with tokens.

    talk: the reply depends on the conversation so far and on who speaks. topic: the words have an output of their own.
    both: the words are read in both directions, at the end. heads, most: of the attention to the words. history: how
    many messages are attended to, if there is a conversation; 0: none. width, longest, penalty: of the beam search.
    decoder: another entry of the decoder.
    """
    random = np.random.default_rng(seed)
    size, D = len(WORDS) + 1, 8
    words = Builder(None)
    words.add("embed", rows=size, size=6)
    words.recurrence(cells.load("gru"), 4 if both else 8, both=both)
    words.add("dense", size=2 * D, activation="none")
    words.add("pool", over=["last", "mean"], sources=(1,))
    plans = {"words": GraphPlan("message", words.layers)}
    inputs: dict[str, Any] = {
        "x": {"kind": "text", "tokenizer": Tokenizer("word").to_json(), "vocabulary": NAMES, "size": size},
        "previous": {"kind": "ids", "size": len(REPLY), "clock": "reply"},
    }
    summary, wide = "words.3", 16
    if talk:
        builder = Builder(16 + 3)
        builder.recurrence(cells.load("lstm"), 10)
        builder.add("dense", size=2 * D, activation="none")
        plans["talk"] = GraphPlan("conversation", rename(builder, "talk"), ("words.3", "speaker"))
        inputs["speaker"] = SPEAKER
        summary, wide = ("talk.0", 10)
    reply = Builder(None)
    reply.add("embed", rows=len(REPLY), size=5)
    reply.add("given", size=wide)
    reply.recurrence(cells.load("gru"), 9)
    reply.add("cross_attend", size=D, heads=heads, most=most)
    reads, readers = [summary, "words.2"], [1, 3]
    sources = [2, 3]
    if talk and history:
        reply.add("cross_attend", size=D, heads=1, most=history, sources=(2,))
        reads, readers, sources = [*reads, "talk.1"], [*readers, 4], [2, 3, 4]
    reply.add("dense", size=len(REPLY), activation="none", sources=tuple(sources))
    last = len(reply.layers) - 1
    plans["reply"] = GraphPlan("", rename(reply, "reply"), tuple(reads), "beam", tuple(readers))
    options = {"begin": 0, "end": 1, "width": width, "most": longest, "length_penalty": penalty}
    entry = decoder or {"kind": "beam", "options": options}
    decoders = {"beam": {**entry, "reads": f"reply.{last}", "drives": "reply", "feeds": "previous"}}
    outputs: dict[str, Any] = {"reply": {"kind": "tokens", "from": "beam", "at": "end", "labels": REPLY}}
    if topic:
        outputs["topic"] = {**make_entry(None, ""), "from": "words.3"}
    if talk and not history:
        outputs["mood"] = {**make_entry(None, ""), "from": "talk.1"}
    data, offsets = Vocabulary.learn({word.encode(): 1 for word in WORDS}).arrays()
    tensors: dict[str, Any] = {NAMES["bytes"]: data, NAMES["offsets"]: offsets}
    for plan in plans.values():
        for layer in plan.layers:
            for role, shape in layer.shapes().items():
                fixed = layer.use(role) == "fixed"
                tensors[layer.tensors[role]] = (
                    layer.init(random, role, {}) if fixed else random_tensor(random, layer, role, shape)
                )
    head = plans["reply"].layers[last].tensors
    tensors[head["weight"]] *= 4  # else all replies are the same
    tensors[head["bias"]][1] -= 1
    return Model(assemble_levels("translate", {}, inputs, plans, outputs, {}, decoders), tensors)
