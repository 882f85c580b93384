"""Every cell in every dialect in torch: gradients against finite differences, values against NumPy and bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tidegate import cells, layers, nn
from tidegate.nn.recurrent import by_equation, last, sequence
from tidegate.tape import NumpyOps
from tidegate.verify import attach
from tidegate.verify.replay import Replay
from tidegate.verify.replay import torch as in_torch
from tidegate.verify.samples import sample

I, H, P, T, B = 2, 3, 2, 5, 3  # noqa: E741
DIALECTS = [(name, dialect) for name in cells.names() for dialect in cells.dialects_of(name)]
WRITTEN = [" ".join([name, *(v for v in d.values() if v not in ("no", "none"))]) for name, d in DIALECTS]
WAYS = [
    (name, dialect, fused)
    for name, dialect in DIALECTS
    for fused in (True, False)
    if not fused or nn.engine(cells.load(name, dialect).tape) != "tape"
]
every_dialect = pytest.mark.parametrize(("name", "dialect"), DIALECTS, ids=WRITTEN)


def made(name: str, dialect: dict[str, str]) -> tuple[dict[str, Any], Any, dict[str, torch.Tensor]]:
    cell = cells.load(name, dialect)
    layer: dict[str, Any] = {"inputs": I, "size": H, "tape": name} | ({"project": P} if cell.tape.projected else {})
    random = torch.Generator().manual_seed(4)
    shapes = layers.load("recurrent").tensors(layer, {name: cell.tape})
    t = {role: torch.randn(shape, generator=random, dtype=torch.float64) for role, shape in shapes.items()}
    return layer, cell.tape, {role: v.requires_grad_() for role, v in t.items()}


def x_and_start(tape: Any, layer: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    random = torch.Generator().manual_seed(5)
    x = torch.randn(T, B, I, generator=random, dtype=torch.float64, requires_grad=True)
    widths = {name: layer.get("project") if shape == ("P",) else H for name, shape in tape.state.items()}
    return x, {
        n: torch.randn(B, w, generator=random, dtype=torch.float64, requires_grad=True) for n, w in widths.items()
    }


@pytest.mark.parametrize(("name", "dialect", "fused"), WAYS)
def test_gradients_are_those_of_finite_differences(name: str, dialect: dict[str, str], fused: bool) -> None:
    layer, tape, t = made(name, dialect)
    x, start = x_and_start(tape, layer)
    start = {k: v[:1] for k, v in start.items()}
    leaves = {**{f"t {k}": v for k, v in t.items() if v.numel()}, **{f"s {k}": v for k, v in start.items()}}

    def run(x: torch.Tensor, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        by_name = dict(zip(leaves, values, strict=True))
        weights = {k: by_name.get(f"t {k}", v) for k, v in t.items()}
        y, states = last(layer, tape, weights, x, None, {k: by_name[f"s {k}"] for k in start}, fused=fused)
        return y, *states.values()

    assert torch.autograd.gradcheck(run, (x[:2, :1], *leaves.values()))


@pytest.mark.parametrize(("name", "dialect", "fused"), WAYS)
def test_values_are_those_of_the_layers_own_equation(name: str, dialect: dict[str, str], fused: bool) -> None:
    layer, tape, t = made(name, dialect)
    x, start = x_and_start(tape, layer)
    y, every = sequence(layer, tape, t, x, fused, start)
    room, arrays = layers.load("recurrent"), {k: v.detach().numpy() for k, v in t.items()}
    s = {k: v.detach().numpy() for k, v in start.items()}
    for k in range(T):
        wanted, s = room.step(NumpyOps, layer, {name: tape}, arrays, s, x[k].detach().numpy(), None)
        assert np.allclose(y[k].detach().numpy(), wanted, atol=1e-13, rtol=0)
        assert set(every) == set(s)
        for state, value in s.items():
            assert np.allclose(every[state][k].detach().numpy(), value, atol=1e-13, rtol=0)


@every_dialect
@pytest.mark.parametrize("backward", [False, True])
def test_rows_of_unequal_lengths_are_what_each_is_alone(name: str, dialect: dict[str, str], backward: bool) -> None:
    layer, tape, t = made(name, dialect)
    x, start = x_and_start(tape, layer)
    lengths = [5, 4, 1]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths))
    y, states = last(layer, tape, t, packed.data, packed.batch_sizes, start, backward)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(packed._replace(data=y))
    for row, n in enumerate(lengths):
        alone = x[:n, row : row + 1]
        given = {k: v[row : row + 1] for k, v in start.items()}
        wanted, every = by_equation(layer, tape, t, alone.flip(0) if backward else alone, given)
        assert torch.allclose(padded[:n, row], (wanted.flip(0) if backward else wanted)[:, 0], atol=1e-13, rtol=0)
        for state, value in states.items():
            assert torch.allclose(value[row], every[state][-1, 0], atol=1e-13, rtol=0)


@every_dialect
def test_torch_stays_within_the_bound_of_a_model(name: str, dialect: dict[str, str]) -> None:
    model = attach(sample(seed=3, features=5, size=12, cell=name, dialect=dialect, depth=1), lengths=(1, 37))
    result = in_torch(Replay(model))
    assert result.ran
    assert result.ok, result


def test_engines_are_chosen_by_the_tape() -> None:
    found = {(name, tuple(d.items())): nn.engine(cells.load(name, d).tape) for name, d in DIALECTS}
    kernels = [how for how in found.values() if how.startswith("torch")]
    assert sorted(kernels) == [
        "torch gru kernel", "torch lstm kernel", "torch lstm kernel", "torch rnn_relu kernel", "torch rnn_tanh kernel",
    ]  # fmt: skip
    assert {how for (name, _), how in found.items() if name == "mingru"} == {"linear scan"}
    assert {how for (_, dialect), how in found.items() if ("norm", "layer") in dialect} == {"tape", "linear scan"}
