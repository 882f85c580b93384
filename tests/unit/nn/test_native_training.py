"""Recurrences by the native engine: values and gradients of the tape in float64, the bits of inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tidegate import _native, nn
from tidegate.nn import native, recurrent

CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "gru": ("GRU", {}),
    "gru replace": ("GRU", {"update": "replace"}),
    "gru without bias": ("GRU", {"bias": False}),
    "gru before": ("GRU", {"reset": "before"}),
    "gru before replace": ("GRU", {"reset": "before", "update": "replace"}),
    "lstm": ("LSTM", {}),
    "lstm peepholes": ("LSTM", {"peepholes": True}),
    "rnn tanh": ("RNN", {}),
    "rnn relu": ("RNN", {"nonlinearity": "relu"}),
    "mingru": ("MinGRU", {}),
}
CELLS |= {
    f"{name} norm": (kind, {**options, "norm": True})
    for name, (kind, options) in CELLS.items()
    if name != "gru without bias"
}
LENGTHS = torch.tensor([7, 2, 5, 5, 1])
Found = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def module(name: str, inputs: int, size: int, dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(3)
    kind, options = CELLS[name]
    found = getattr(nn, kind)(inputs, size, **options).to(dtype)
    for key, weight in found.named_parameters():
        if key.startswith("norm_"):  # gains of 1 and biases of 0 would hide a fault
            weight.data += torch.rand(weight.shape, dtype=torch.float32) - 0.5
    return found


class Batch:
    """Random inputs, first states and gradients of everything that comes out."""

    def __init__(self, name: str, steps: int, rows: int, inputs: int, size: int, packed: bool = False) -> None:
        generator = torch.Generator().manual_seed(5)
        states = 2 if CELLS[name][0] == "LSTM" else 1

        def random(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator)

        self.x, self.dy, self.packed = random(steps, rows, inputs), random(steps, rows, size), packed
        self.first = [random(1, rows, size) for _ in range(states)]
        self.dlast = [random(1, rows, size) for _ in range(states)]

    def through(self, own: Any, create_graph: bool = False) -> Found:
        """Outputs, last states and all gradients, by name."""
        dtype = own.dtype
        x = self.x.to(dtype, copy=True).requires_grad_()
        first = [v.to(dtype, copy=True).requires_grad_() for v in self.first]
        given = pack_padded_sequence(x, LENGTHS, enforce_sorted=False) if self.packed else x
        y, last = own(given, first[0] if len(first) == 1 else tuple(first))
        y = pad_packed_sequence(y)[0] if self.packed else y
        last = (last,) if isinstance(last, torch.Tensor) else last
        total = sum(((v * d.to(dtype)).sum() for v, d in zip((y, *last), (self.dy, *self.dlast), strict=True)))
        asked = {"x": x, **{f"first{i}": v for i, v in enumerate(first)}, **dict(own.named_parameters())}
        gradients = torch.autograd.grad(total, list(asked.values()), create_graph=create_graph)
        values = {"y": y.detach(), **{f"last{i}": v.detach() for i, v in enumerate(last)}}
        return {**values, **{f"d{name}": v for name, v in zip(asked, gradients, strict=True)}}


def exact(name: str, inputs: int, size: int) -> Any:
    """The same module in float64, step by step by its tape."""
    found = module(name, inputs, size, torch.float64)
    found.fused = False
    return found


def assert_close(found: Found, right: Found, bound: float) -> None:
    assert list(found) == list(right)
    for name, value in found.items():
        worst = float((value.detach().double() - right[name].detach()).abs().max())
        assert worst <= bound * max(1.0, float(right[name].detach().abs().max())), name


@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("inputs", "size"), [(1, 1), (6, 11), (16, 48), (70, 65)])
@pytest.mark.parametrize("name", CELLS)
def test_values_and_gradients_are_those_of_the_tape(name, inputs, size, packed, target, monkeypatch):
    monkeypatch.setenv("TIDEGATE_TARGET", target)
    own, batch = module(name, inputs, size), Batch(name, 7, 5, inputs, size, packed)
    assert own.engine == "native " + name.removesuffix(" without bias")
    assert_close(batch.through(own), batch.through(exact(name, inputs, size)), 3e-6)


@pytest.mark.parametrize(("steps", "rows"), [(1, 1), (200, 1), (3, 150), (50, 33)])
@pytest.mark.parametrize("name", ["gru", "gru before", "lstm", "gru norm", "gru before norm"])
def test_so_are_those_of_many_steps_and_rows(name, steps, rows):
    batch = Batch(name, steps, rows, 5, 24)
    assert_close(batch.through(module(name, 5, 24)), batch.through(exact(name, 5, 24)), 1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_are_those_of_finite_differences(name):
    own, batch = module(name, 3, 4), Batch(name, 4, 2, 3, 4)
    right, found = exact(name, 3, 4), batch.through(own)

    def total() -> float:
        with torch.no_grad():
            y, last = right(
                batch.x.double(),
                tuple(v.double() for v in batch.first) if len(batch.first) > 1 else batch.first[0].double(),
            )
            last = (last,) if isinstance(last, torch.Tensor) else last
            return sum(float((v * d).sum()) for v, d in zip((y, *last), (batch.dy, *batch.dlast), strict=True))

    step = 1e-6
    for key, weight in right.named_parameters():
        for i in range(0, weight.numel(), 5):
            ends = []
            for sign in (1, -1):
                weight.data.view(-1)[i] += sign * step
                ends.append(total())
                weight.data.view(-1)[i] -= sign * step
            assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(
                float(found[f"d{key}"].view(-1)[i]), rel=1e-4, abs=1e-5
            )


@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("name", CELLS)
def test_outputs_have_the_bits_of_inference(name, target, monkeypatch):
    import tidegate

    monkeypatch.setenv("TIDEGATE_TARGET", target)
    own = module(name, 6, 11)
    x = torch.randn(9, 1, 6)
    stream = tidegate.from_torch(own).stream()
    y = own(x)[0]
    for k in range(9):
        np.testing.assert_array_equal(stream.push(x[k, 0].numpy()).values, y[k, 0].detach().numpy())


@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("name", CELLS)
def test_a_row_has_the_same_bits_alone_and_among_others(name, target, monkeypatch):
    monkeypatch.setenv("TIDEGATE_TARGET", target)
    batch = Batch(name, 12, 19, 6, 20)
    together = batch.through(module(name, 6, 20))
    for row in (0, 7, 18):
        alone = Batch(name, 12, 1, 6, 20)
        for key in ("x", "dy"):
            setattr(alone, key, getattr(batch, key)[:, row : row + 1].clone())
        for key in ("first", "dlast"):
            setattr(alone, key, [v[:, row : row + 1].clone() for v in getattr(batch, key)])
        found = alone.through(module(name, 6, 20))
        for key in [key for key in found if not key.startswith(("dweight", "dbias", "dnorm"))]:
            assert torch.equal(found[key], together[key][:, row : row + 1]), key


@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("name", CELLS)
def test_no_bit_depends_on_threads(name, target, monkeypatch):
    monkeypatch.setenv("TIDEGATE_TARGET", target)
    batch = Batch(name, 40, 100, 40, 48)
    one = batch.through(module(name, 40, 48))
    torch.set_num_threads(3)
    three = batch.through(module(name, 40, 48))
    assert all(torch.equal(value, three[key]) for key, value in one.items())


def test_an_input_that_wants_no_gradient_gets_none():
    own, x = module("gru", 3, 4), torch.randn(5, 2, 3)
    own(x)[0].sum().backward()
    assert x.grad is None
    wanted = own.weight_hh_l0.grad.clone()
    own.zero_grad()
    own(x.requires_grad_())[0].sum().backward()
    assert torch.equal(wanted, own.weight_hh_l0.grad)


def test_infinite_inputs_stay_within_their_row():
    own, batch = module("gru", 6, 11), Batch("gru", 4, 3, 6, 11)
    clean = batch.through(own)
    batch.x[2, 1] = torch.inf
    found = batch.through(own)
    assert torch.equal(found["y"][:, 0], clean["y"][:, 0])
    assert torch.equal(found["dx"][:, 2], clean["dx"][:, 2])
    assert not found["dx"][:, 1].isfinite().all()


def test_other_numbers_take_the_path_of_torch():
    tape = module("gru", 3, 4).cell.tape
    assert recurrent.engine(tape) == "native gru"
    assert recurrent.engine(tape, torch.float64) == recurrent.engine(tape, native=False) == "torch gru kernel"
    own, x = module("gru", 3, 4), torch.randn(5, 2, 3)
    y = own(x)[0]
    own.native = False
    assert own.engine == "torch gru kernel"
    torch.testing.assert_close(own(x)[0], y, rtol=1e-5, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert not native.takes(x)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_what_torch_traces_is_made_of_its_own_operations():
    from torch.fx.experimental.proxy_tensor import make_fx

    own, x, other = module("gru", 3, 4), torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    found = own(other)[0]
    traced = torch.jit.trace(own, (x,), check_trace=False)
    assert "Recurrence" not in str(traced.inlined_graph)
    with torch.no_grad():
        for graph in (make_fx(lambda x: own(x)[0])(x), lambda x: traced(x)[0]):
            torch.testing.assert_close(graph(other), found, rtol=1e-5, atol=1e-6)


def test_at_most_five_floats_a_unit_are_kept_for_the_way_back():
    for target in _native.targets():
        assert _native.train_saved_size(target, "gru", 64) == 4 * 64  # and the outputs


def test_a_norm_keeps_what_it_scaled_and_its_deviations():
    for target in _native.targets():
        assert _native.train_saved_size(target, "gru norm", 64) == (4 + 6) * 64 + 16
        assert _native.train_saved_size(target, "gru before norm", 64) == (3 + 6) * 64 + 16


WRONG = [
    ({"cell": "elman"}, "unknown cell 'elman'; choose one of gru, "),
    ({"batch_sizes": np.array([2, 3])}, r"batch_sizes\[1\] must be from 1 to the size of the step before, found 3"),
    ({"batch_sizes": np.array([1, 1])}, "batch_sizes must start with 2, the number of rows of initial_states"),
    ({"x": np.zeros((3, 3), np.float32)}, "x must have length 4 along axis 0, found 3"),
    ({"W": np.zeros((12, 2), np.float32)}, "W must have length 3 along axis 1, found 2"),
    ({"R": np.zeros((12, 3), np.float32)}, "R must have length 4 along axis 1, found 3"),
    ({"saved": np.zeros((4, 3), np.float32)}, "saved must have length .* along axis 1, found 3"),
    ({"y": np.zeros((4, 5), np.float32)}, "y must have length 4 along axis 1, found 5"),
    ({"cell": "gru norm"}, "params must have length 12 along axis 0, found 0"),
    ({"params": np.zeros((0, 5), np.float32)}, "params must have length 4 along axis 1, found 5"),
    ({"target": "z80"}, "target 'z80' is not in this build"),
]


@pytest.mark.parametrize(("changed", "said"), WRONG)
def test_arrays_that_do_not_fit_are_refused(changed, said):
    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    given = {
        "target": _native.targets()[0],
        "cell": "gru",
        "x": zeros(4, 3),
        "batch_sizes": np.array([2, 2]),
        "initial_states": zeros(1, 2, 4),
        "W": zeros(12, 3),
        "b": zeros(12),
        "R": zeros(12, 4),
        "c": zeros(12),
        "params": zeros(0, 4),
        "y": zeros(4, 4),
        "final_states": zeros(1, 2, 4),
        "saved": None,
        "threads": 1,
    }
    _native.train_forward(**given)
    with pytest.raises(ValueError, match=said):
        _native.train_forward(**{**given, **changed})


def test_arrays_that_are_written_stand_apart():
    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    read = {
        "x": zeros(4, 4),
        "batch_sizes": np.array([2, 2]),
        "initial_states": zeros(1, 2, 4),
        "W": zeros(12, 4),
        "b": zeros(12),
        "R": zeros(12, 4),
        "c": zeros(12),
        "params": zeros(0, 4),
    }
    target, y, last = _native.targets()[0], zeros(4, 4), zeros(1, 2, 4)
    saved = zeros(4, _native.train_saved_size(target, "gru", 4))
    for changed, said in (
        ({"y": read["x"]}, "y and x"),
        ({"final_states": y[None, :2]}, "y and final_states"),
        ({"y": read["W"][:4]}, "y and W"),
    ):
        ahead = {**read, "y": y, "final_states": last, "saved": saved, **changed}
        with pytest.raises(ValueError, match=f"{said} must not overlap"):
            _native.train_forward(target, "gru", **ahead, threads=1)
    written = {
        "dx": zeros(4, 4),
        "dinitial_states": zeros(1, 2, 4),
        "dW": zeros(12, 4),
        "db": zeros(12),
        "dR": zeros(12, 4),
        "dc": zeros(12),
    }
    back = {
        **read,
        "y": y,
        "saved": saved,
        "dy": zeros(4, 4),
        "dfinal_states": last,
        **written,
        "dparams": zeros(0, 4),
        "threads": 1,
    }
    _native.train_backward(target, "gru", **back)
    for changed, said in (
        ({"dW": read["W"]}, "dW and W"),
        ({"dR": written["dW"]}, "dW and dR"),
        ({"dx": y}, "dx and y"),
    ):
        with pytest.raises(ValueError, match=f"{said} must not overlap"):
            _native.train_backward(target, "gru", **{**back, **changed})
