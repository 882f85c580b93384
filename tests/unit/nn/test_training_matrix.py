"""Training of every cell in every dialect, in any engine: gradients are those of its tape in float64.

The sizes are not multiples of the vector width, and large enough for two threads to share the work.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tidegate import cells, nn

Results = dict[str, torch.Tensor]
INPUTS, SIZE, STEPS = 21, 70, 10
ROWS = {"gru": 180, "lstm": 140, "rnn": 700, "mingru": 260}
KINDS = {"gru": "GRU", "lstm": "LSTM", "rnn": "RNN", "mingru": "MinGRU"}
Dialect = tuple[tuple[str, str], ...]
DIALECTS: list[tuple[str, Dialect]] = [
    (name, tuple({**dialect, "bias": bias}.items()))
    for name in cells.names()
    for dialect in cells.list_dialects(name)
    for bias in ("yes", "no")
]


def describe(name: str, dialect: Dialect) -> str:
    """Return the name and the choices that are not the default."""
    defaults = {key: choices[0] for key, choices in cells.load(name).dialects.items()}
    return " ".join([name, *(f"{key}={choice}" for key, choice in dialect if choice != defaults[key])])


every_dialect = pytest.mark.parametrize(("name", "dialect"), DIALECTS, ids=[describe(*case) for case in DIALECTS])


@pytest.fixture(autouse=True)
def threads():
    """Let a test set the number of threads, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch.set_num_threads
    torch.set_num_threads(before)


def make_module(name: str, dialect: Dialect, inputs: int, size: int, exact: bool = False, **options: Any) -> Any:
    """Create a module with fixed weights; exact: in float64, running its tape step by step."""
    choices = dict(dialect)
    options["bias"] = choices["bias"] == "yes"
    options["norm"] = choices["norm"] == "layer"
    options |= {key: choices[key] for key in ("reset", "update") if key in choices}
    if "activation" in choices:
        options["nonlinearity"] = choices["activation"]
    if "peepholes" in choices:
        options |= {"peepholes": choices["peepholes"] == "yes"}
        options |= {"proj_size": size // 2} if choices["projection"] == "yes" else {}
    torch.manual_seed(3)
    module = getattr(nn, KINDS[name])(inputs, size, **options)
    for key, weight in module.named_parameters():
        if key.startswith("norm_"):  # gains of 1 and biases of 0 would hide a bug
            weight.data += torch.rand(weight.shape) - 0.5
    module.fused = not exact
    return module.double() if exact else module


def is_native(name: str, dialect: Dialect) -> bool:
    return make_module(name, dialect, 1, 2).engine.startswith("native")


def test_only_a_projection_is_left_to_torch():
    assert {describe(*case) for case in DIALECTS if not is_native(*case)} == {
        describe(*case) for case in DIALECTS if ("projection", "yes") in case[1]
    }


class Batch:
    """Random inputs and initial states, and gradients of all outputs."""

    def __init__(self, own: Any, steps: int, rows: int, unequal: bool = False, initial: bool = True) -> None:
        generator = torch.Generator().manual_seed(5)

        def random(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator)

        D = len(own.directions)
        widths = [own.width if shape == ("P",) else own.hidden_size for shape in own.cell.tape.state.values()]
        self.x, self.dy = random(steps, rows, own.input_size), random(steps, rows, D * own.width)
        self.lengths = torch.randint(1, steps + 1, (rows,), generator=generator) if unequal else None
        if self.lengths is not None:
            self.lengths[0] = steps
        self.dlast = [random(D * own.num_layers, rows, width) for width in widths]
        self.first = [random(D * own.num_layers, rows, width) for width in widths] if initial else []

    def run_backward(self, own: Any, create_graph: bool = False) -> Results:
        """Return outputs, final states and all gradients, by name."""
        x = self.x.to(own.dtype, copy=True).requires_grad_()
        first = [v.to(own.dtype, copy=True).requires_grad_() for v in self.first]
        values = run(own, x, first, self.lengths)
        total = sum((v * d.to(own.dtype)).sum() for v, d in zip(values, (self.dy, *self.dlast), strict=True))
        leaves = {"x": x, **{f"first{i}": v for i, v in enumerate(first)}, **dict(own.named_parameters())}
        gradients = torch.autograd.grad(total, list(leaves.values()), create_graph=create_graph)
        named = {"y": values[0], **{f"last{i}": v for i, v in enumerate(values[1:])}}
        return {
            **{key: v.detach() for key, v in named.items()},
            **{f"d{key}": v for key, v in zip(leaves, gradients, strict=True)},
        }


def run(
    own: Any, x: torch.Tensor, first: list[torch.Tensor], lengths: torch.Tensor | None = None
) -> list[torch.Tensor]:
    """Return the outputs, padded again if they were packed, and the final states."""
    input = x if lengths is None else pack_padded_sequence(x, lengths, enforce_sorted=False)
    y, last = own(input, (first[0] if len(first) == 1 else tuple(first)) if first else None)
    y = y if lengths is None else pad_packed_sequence(y, total_length=len(x))[0]
    return [y, *((last,) if isinstance(last, torch.Tensor) else last)]


def assert_close(found: Results, right: Results, bound: float) -> None:
    assert list(found) == list(right)
    for key, value in found.items():
        exact = right[key].detach()
        worst = float((value.detach().double() - exact).abs().max())
        assert worst <= bound * max(1.0, float(exact.abs().max())), key


@cache
def expected_results(name: str, dialect: Dialect, unequal: bool, initial: bool) -> Results:
    own = make_module(name, dialect, INPUTS, SIZE, exact=True)
    return Batch(own, STEPS, ROWS[name], unequal, initial).run_backward(own)


@pytest.mark.parametrize("count", [1, 2])  # first, so that both follow each other and share what is right
@every_dialect
@pytest.mark.parametrize("unequal", [False, True], ids=["equal", "unequal"])
@pytest.mark.parametrize("initial", [False, True], ids=["zeros", "initial"])
def test_gradients_are_those_of_the_tape_in_float64(name, dialect, unequal, initial, count, threads):
    threads(count)
    own = make_module(name, dialect, INPUTS, SIZE)
    found = Batch(own, STEPS, ROWS[name], unequal, initial).run_backward(own)
    assert_close(found, expected_results(name, dialect, unequal, initial), 1e-5)


@every_dialect
def test_windows_with_a_carried_state_have_the_sum_of_the_gradients_of_each(name, dialect):
    def windows(exact: bool) -> tuple[Results, Results]:
        """Return the gradients of two windows together, and the sums of those of each alone."""
        own = make_module(name, dialect, 3, 11, exact)
        batch = Batch(own, 9, 4)
        x, dy = batch.x.to(own.dtype), batch.dy.to(own.dtype)
        state, losses = [v.to(own.dtype) for v in batch.first], []
        for part in (slice(0, 5), slice(5, 9)):
            y, *last = run(own, x[part], state)
            losses.append((y * dy[part]).sum())
            state = [v.detach() for v in last]
        weights = dict(own.named_parameters())
        together = torch.autograd.grad(losses[0] + losses[1], list(weights.values()), retain_graph=True)
        apart = [torch.autograd.grad(loss, list(weights.values())) for loss in losses]
        return dict(zip(weights, together, strict=True)), {k: a + b for k, a, b in zip(weights, *apart, strict=True)}

    (found, apart), (exact, _) = windows(False), windows(True)
    assert_close(found, exact, 1e-5)
    close = torch.equal if is_native(name, dialect) else torch.allclose
    assert all(close(found[key], apart[key]) for key in found)


@every_dialect
def test_windows_with_a_carried_state_have_the_outputs_of_the_whole(name, dialect):
    own = make_module(name, dialect, 3, 11)
    batch = Batch(own, 9, 4)
    whole, *end = run(own, batch.x, batch.first)
    before, *state = run(own, batch.x[:5], batch.first)
    after, *last = run(own, batch.x[5:], state)
    close = torch.equal if is_native(name, dialect) else torch.allclose
    assert close(torch.cat([before, after]), whole)
    assert all(close(a, b) for a, b in zip(last, end, strict=True))


@every_dialect
@pytest.mark.parametrize("unequal", [False, True], ids=["equal", "unequal"])
def test_gradients_of_gradients_are_those_of_the_tape(name, dialect, unequal):
    def twice(exact: bool) -> Results:
        own = make_module(name, dialect, 3, 11, exact)
        found = Batch(own, 5, 4, unequal).run_backward(own, create_graph=True)
        total = sum(v.pow(2).sum() for key, v in found.items() if key.startswith("d"))
        return dict(zip(dict(own.named_parameters()), torch.autograd.grad(total, list(own.parameters())), strict=True))

    assert_close(twice(False), twice(True), 1e-4)  # a norm of few numbers magnifies rounding errors


@every_dialect
def test_a_second_backward_pass_gives_the_same_gradients(name, dialect):
    own = make_module(name, dialect, 3, 11)
    batch = Batch(own, 7, 5, unequal=True)
    y, *_ = run(own, batch.x, batch.first, batch.lengths)
    first = torch.autograd.grad(y, list(own.parameters()), batch.dy, retain_graph=True)
    second = torch.autograd.grad(y, list(own.parameters()), batch.dy)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@every_dialect
def test_outputs_changed_in_place_are_refused_or_have_their_own_gradients(name, dialect):
    own = make_module(name, dialect, 3, 4)
    batch = Batch(own, 5, 2)
    expected = torch.autograd.grad(2 * own(batch.x)[0], list(own.parameters()), batch.dy)
    y = own(batch.x)[0].mul_(2)
    if is_native(name, dialect):  # the backward pass reads them
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
    else:
        found = torch.autograd.grad(y, list(own.parameters()), batch.dy)
        assert all(torch.allclose(a, b) for a, b in zip(found, expected, strict=True))


@every_dialect
@pytest.mark.parametrize("options", [{"num_layers": 2}, {"num_layers": 3, "residual": True}, {"bidirectional": True}])
def test_modules_of_several_recurrences_have_the_gradients_of_the_tape(name, dialect, options):
    own, exact = (make_module(name, dialect, 6, 23, exact, **options) for exact in (False, True))
    batch = Batch(own, 6, 5, unequal=True)
    assert_close(batch.run_backward(own), batch.run_backward(exact), 1e-5)


@every_dialect
def test_padding_has_no_effect(name, dialect):
    own = make_module(name, dialect, 6, 11, num_layers=2)
    batch = Batch(own, 6, 5, unequal=True)
    clean = batch.run_backward(own)
    padding = torch.arange(6)[:, None] >= batch.lengths
    batch.x[padding] = torch.nan
    found = batch.run_backward(own)
    assert all(torch.equal(value, clean[key]) for key, value in found.items())
    assert not found["dx"][padding].any()
