"""Small valid models of the current format, which the golden files, the attacks and the unit tests start from."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tidegate import cells, layers
from tidegate.document import assemble as document_of
from tidegate.document import assemble_levels
from tidegate.document.levels import GraphPlan
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.features.text import Tokenizer
from tidegate.features.vocabulary import Vocabulary
from tidegate.layers.program import load_file
from tidegate.model import Model
from tidegate.outputs import forecast, make_entry
from tidegate.runtime.offline import make_runner
from tidegate.runtime.state import make_initial
from tidegate.tape import Tape
from tidegate.verify.check import make_inputs
from tidegate.verify.held import fill_held

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Parts = tuple[dict[str, Any], dict[str, Any]]

WORDS = ("tide", "gate", "a", "the", "opens", "closes", "water", "flüsse", "潮")


def classifier(H: int = 8, seed: int = 1) -> Parts:
    """Make a classifier of text with three labels; document and tensors, check None."""
    vocabulary = Vocabulary.learn({word.encode(): 1 for word in WORDS})
    V, E = len(vocabulary), 5
    chain = [
        {"kind": "embed", "rows": V, "size": E},
        recurrent(E, H, "gru"),
        {"kind": "norm", "size": H, "eps": 1e-5},
        recurrent(H, H, "gru", add=2),
        {"kind": "pool", "size": H, "over": ["last", "mean", "max", "attention"]},
        {"kind": "dense", "inputs": 4 * H, "size": 3, "activation": "none"},
        {"kind": "softmax", "size": 3},
    ]
    source = {
        "kind": "text",
        "tokenizer": Tokenizer("word").to_json(),
        "vocabulary": {"bytes": "input.vocabulary.bytes", "offsets": "input.vocabulary.offsets"},
        "size": V,
    }
    tapes, labels = {"gru": cells.load("gru").tape}, ["low", "high", "slack"]
    document, tensors = assemble("classify", source, chain, tapes, labels, seed)
    tensors["input.vocabulary.bytes"], tensors["input.vocabulary.offsets"] = vocabulary.arrays()
    return document, tensors


def forecaster(H: int = 6, seed: int = 2) -> Parts:
    """Make a forecaster of one number from three numbers per step; document and tensors, check None."""
    chain = [
        {"kind": "dense", "inputs": 3, "size": H, "activation": "tanh"},
        recurrent(H, H, "gru", add=0),
        {"kind": "dense", "inputs": H, "size": 1, "activation": "none"},
    ]
    source = {"kind": "array", "features": 3}
    return assemble("forecast", source, chain, {"gru": cells.load("gru").tape}, None, seed)


def encoder(H: int = 6, P: int = 3, seed: int = 4) -> Parts:
    """Make a model of all cells in unusual dialects, over token ids; document and tensors, check None."""
    used = {
        "lstm": ("lstm", {"peepholes": "yes", "projection": "yes", "norm": "layer"}),
        "gru": ("gru", {"reset": "before", "update": "replace"}),
        "rnn": ("rnn", {"activation": "relu"}),
        "mingru": ("mingru", {"norm": "layer"}),
    }
    tapes = {name: cells.load(*selection).tape for name, selection in used.items()}
    chain: list[dict[str, Any]] = [{"kind": "embed", "rows": 7, "size": 4}]
    width = 4
    for name, (cell, dialect) in used.items():
        layer = recurrent(width, H, name) | {"dialect": cells.load(cell, dialect).dialect}
        width = P if tapes[name].has_projection else H
        chain.append(layer | ({"project": P} if tapes[name].has_projection else {}))
    chain.append({"kind": "conv", "inputs": H, "size": 2, "width": 3, "centred": False, "activation": "none"})
    return assemble("encode", {"kind": "ids", "size": 7}, chain, tapes, None, seed)


def tagger(H: int = 5, seed: int = 3) -> Parts:
    """Make a whole-window model with two outputs from three numbers per step; document and tensors, check None."""
    chain = [
        {"kind": "conv", "inputs": 3, "size": 2 * H, "width": 3, "centred": True, "activation": "relu"},
        {**recurrent(2 * H, H, "gru", add=0), "kind": "bidirectional"},
        {"kind": "conv", "inputs": 2 * H, "size": 2, "width": 2, "centred": False, "activation": "none"},
    ]
    source = {"kind": "array", "features": 3}
    return assemble("encode", source, chain, {"gru": cells.load("gru").tape}, None, seed)


def lookout(H: int = 5, seed: int = 9) -> Parts:
    """Make a model of words whose answers are three steps late; document and tensors, check None."""
    chain = [
        {"kind": "embed", "rows": 6, "size": 3},
        {"kind": "conv", "inputs": 3, "size": H, "width": 4, "ahead": 2, "activation": "relu"},
        recurrent(H, H, "gru", add=1),
        {"kind": "conv", "inputs": H, "size": 4, "width": 2, "ahead": 1, "activation": "none"},
        {"kind": "pool", "size": 4, "over": ["last", "mean", "max"]},
        {"kind": "dense", "inputs": 12, "size": 2, "activation": "none"},
    ]
    return assemble("encode", {"kind": "ids", "size": 6}, chain, {"gru": cells.load("gru").tape}, None, seed)


def finals(H: int = 4, seed: int = 8) -> Parts:
    """Make a classifier of token ids by the final states of both directions; document and tensors, check None."""
    chain = [
        {"kind": "embed", "rows": 6, "size": 3},
        {**recurrent(3, H, "gru"), "kind": "bidirectional"},
        {"kind": "final", "size": 2 * H},
        {"kind": "dense", "inputs": 2 * H, "size": 2, "activation": "none"},
        {"kind": "softmax", "size": 2},
    ]
    source = {"kind": "ids", "size": 6}
    return assemble("classify", source, chain, {"gru": cells.load("gru").tape}, ["ebb", "flood"], seed)


def listener(H: int = 4, seed: int = 10) -> Parts:
    """Make a tagger of token ids that reads whole messages, so that a stream keeps their steps; check None."""
    chain = [
        {"kind": "embed", "rows": 6, "size": 3},
        {**recurrent(3, H, "gru"), "kind": "bidirectional"},
        {"kind": "dense", "inputs": 2 * H, "size": 3, "activation": "none"},
    ]
    tags = {"kind": "tags", "at": "step", "labels": ["B-tide", "I-tide", "O"], "scores": "logits", "scheme": "bio"}
    tapes = {"gru": cells.load("gru").tape}
    return assemble("tag", {"kind": "ids", "size": 6}, chain, tapes, None, seed, {"tags": tags})


def seasonal(H: int = 5, seed: int = 5) -> Parts:
    """Make a forecaster with a window, a season, a calendar and a mask; document and tensors, check None."""
    transform = SeriesTransform(
        ("load", "temperature", "holiday"),
        ("target", "past", "known"),
        ("day", "week"),
        "mask",
        mean=np.array([[60.0, 11.5, 0.125]]),
        deviation=np.array([[12.0, 6.5, 0.25]]),
        window=Window(6, segment=3, season=4),
        forecast=ForecastSpec(2, (0.1, 0.5, 0.9)),
    )
    return series("forecast", transform, H, 2 * 3, None, seed)


def stations(H: int = 4, seed: int = 6) -> Parts:
    """Make an autoregressive forecaster of two series with their own statistics; document and tensors, check None."""
    transform = SeriesTransform(
        ("level",),
        ("target",),
        (),
        "ffill",
        ("north", "south"),
        np.array([[4.0], [-2.5]]),
        np.array([[1.5], [0.75]]),
        forecast=ForecastSpec(3, (0.25, 0.5, 0.75), "autoregressive"),
    )
    return series("forecast", transform, H, 3, None, seed)


def gestures(H: int = 3, seed: int = 7) -> Parts:
    """Make a classifier of windows of two columns, read in both directions; document and tensors, check None."""
    window = Window(8, segment=2, centre="mean", spread="window")
    transform = SeriesTransform(("x", "y"), ("past", "past"), missing="drop", window=window)
    return series("classify", transform, H, 2, ["wave", "rest"], seed, "bidirectional")


def meter(H: int = 4, seed: int = 8) -> Parts:
    """Make a forecaster of a count far from zero, with statistics in float64; document and tensors, check None."""
    transform = SeriesTransform(
        ("count", "epoch"),
        ("target", "past"),
        mean=np.array([[0.0, 0.0]]),
        deviation=np.array([[5.5, 60.0]]),
        window=Window(6, segment=2, season=3, least=2),
        forecast=ForecastSpec(2, (0.1, 0.5, 0.9)),
    )
    return series("forecast", transform, H, 2 * 3, None, seed)


def attentive(H: int = 4, seed: int = 9) -> Parts:
    """Make a model with gated units, attention and a layer of a user's own; document and tensors, check None."""
    chain = [
        recurrent(3, H, "gru"),
        {"kind": "glu", "inputs": H, "size": H, "add": 0},
        {"kind": "attend", "size": H, "heads": 2, "window": 3},
        {"kind": "program", **load_file(str(EXAMPLES / "surprise.py"), H)},
        {"kind": "dense", "inputs": H, "size": 2, "activation": "none"},
    ]
    source = {"kind": "array", "features": 3}
    return assemble("encode", source, chain, {"gru": cells.load("gru").tape}, None, seed)


def series(
    task: str,
    transform: SeriesTransform,
    H: int,
    outputs: int,
    labels: list[str] | None,
    seed: int,
    kind: str = "recurrent",
) -> Parts:
    source, arrays = transform.to_json()
    width = 2 * H if kind == "bidirectional" else H
    chain = [
        {**recurrent(transform.features, H, "gru"), "kind": kind},
        {"kind": "dense", "inputs": width, "size": outputs, "activation": "none"},
    ]
    outputs_of = {"forecast": forecast.make_entry(transform, "x")} if transform.forecast else None
    document, tensors = assemble(task, source, chain, {"gru": cells.load("gru").tape}, labels, seed, outputs_of)
    return document, tensors | arrays


def branches(seed: int = 21) -> Parts:
    """Make a graph of ids in two ports, with branches that meet, one of which looks ahead, and outputs of two nodes."""
    builder = layers.Builder(None)
    builder.add("embed", rows=9, size=4, sources=("x.words",))
    builder.add("bag", rows=12, size=3, most=3, sources=("x.grams",))
    builder.recurrence(cells.load("gru"), 5, sources=(0, 1))
    builder.add("conv", size=4, width=3, ahead=2, activation="tanh", sources=(0,))
    builder.add("dense", size=3, activation="none", sources=(2, 3))
    outputs = {
        "label": {**make_entry(["a", "b", "c"], ""), "scores": "logits", "from": f"layers.{len(builder.layers) - 1}"},
        "state": {**make_entry(None, ""), "from": "layers.2"},
    }
    source = {"kind": "ids", "ports": {"words": {"size": 9}, "grams": {"size": 12, "most": 3}}}
    document = document_of("encode", {}, {"x": source}, builder.layers, outputs, {"seed": seed})
    return document, draw_tensors(builder.layers, seed)


def conversation(seed: int = 22) -> Parts:
    """Make a model whose messages tick a conversation, which also reads who speaks."""
    words, talk = layers.Builder(None), layers.Builder(2 * 5 + 3)
    words.add("embed", rows=9, size=4)
    words.recurrence(cells.load("gru"), 5)
    words.add("pool", over=["last", "mean"])
    talk.recurrence(cells.load("lstm"), 4)
    talk.add("dense", size=3, activation="none", sources=(0, "x"))
    upper = rename(talk, "talk")
    graphs = {
        "words": GraphPlan("message", words.layers),
        "talk": GraphPlan("conversation", upper, ("words.2", "speaker")),
    }
    inputs = {"x": {"kind": "ids", "size": 9}, "speaker": {"kind": "category", "size": 3, "clock": "talk"}}
    outputs = {"label": {**make_entry(["a", "b", "c"], ""), "scores": "logits", "from": "talk.1"}}
    document = assemble_levels("classify", {}, inputs, graphs, outputs, {"seed": seed})
    return document, draw_tensors([*words.layers, *upper], seed)


def reply(seed: int = 23) -> Parts:
    """Make a model that writes a reply: its graph attends to the words of a message and to the messages before."""
    words, talk, written = layers.Builder(None), layers.Builder(5 + 3), layers.Builder(None)
    words.add("embed", rows=9, size=4)
    words.recurrence(cells.load("gru"), 5)
    words.add("dense", size=12, activation="none")
    talk.recurrence(cells.load("gru"), 4)
    talk.add("dense", size=8, activation="tanh")
    written.add("embed", rows=7, size=3)
    written.add("given", size=4)
    written.recurrence(cells.load("gru"), 6)
    written.add("cross_attend", size=6, heads=2, most=9)
    written.add("cross_attend", size=4, heads=1, most=4, sources=(2,))
    written.add("dense", size=7, activation="none", sources=(2, 3, 4))
    upper, driven = rename(talk, "talk"), rename(written, "reply")
    graphs = {
        "words": GraphPlan("message", words.layers),
        "talk": GraphPlan("conversation", upper, ("words.1", "speaker")),
        "reply": GraphPlan("", driven, ("talk.0", "words.2", "talk.1"), "beam", (1, 3, 4)),
    }
    inputs = {
        "x": {"kind": "ids", "size": 9},
        "speaker": {"kind": "category", "size": 3, "clock": "talk"},
        "previous": {"kind": "ids", "size": 7, "clock": "reply"},
    }
    options = {"begin": 0, "end": 1, "width": 3, "most": 8, "length_penalty": 2.0}
    beam = {"kind": "beam", "reads": "reply.5", "drives": "reply", "feeds": "previous", "options": options}
    outputs = {"reply": {"kind": "tokens", "from": "beam", "at": "end", "labels": list("<>abcde")}}
    document = assemble_levels("translate", {}, inputs, graphs, outputs, {"seed": seed}, {"beam": beam})
    every = [*words.layers, *upper, *driven]
    fixed = {
        one.tensors[role]: one.init(np.random.default_rng(0), role, {})
        for one in every
        for role in one.shapes()
        if one.use(role) == "fixed"
    }
    return document, {**draw_tensors(every, seed), **fixed}


def rename(builder: layers.Builder, graph: str) -> list[layers.Layer]:
    """Return the layers of a graph whose tensors have names of their own."""
    return [
        replace(one, tensors={role: f"{graph}.{i}.{role}" for role in one.tensors})
        for i, one in enumerate(builder.layers)
    ]


def draw_tensors(every: list[layers.Layer], seed: int) -> dict[str, Any]:
    """Draw random weights of both signs."""
    rng = np.random.default_rng(seed)
    return {
        layer.tensors[role]: rng.normal(0, 0.6, shape).astype(np.float32)
        for layer in every
        for role, shape in layer.shapes().items()
    }


def recurrent(inputs: int, size: int, cell: str, **more: Any) -> dict[str, Any]:
    options = {"tape": cell, "cell": cell, "dialect": cells.load(cell).dialect}
    return {"kind": "recurrent", "inputs": inputs, "size": size, **options, **more}


def assemble(
    task: str,
    source: dict[str, Any],
    chain: list[dict[str, Any]],
    tapes: dict[str, Tape],
    labels: list[str] | None,
    seed: int,
    outputs: dict[str, Any] | None = None,
) -> Parts:
    """Make the document for these layers, and random weights of both signs, no two of them equal.

    outputs: their entries; None: one of the labels, or of plain numbers without labels.
    """
    rng, tensors, builder = np.random.default_rng(seed), {}, layers.Builder(source.get("features"))
    builder.tapes |= tapes
    for node in chain:
        layer = builder.add(**node)
        for role, shape in layer.shapes().items():
            tensors[layer.tensors[role]] = rng.normal(0, 0.6, shape).astype(np.float32)
    outputs = outputs or {"label" if labels else "values": make_entry(labels, builder.layers[-1].ends_in)}
    provenance = {"made_by": "tests/golden/make.py", "seed": seed}
    return document_of(task, {}, {"x": source}, builder.layers, outputs, provenance), tensors


def with_empty_check(parts: Parts) -> Parts:
    """Add a check whose values are zero: it is valid in form, so the model can be saved."""
    document, tensors = parts
    case = {"steps": 1, "output": "check.1.output", "state": "check.1.state"}
    floats = sum(math.prod(a["shape"]) for a in document["state"]["arrays"]) - 1
    outputs = document["graphs"]["layers"]["nodes"][-1]["size"]
    zeros = {"check.1.output": np.zeros(outputs), "check.1.state": np.zeros(floats)}
    return {**document, "check": {"seed": 0, "stride": 1, "cases": [case]}}, {**tensors, **zeros}


def hash_answers(model: Model) -> str:
    """Hash the outputs and states of the native target `base`, which has the same bits on every machine."""
    if model.graphs:
        alone = (fill_held(one.model, 1) for one in model.graphs.values())
        return hashlib.sha256("".join(map(hash_answers, alone)).encode()).hexdigest()
    runner, whole = make_runner(model, "base"), hashlib.sha256()
    for x in make_inputs(model, 1, [37, 5]):
        before = make_initial(model.state_schema, model.state_bytes)[None]
        after, out = np.empty_like(before), np.zeros((len(x), 1, int(runner.outputs)), np.float32)
        runner.run(np.ascontiguousarray(x[:, None]), np.array([len(x)], np.int32), before, after, out, True, 1)
        whole.update(out.tobytes())
        whole.update(after.tobytes())
        if runner.look_ahead:
            out = np.zeros((runner.look_ahead, 1, int(runner.outputs)), np.float32)
            runner.run(x[:0, None].copy(), np.zeros(1, np.int32), after, np.empty_like(after), out, True, 1, True)
            whole.update(out.tobytes())
    return whole.hexdigest()
