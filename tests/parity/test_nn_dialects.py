"""Every cell in every dialect in torch: gradients against finite differences, values against NumPy, error bounds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tidegate import cells, nn
from tidegate.nn.recurrent import run_final_states, run_tape
from tidegate.verify import attach
from tidegate.verify.replay import Replay
from tidegate.verify.samples import sample
from tidegate.verify.torch_target import verify_torch as in_torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
from common import nn_tapes

DIALECTS = nn_tapes.all_dialects()
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
    assert nn_tapes.check_gradients(name, dialect, fused)


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.scan.LinearRecurrence, "backward", lambda ctx, g: (g, g, g[0]))
    assert not nn_tapes.check_gradients("mingru", {}, True)
    assert nn_tapes.check_gradients("mingru", {}, False)


@every_way
def test_values_are_those_of_the_layers_own_equation(name: str, dialect: dict[str, str], fused: bool) -> None:
    assert nn_tapes.difference_from_numpy(name, dialect, fused, 12) < 1e-13


@every_dialect
@pytest.mark.parametrize("backward", [False, True])
def test_rows_of_unequal_lengths_have_the_values_of_each_alone(
    name: str, dialect: dict[str, str], backward: bool
) -> None:
    layer, t = nn_tapes.make_layer(name, dialect)
    x, start = nn_tapes.make_inputs(layer, 5)
    lengths = [5, 4, 1]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths))
    y, states = run_final_states(layer, t, packed.data, packed.batch_sizes, start, backward)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(packed._replace(data=y))
    for row, n in enumerate(lengths):
        alone = x[:n, row : row + 1]
        initial = {k: v[row : row + 1] for k, v in start.items()}
        expected, states_alone = run_tape(layer, t, alone.flip(0) if backward else alone, initial)
        assert torch.allclose(padded[:n, row], (expected.flip(0) if backward else expected)[:, 0], atol=1e-13, rtol=0)
        for state, value in states.items():
            assert torch.allclose(value[row], states_alone[state][-1, 0], atol=1e-13, rtol=0)


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        pytest.param(name, dialect, marks=pytest.mark.slow)
        if (name, dialect["norm"]) == ("lstm", "layer")
        else (name, dialect)
        for name, dialect in DIALECTS
    ],
)
def test_torch_stays_within_the_bound_of_a_model(name: str, dialect: dict[str, str]) -> None:
    model = attach(sample(seed=3, features=5, size=12, cell=name, dialect=dialect), lengths=(1, 37))
    result = in_torch(Replay(model))
    assert result.ran
    assert result.ok, result


@pytest.mark.slow
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
