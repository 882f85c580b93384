"""Linear recurrences over all steps at once: error, gradients and limits, and which tapes are linear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tidegate import cells, nn
from tidegate.errors import CellError
from tidegate.layers.recurrent import Recurrent
from tidegate.nn import scan
from tidegate.nn.recurrent import run_all_states, run_final_states, run_tape
from tidegate.tape import Tape, solvable_states, trace

D = torch.float64
EPS = 2.0**-24


def solve_in_loop(a: torch.Tensor, b: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    h, out = start, []
    for slope, constant in zip(a, b, strict=True):
        h = slope * h + constant
        out.append(h)
    return torch.stack(out)


def make_slopes(kind: str, steps: int) -> torch.Tensor:
    u = torch.rand(steps, 2, 16)
    return {
        "gates": u,
        "long memory": 1 - 1e-3 * u,
        "signs": 2 * u - 1,
        "vanishing": 1e-30 * u,
        "opened and closed": (u > 0.5).float(),
    }[kind]


@pytest.mark.parametrize("kind", ["gates", "long memory", "signs", "vanishing", "opened and closed"])
def test_ten_thousand_steps_are_as_accurate_as_a_loop(kind: str) -> None:
    torch.manual_seed(0)
    a, b, start = make_slopes(kind, 10_000), torch.randn(10_000, 2, 16), torch.randn(2, 16)
    exact = solve_in_loop(a.double(), b.double(), start.double())
    error = (scan.solve_recurrence(a, b, start).double() - exact).abs().max() / exact.abs().max()
    stepwise = (solve_in_loop(a, b, start).double() - exact).abs().max() / exact.abs().max()
    assert float(error) <= 2 * float(stepwise)
    assert float(error) < (4 if kind != "long memory" else 40) * EPS


@pytest.mark.parametrize("steps", [1, 2, 7, 8, 9, 16, 17, 18, 33, 100, 255])
def test_any_number_of_steps_is_solved(steps: int) -> None:
    a, b, start = torch.rand(steps, 3, 2, dtype=D), torch.randn(steps, 3, 2, dtype=D), torch.randn(3, 2, dtype=D)
    assert torch.allclose(scan.solve_recurrence(a, b, start), solve_in_loop(a, b, start), atol=1e-14, rtol=0)


@pytest.mark.parametrize("steps", [1, 2, 9, 21])
def test_gradients_and_theirs_are_those_of_finite_differences(steps: int) -> None:
    random = torch.Generator().manual_seed(steps)
    leaves = [
        torch.rand(*shape, generator=random, dtype=D).requires_grad_() for shape in ((steps, 1, 2),) * 2 + ((1, 2),)
    ]
    assert torch.autograd.gradcheck(scan.solve_recurrence, leaves)
    assert torch.autograd.gradgradcheck(scan.solve_recurrence, leaves)


def test_gradients_over_ten_thousand_steps_are_those_of_the_loop() -> None:
    torch.manual_seed(1)
    leaves = [v.requires_grad_() for v in (torch.rand(10_000, 1, 4), torch.randn(10_000, 1, 4), torch.randn(1, 4))]
    exact = [v.detach().double().requires_grad_() for v in leaves]
    weight = torch.randn(10_000, 1, 4)
    found = torch.autograd.grad((scan.solve_recurrence(*leaves) * weight).sum(), leaves)
    expected = torch.autograd.grad((solve_in_loop(*exact) * weight).sum(), exact)
    for a, b in zip(found, expected, strict=True):
        assert float((a - b).abs().max() / b.abs().max()) < 4 * EPS


def test_slopes_beyond_one_are_finite_where_the_loop_is() -> None:
    a = torch.full((300, 1, 1), 2.0)
    zeros = scan.solve_recurrence(a, torch.zeros(300, 1, 1), torch.zeros(1, 1))
    assert torch.equal(zeros, torch.zeros(300, 1, 1))
    growing = scan.solve_recurrence(a[:100], torch.ones(100, 1, 1), torch.zeros(1, 1))
    assert torch.equal(growing, solve_in_loop(a[:100], torch.ones(100, 1, 1), torch.zeros(1, 1)))
    tiny = torch.full((1, 1), 1e-38)
    assert torch.equal(
        scan.solve_recurrence(a[:200], torch.zeros(200, 1, 1), tiny),
        solve_in_loop(a[:200], torch.zeros(200, 1, 1), tiny),
    )


def test_nothing_reaches_back_in_time() -> None:
    a, b, start = torch.rand(40, 2, 3), torch.randn(40, 2, 3), torch.zeros(2, 3)
    before = scan.solve_recurrence(a, b, start)
    b[20, 1] = torch.nan
    h = scan.solve_recurrence(a, b, start)
    assert torch.equal(h[:20], before[:20])
    assert torch.equal(h[:, 0], before[:, 0])
    assert h[20:, 1].isnan().all()
    a[5, 0, 0] = torch.nan
    assert torch.isfinite(scan.solve_recurrence(a, before, start)[:5]).all()


CASCADE = """
GATES, RECURRENT, LINEAR = ("f", "n"), (), True
STATE = {"slow": ("H",), "fast": ("H",), "count": (1,)}
PARAMS, INIT = {"leak": ("H",), "scale": (1,)}, {"leak": 0.9, "scale": 2.0}


def step(op, x, R, p, s):
    f = op.sigmoid(x.f)
    fast = -((0.5 - f) * s.fast - x.n) / (1 + op.exp(p.scale))
    slow = p.leak * s.slow + op.tanh(fast * s.fast) - s.slow * 0.25
    count = 0.5 * (2 - s.count)
    return op.relu(slow) + p.scale * count, s.replace(slow=slow, fast=fast, count=count)
"""
WRONG = {
    "a function": "op.tanh(x.n + s.h)",
    "a square": "s.h * s.h + x.n",
    "a divisor": "x.n / (2 + s.h)",
    "a recurrent map": "x.n + R.n(s.h)",
    "a minimum": "op.minimum(1.0, s.h + x.n)",
    "a gate of the state": "op.sigmoid(s.h) * x.n",
}


def write_cell(folder: Path, text: str) -> cells.Cell:
    path = folder / "mine.py"
    path.write_text(text)
    return cells.load(str(path))


def tensors(tape: Tape, H: int) -> tuple[Recurrent, dict[str, torch.Tensor]]:
    layer = Recurrent(inputs=3, size=H, tape=tape)
    return layer, {k: torch.randn(v, dtype=D, requires_grad=True) for k, v in layer.shapes().items()}


def test_a_custom_linear_cell_with_states_that_depend_on_each_other_is_solved(tmp_path: Path) -> None:
    cell = write_cell(tmp_path, CASCADE)
    assert nn.engine(cell.tape) == "linear scan"
    assert solvable_states(cell.tape) == ["fast", "slow", "count"]
    layer, t = tensors(cell.tape, 4)
    x = torch.randn(30, 2, 3, dtype=D, requires_grad=True)
    start = {
        "slow": torch.randn(2, 4, dtype=D),
        "fast": torch.randn(2, 4, dtype=D),
        "count": torch.randn(2, 1, dtype=D),
    }
    results = []
    for y, every in (run_all_states(layer, t, x, True, start), run_tape(layer, t, x, start)):
        used = [v for v in (x, *t.values()) if v.numel()]
        results.append((y, every, torch.autograd.grad(y.square().sum(), used, allow_unused=True)))
    (y, every, grads), (y2, every2, grads2) = results
    assert torch.allclose(y, y2, atol=1e-12)
    for name in cell.tape.state:
        assert every[name].shape == every2[name].shape
        assert torch.allclose(every[name], every2[name], atol=1e-12)
    for a, b in zip(grads, grads2, strict=True):
        assert (a is None and not b.any()) or torch.allclose(a, b, atol=1e-9)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([30, 7]))
    _, final = run_final_states(layer, t, packed.data, packed.batch_sizes, start)
    assert torch.allclose(final["slow"][1], every2["slow"][6, 1], atol=1e-12)


@pytest.mark.parametrize("equation", WRONG.values(), ids=WRONG)
def test_a_cell_marked_linear_that_is_not_is_an_error(tmp_path: Path, equation: str) -> None:
    head = 'GATES, RECURRENT, STATE, LINEAR = ("n",), ("n",), {"h": ("H",)}, True\n'
    body = f"\n\ndef step(op, x, R, p, s):\n    h = {equation}\n    return h, s.replace(h=h)\n"
    with pytest.raises(CellError, match="mine.py: it declares LINEAR but is not linear: state 'h' must become a \\* h"):
        write_cell(tmp_path, head + body)
    assert nn.engine(write_cell(tmp_path, head.replace("True", "False") + body).tape) == "tape"


def test_states_that_depend_on_each_other_both_ways_go_step_by_step() -> None:
    def rotate(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
        a, b = 0.8 * s.a - 0.6 * s.b + x.n, 0.6 * s.a + 0.8 * s.b
        return a, s.replace(a=a, b=b)

    tape = trace(rotate, ("n",), (), {"a": ("H",), "b": ("H",)}, {})
    assert solvable_states(tape) == []
    assert nn.engine(tape) == "tape"


def test_every_cell_marked_linear_is() -> None:
    linear = [
        cells.load(name, d) for name in cells.names() for d in cells.list_dialects(name) if cells.load(name, d).linear
    ]
    assert {cell.name for cell in linear} >= {"mingru"}
    for cell in linear:
        assert nn.engine(cell.tape, native=False) == "linear scan"


def test_a_minimal_gru_forgets_nothing_over_ten_thousand_steps() -> None:
    torch.manual_seed(0)
    module, x = nn.MinGRU(4, 8), torch.randn(10_000, 1, 4)
    module.native = False
    y, _ = module(x)
    y[-1].sum().backward()
    assert torch.isfinite(y).all()
    assert all(torch.isfinite(w.grad).all() for w in module.parameters())
    module.double().fused = False
    assert torch.allclose(y.double(), module(x.double())[0], atol=1e-6)
