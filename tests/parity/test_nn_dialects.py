"""Every cell in every dialect in torch: gradients against finite differences, values against NumPy and bounds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tidegate import cells, nn
from tidegate.nn.recurrent import by_equation, last
from tidegate.verify import attach
from tidegate.verify.replay import Replay
from tidegate.verify.samples import sample
from tidegate.verify.torch_target import torch as in_torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
from common import nn_tapes

DIALECTS = nn_tapes.every()
WAYS = [
    (name, dialect, fused)
    for name, dialect in DIALECTS
    for fused in (True, False)
    if not fused or nn.engine(cells.load(name, dialect).tape, torch.float64) != "tape"
]
every_dialect = pytest.mark.parametrize(("name", "dialect"), DIALECTS)
every_way = pytest.mark.parametrize(("name", "dialect", "fused"), WAYS)


@every_way
def test_gradients_are_those_of_finite_differences(name: str, dialect: dict[str, str], fused: bool) -> None:
    assert nn_tapes.gradients_hold(name, dialect, fused)


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.scan.Recurrence, "backward", lambda ctx, g: (g, g, g[0]))
    assert not nn_tapes.gradients_hold("mingru", {}, True)
    assert nn_tapes.gradients_hold("mingru", {}, False)


@every_way
def test_values_are_those_of_the_layers_own_equation(name: str, dialect: dict[str, str], fused: bool) -> None:
    assert nn_tapes.from_numpy(name, dialect, fused, 12) < 1e-13


@every_dialect
@pytest.mark.parametrize("backward", [False, True])
def test_rows_of_unequal_lengths_are_what_each_is_alone(name: str, dialect: dict[str, str], backward: bool) -> None:
    layer, tape, t = nn_tapes.made(name, dialect)
    x, start = nn_tapes.given(layer, tape, 5)
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
    model = attach(sample(seed=3, features=5, size=12, cell=name, dialect=dialect), lengths=(1, 37))
    result = in_torch(Replay(model))
    assert result.ran
    assert result.ok, result


@pytest.mark.parametrize("name", cells.names())
def test_torch_stays_within_the_bound_of_a_stack_on_text(name: str) -> None:
    model = attach(sample(seed=3, size=12, cell=name, depth=2, over=("mean", "max"), norm=True), lengths=(1, 300))
    result = in_torch(Replay(model))
    assert result.ran
    assert result.ok, result


def test_engines_are_chosen_by_the_tape() -> None:
    found = {(name, tuple(d.items())): nn.engine(cells.load(name, d).tape) for name, d in DIALECTS}
    kernels = [how for how in found.values() if how.startswith(("native", "torch"))]
    trained = [
        "native gru",
        "native gru before",
        "native gru before replace",
        "native gru replace",
        "native lstm",
        "native lstm peepholes",
        "native mingru",
        "native rnn relu",
        "native rnn tanh",
    ]
    assert sorted(kernels) == sorted([*trained, *(f"{name} norm" for name in trained), "torch lstm kernel"])
    left = {(name, dialect) for (name, dialect), how in found.items() if how == "tape"}
    assert {name for name, _ in left} == {"lstm"}
    assert all(("projection", "yes") in dialect for _, dialect in left)
