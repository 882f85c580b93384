"""The engine recognises, by the operations of a step alone, what it has a kernel for: equal bits, whatever they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import draw_tensors
from random_programs import Sample

from tidegate import _native, cells, layers
from tidegate.errors import CellError
from tidegate.layers import Layer
from tidegate.layers.embed import Embed
from tidegate.tape import Instruction, Program
from tidegate.tape.program import kinds_of, registers_of

BEST = _native.targets()[0]
T, B = 4, 19
POOLS = (["last"], ["mean"], ["max"], ["attention"], ["attention", "max", "last", "mean"], ["mean", "last"])
FUSED = [
    (name, dialect)
    for name in cells.names()
    for dialect in cells.list_dialects(name)
    if dialect.get("projection") != "yes"
]


def built(kind: str, inputs: int = 5, **options: Any) -> Layer:
    builder = layers.Builder(inputs)
    builder.add(kind, **options)
    return builder.layers[0]


def recurrence(name: str, dialect: dict[str, str], size: int) -> Layer:
    builder = layers.Builder(5)
    builder.recurrence(cells.load(name, dialect), size)
    return builder.layers[0]


LAYERS: dict[str, Layer] = {
    **{f"embed {n}": Embed(rows=11, size=6, ids=n) for n in (1, 3)},
    **{f"dense {f}": built("dense", size=6, activation=f) for f in ("none", "relu", "tanh", "sigmoid")},
    "conv": built("conv", size=6, width=4, centred=False, activation="relu"),
    "conv of one": built("conv", size=6, width=1, centred=False, activation="none"),
    "norm": built("norm", eps=1e-3),
    "scale": built("scale"),
    "softmax": built("softmax"),
    **{"pool " + " ".join(over): built("pool", over=over) for over in POOLS},
    **{f"pool {' '.join(over)} of one": built("pool", 1, over=over) for over in POOLS},
    **{f"{' '.join([name, *dialect.values()])}": recurrence(name, dialect, 6) for name, dialect in FUSED},
    **{f"{name} of one": recurrence(name, {}, 1) for name in cells.names()},
}
EVERY = pytest.mark.parametrize("name", LAYERS)


def sample_of(name: str) -> Sample:
    layer = LAYERS[name]
    return Sample(layer.program, draw_tensors(layer, np.random.default_rng(1)))


def has_kernel(sample: Sample) -> bool:
    assert list(sample.engine(BEST, fused=False).fused_layers) == []
    return list(sample.engine(BEST).fused_layers) == [0]


def run(sample: Sample, fused: bool, target: str = BEST, precision: str = "float32") -> bytes:
    """Return the bits of outputs and last states, from states that are not zero."""
    rng = np.random.default_rng(2)
    x, lengths = sample.inputs(rng, T, B), rng.integers(0, T + 1, B).astype(np.int32)
    engine, states = sample.engine(target, precision, fused), np.zeros((B, sample.state_bytes), np.uint8)
    numbers = rng.standard_normal((B, sample.state_bytes // 4 - 2)).astype(np.float32)
    states[:, 8:] = numbers.view(np.uint8)
    after, out = np.zeros_like(states), np.zeros((T, B, engine.outputs), np.float32)
    engine.run(x, lengths, states, after, out, True, 1)
    floats = after[:, 8:].view(np.float32)
    out[np.isnan(out)], floats[np.isnan(floats)] = np.nan, np.nan  # one NaN equals another
    return out.tobytes() + after.tobytes()


@EVERY
def test_a_layer_has_a_kernel_with_the_bits_of_its_operations(name: str) -> None:
    sample = sample_of(name)
    assert has_kernel(sample)
    for precision in ("float32", "compute=bf16"):
        for target in _native.targets(precision):
            assert run(sample, True, target, precision) == run(sample, False, target, precision)


def shuffled(program: Program, rng: np.random.Generator) -> Program:
    """Return the same operations in another order, with tensors and states declared in another order."""
    left, order = set(range(len(program.instructions))), list[int]()
    while left:
        ready = [i for i in sorted(left) if not left & set(registers_of(program.instructions[i]))]
        order.append(ready[rng.integers(len(ready))])
        left.remove(order[-1])
    place = {old: new for new, old in enumerate(order)}

    def moved(ins: Instruction) -> Instruction:
        return Instruction(
            ins.name, tuple(place[a] if kind == "r" else a for a, kind in zip(ins.args, kinds_of(ins), strict=True))
        )

    tensors, states = (dict(sorted(own.items(), reverse=True)) for own in (program.tensors, program.state))
    own = (program.inputs, program.ids, tensors, states, tuple(moved(program.instructions[i]) for i in order))
    return Program(*own, place[program.output], {name: place[r] for name, r in program.next.items()})


@EVERY
@pytest.mark.parametrize("seed", range(3))
def test_neither_the_order_of_operations_nor_names_matter(name: str, seed: int) -> None:
    sample = sample_of(name)
    other = Sample(shuffled(sample.program, np.random.default_rng(seed)), sample.tensors)
    assert has_kernel(other)
    assert run(other, True) == run(other, False)


OTHER = {"add": "sub", "sub": "add", "mul": "minimum", "div": "mul", "maximum": "minimum", "sum": "peak", "peak": "sum"}
OTHER |= {"sigmoid": "exp", "tanh": "abs", "relu": "neg", "exp": "neg", "sqrt": "abs", "norm": "tanh"}


def changes(program: Program) -> list[Program]:
    """Return the program with one thing changed at a time, as far as it stays valid."""
    found, rows = [], list(program.instructions)

    def keep(i: int, name: str, args: tuple[Any, ...]) -> None:
        code = (*rows[:i], Instruction(name, args), *rows[i + 1 :])
        own = (program.inputs, program.ids, program.tensors, program.state, code)
        try:
            found.append(Program(*own, program.output, program.next))
        except CellError:
            return

    for i, ins in enumerate(rows):
        if ins.name in OTHER:
            keep(i, OTHER[ins.name], ins.args)
        kinds = kinds_of(ins)
        if kinds == "rr":
            keep(i, ins.name, ins.args[::-1])
        for k, kind in enumerate(kinds):
            for other in (0, 1, i - 1, i - 2) if kind == "r" else (0, 1, 2) if kind == "i" else ():
                if other != ins.args[k]:
                    keep(i, ins.name, (*ins.args[:k], other, *ins.args[k + 1 :]))
        if kinds == "f":
            keep(i, ins.name, (0.25,))
    return found


@EVERY
def test_whatever_is_changed_the_bits_are_those_of_the_operations(name: str) -> None:
    """With another operation it is not that layer any more; with another tensor it may be, with other weights."""
    sample = sample_of(name)
    others = [Sample(program, sample.tensors) for program in changes(sample.program)]
    for other in others:
        assert run(other, True) == run(other, False)
    names = sorted(ins.name for ins in sample.program.instructions)
    for other in others:
        assert not has_kernel(other) or sorted(ins.name for ins in other.program.instructions) == names
