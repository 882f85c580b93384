"""Small models that together have every layer, cell, dialect, input and output, and all that each can be asked."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from graph_models import IDS, build, numbers
from graph_models import MODELS as GRAPHS

from tidegate import cells
from tidegate.inputs.base import Port
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.outputs import Answer, make_entry
from tidegate.runtime import Predictor
from tidegate.verify.samples import WORDS, sample

GOLDEN = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "models.py"))
PARTS = (
    *("attentive", "classifier", "encoder", "finals", "forecaster", "gestures"),
    *("lookout", "meter", "seasonal", "stations", "tagger"),
)
SIZE = 19  # a whole vector of each instruction set, and a tail
LENGTHS = (*range(1, 19), 40)


def every_dialect(cell: str) -> Model:
    """Return one recurrence of each dialect of a cell, one behind the other."""
    builder = Builder(5)
    for dialect in cells.list_dialects(cell):
        builder.recurrence(cells.load(cell, dialect), SIZE)
    return build(builder.layers, numbers(5))


def wide_model() -> Model:
    """Return layers of more than one vector behind a scale, with all pools and several labels."""
    builder = Builder(7)
    builder.add("scale")
    builder.add("conv", size=40, width=3, centred=False, activation="tanh")
    builder.recurrence(cells.load("gru"), 40, residual=True)
    builder.add("norm", eps=1e-5)
    builder.add("pool", over=["last", "mean", "max", "attention"])
    builder.add("dense", size=33, activation="relu")
    builder.add("dense", size=5, activation="sigmoid")
    return build(builder.layers, numbers(7), {"label": make_entry(list("abcde"), "sigmoid")})


def tagger_model(ahead: int = 0) -> Model:
    """Return a tagger of token ids, which also labels the whole."""
    builder = Builder(None)
    builder.add("embed", rows=30, size=8)
    builder.recurrence(cells.load("gru"), SIZE)
    builder.add("conv", size=5, width=3, **({"ahead": ahead} if ahead else {"centred": False}), activation="none")
    builder.add("pool", over=["last"], sources=(1,))
    builder.add("dense", size=3, activation="none")
    tags = {"kind": "tags", "at": "step", "labels": ["O", "B-a", "I-a", "B-b", "I-b"]}
    outputs = {
        "tags": {**tags, "scores": "logits", "scheme": "bio", "from": "layers.2"},
        "label": {**make_entry(list("abc"), "none"), "scores": "logits", "from": "layers.4"},
    }
    return build(builder.layers, IDS, outputs)


MODELS: dict[str, Callable[[], Model]] = {
    **{name: lambda name=name: Model(*GOLDEN[name]()) for name in PARTS},  # type: ignore[misc]
    **GRAPHS,
    **{f"every {cell}": lambda cell=cell: every_dialect(cell) for cell in cells.names()},  # type: ignore[misc]
    "wide": wide_model,
    "features of words": lambda: sample(size=SIZE, ids=4),
    "tagger of ids": tagger_model,
    "tagger that looks ahead": lambda: tagger_model(2),
}


class Row(NamedTuple):
    """A whole input. cut: returns its steps from one to another, as a stream takes them. times: of each step."""

    whole: Any
    cut: Callable[[int, int], Any]
    times: list[np.datetime64] | None = None
    series: str | None = None


def draw_row(model: Model, T: int, random: np.random.Generator) -> Row:
    """Draw an input of T steps. Series lack some numbers, unless they must not."""
    (source,) = model.inputs.values()
    if source.kind == "text":
        words = random.choice([*WORDS, "tide", "opens", "unheard"], T).tolist()
        return Row(" ".join(words), lambda a, b: "".join(word + " " for word in words[a:b]))
    if source.kind == "ids":
        ids = {name: draw_ids(port, T, random) for name, port in source.ports.items()}
        if "" in ids:
            return Row(ids[""], lambda a, b: ids[""][a:b])
        return Row(ids, lambda a, b: {name: some[a:b] for name, some in ids.items()})
    transform = getattr(source, "transform", None)
    if transform is None:
        x = random.standard_normal((T, int(source.features or 0)))
        return Row(x, lambda a, b: x[a:b])
    x = 20 + 10 * random.standard_normal((T, len(transform.columns)))
    if transform.missing != "error":
        x[random.random(x.shape) < 0.1] = np.nan
    times = [np.datetime64("2024-01-01T00:00") + np.timedelta64(t, "h") for t in range(T)]
    names = transform.names
    return Row(
        x, lambda a, b: x[a:b], times if transform.calendar else None, str(random.choice(names)) if names else None
    )


def draw_ids(port: Port, T: int, random: np.random.Generator) -> list[Any]:
    """Draw the ids of a port: one a step, or any number up to its limit."""
    if not port.may_lack:
        return list(random.integers(0, port.size, T).tolist())
    return [random.integers(0, port.size, random.integers(0, port.ids + 1)).tolist() for _ in range(T)]


def ask(predictor: Predictor) -> Iterator[bytes]:
    """Ask a predictor all that it answers, and iterate over answers and states, exact to the last bit."""
    random, model = np.random.default_rng(0), predictor.model
    rows = [draw_row(model, T, random) for T in LENGTHS]
    times = [row.times for row in rows] if rows[0].times else None
    series = [row.series or "" for row in rows] if rows[0].series else None
    yield from map(say, predictor.answers([row.whole for row in rows], times, series))
    if model.streams[0]:
        yield from ask_stream(predictor, rows[-1])
        yield from ask_pool(predictor, rows)
    if any(output.kind == "forecast" for output in model.outputs.values()):
        x, _, times_of_one, name = rows[-1]
        yield predictor.forecasts(x, range(20, 35), times_of_one, name, paths=10).tobytes()


def ask_stream(predictor: Predictor, row: Row) -> Iterator[bytes]:
    stream, at = predictor.stream(row.series), 0
    for size in (1, 1, 5, 2, 31):
        cut = slice(at, at := at + size)
        pushed = stream.push(row.cut(cut.start, cut.stop), time=row.times and row.times[cut], per_step=True)
        yield from map(say, pushed)
        yield stream.state.block.tobytes()
    yield say(stream.end())


def ask_pool(predictor: Predictor, rows: list[Row]) -> Iterator[bytes]:
    pool = predictor.pool()
    for i, row in enumerate(rows):
        pool.add(i, row.series)
    for a, b in ((0, 1), (1, 3), (3, LENGTHS[-1])):
        longer = [(i, row) for i, (row, T) in enumerate(zip(rows, LENGTHS, strict=True)) if a < T]
        answers = pool.push((i, row.cut(a, b), False, row.times and row.times[a:b]) for i, row in longer)
        yield from map(say, answers)
    for i in range(len(rows)):
        yield pool.state(i).block.tobytes()
        yield say(pool.end(i))


def say(answer: Answer) -> bytes:
    return repr((answer.step, answer.as_dict())).encode()
