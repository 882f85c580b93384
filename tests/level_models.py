"""Models of several graphs with random weights: words tick a message, and messages tick a conversation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tidegate import cells
from tidegate.document import assemble_levels
from tidegate.document.levels import GraphPlan
from tidegate.features.text import Tokenizer, Vocabulary
from tidegate.layers import Builder, Layer
from tidegate.model import Model
from tidegate.outputs import make_entry
from tidegate.verify.samples import WORDS, random_tensor

TAGS = ["B-city", "B-day", "I-city", "I-day", "O"]
NAMES = {"bytes": "vocabulary.bytes", "offsets": "vocabulary.offsets"}
SPEAKER = {"kind": "category", "size": 3, "clock": "talk"}


def rename(builder: Builder, graph: str) -> list[Layer]:
    """Return the layers of a graph whose tensors have names of their own."""
    return [
        replace(one, tensors={role: name.replace("layers.", f"{graph}.") for role, name in one.tensors.items()})
        for one in builder.layers
    ]


def words_graph(ahead: int, both: bool) -> list[Layer]:
    """Embed, a recurrence, and its last and mean outputs; nodes 1 and 2, or one later if it looks ahead."""
    builder = Builder(None)
    builder.add("embed", rows=len(WORDS) + 1, size=6)
    if ahead:
        builder.add("conv", size=6, width=3, ahead=ahead, activation="tanh")
    builder.recurrence(cells.load("gru"), 4 if both else 8, both=both)
    if both:
        builder.add("final")
    builder.add("pool", over=["last", "mean"])
    return builder.layers


def level_model(
    seed: int = 0,
    speaker: bool = True,
    ahead: int = 0,
    both: bool = False,
    topic: bool = True,
    tags: bool = False,
    days: bool = False,
    over: tuple[str, ...] = ("last", "max"),
) -> Model:
    """Return a model of conversations, which says `label` of each message in its conversation.

    speaker: who speaks is a side input. ahead: how many words the graph of words looks ahead. both: it reads whole
    messages. topic: it gives an output itself. tags: the graph of messages tags them, by a scheme that it remembers.
    days: a third graph ticks at the end of a conversation, with a side input of two numbers, `weather`.
    """
    words = words_graph(ahead, both)
    last = len(words) - 1
    builder = Builder(words[last].width + (3 if speaker else 0))
    builder.recurrence(cells.load("lstm"), 10)
    builder.add("pool", over=list(over))
    builder.add("dense", size=5, activation="none", sources=(1, "x"))
    plans = {
        "words": GraphPlan("message", words),
        "talk": GraphPlan("conversation", rename(builder, "talk"), (f"words.{last}", *(["speaker"] * speaker))),
    }
    sides: dict[str, Any] = {"speaker": SPEAKER} if speaker else {}
    label = {**make_entry(list("abcde"), "logits"), "from": "talk.2"}
    outputs: dict[str, Any] = {"label": label}
    if tags:
        entry = {"kind": "tags", "at": "step", "labels": TAGS, "scores": "logits", "scheme": "bio", "from": "talk.2"}
        outputs["tags"] = entry
    if topic:
        outputs["topic"] = {**make_entry(None, ""), "from": f"words.{last - 1}"}
    if days:
        third = Builder(builder.layers[1].width + 2)
        third.recurrence(cells.load("gru"), 7)
        plans["days"] = GraphPlan("customer", rename(third, "days"), ("talk.1", "weather"))
        sides["weather"] = {"kind": "array", "features": 2, "clock": "days"}
        outputs["mood"] = {**make_entry(None, ""), "from": "days.0"}
    random = np.random.default_rng(seed)
    data, offsets = Vocabulary.learn({word.encode(): 1 for word in WORDS}).arrays()
    tensors: dict[str, Any] = {NAMES["bytes"]: data, NAMES["offsets"]: offsets}
    for plan in plans.values():
        for layer in plan.layers:
            for role, shape in layer.shapes().items():
                tensors[layer.tensors[role]] = random_tensor(random, layer, role, shape)
    text = {"kind": "text", "tokenizer": Tokenizer("word").to_json(), "vocabulary": NAMES, "size": len(WORDS) + 1}
    return Model(assemble_levels("classify", {}, {"x": text, **sides}, plans, outputs, {}), tensors)


def put(document: Any, place: str, value: Any) -> None:
    """Put a value at a place such as "graphs.talk.clock"; None removes it."""
    *path, last = place.split(".")
    for key in path:
        document = document[int(key)] if isinstance(document, list) else document[key]
    if value is None:
        del document[last]
    else:
        document[last] = value
