"""A tape over whole sequences in torch: by the native engine, torch's own kernel, a scan over time, or step by step."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from .. import cells
from ..layers import recurrent as layer_room
from ..tape import Tape, concrete, interpret, is_linear, width
from . import native as engine_room
from . import packing, scan
from .ops import TorchOps
from .transforms import by_tape

Tensors = dict[str, torch.Tensor]
Layer = dict[str, Any]

# Kernel of torch, and the cell and dialect whose tape it computes; the parity tests hold kernel and tape together.
KERNELS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("gru", "gru", ()),
    ("lstm", "lstm", ()),
    ("lstm", "lstm", (("projection", "yes"),)),
    ("rnn_tanh", "rnn", ()),
    ("rnn_relu", "rnn", (("activation", "relu"),)),
)


LOADED: dict[tuple[str, tuple[tuple[str, str], ...]], cells.Cell] = {}


def cell_of(name: str, dialect: tuple[tuple[str, str], ...]) -> cells.Cell:
    """A cell of tidegate's own, loaded once; `tidegate.cells.load` has the errors."""
    if (name, dialect) not in LOADED:  # torch.compile would look behind functools.cache
        LOADED[name, dialect] = cells.load(name, dict(dialect))
    return LOADED[name, dialect]


def kernel_of(tape: Tape) -> str | None:
    """The name of the kernel in torch that computes exactly this tape; None when there is none."""
    return next((kernel for kernel, cell, dialect in KERNELS if cell_of(cell, dialect).tape == tape), None)


def engine(tape: Tape, dtype: torch.dtype = torch.float32, device: str = "cpu", native: bool = True) -> str:
    """Which code runs a tape over numbers of this dtype on this kind of device.

    'native gru' (any name in `native.CELLS`): float32 on the CPU where the native engine trains this very
    cell, unless `native` is False; 'torch gru kernel' (lstm, rnn_tanh, rnn_relu): where the tape is that kernel's own
    equation; 'linear scan': where it is linear in its states; else 'tape'.

    >>> engine(cells.load("gru").tape), engine(cells.load("gru").tape, torch.float64)
    ('native gru', 'torch gru kernel')
    >>> engine(cells.load("mingru").tape, native=False), engine(cells.load("gru", {"norm": "layer"}).tape)
    ('linear scan', 'native gru norm')
    """
    if native and dtype == torch.float32 and device == "cpu" and (cell := engine_room.cell_of(tape)):
        return f"native {cell}"
    if kernel := kernel_of(tape):
        return f"torch {kernel} kernel"
    return "linear scan" if is_linear(tape) else "tape"


def sequence(
    layer: Layer,
    tape: Tape,
    t: Tensors,
    x: torch.Tensor,
    fused: bool = True,
    state: Tensors | None = None,
    native: bool = True,
) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
    """Outputs [T, B, outputs] and every step's states, name -> [T, B, *shape], of a layer over x [T, B, inputs].

    fused: whether anything but the tape, step by step, may be used; native: whether the native engine may. state: name
    -> [B, *shape] before the first step; zeros if not given. What stands behind a row's length does not reach back, so
    right padding needs no mask here.
    """
    start, fused = flat(layer, tape, x, x.shape[1], state), fused and not by_tape()
    if fused and (found := by_whole_rows(layer, tape, t, x, None, start, native)):
        y, _ = found
        return y, LazyStates(tuple(tape.state), {"h": y}, lambda: by_equation(layer, tape, t, x, state)[1])
    if fused and is_linear(tape):
        y, every = scan.solved(tape, *bound(layer, tape, t, x), start)
        return y, shaped(layer, tape, every)
    return by_equation(layer, tape, t, x, state)


def by_equation(
    layer: Layer, tape: Tape, t: Tensors, x: torch.Tensor, state: Tensors | None = None
) -> tuple[torch.Tensor, Tensors]:
    """The same for any cell: its tape, step by step."""
    outputs, states, _ = stepped(layer, tape, t, x, None, flat(layer, tape, x, x.shape[1], state))
    every = {name: torch.stack([s[name] for s in states]) for name in tape.state}
    return torch.stack(outputs), shaped(layer, tape, every)


def last(
    layer: Layer,
    tape: Tape,
    t: Tensors,
    x: torch.Tensor,
    sizes: torch.Tensor | None = None,
    state: Tensors | None = None,
    backward: bool = False,
    fused: bool = True,
    native: bool = True,
) -> tuple[torch.Tensor, Tensors]:
    """Outputs in the layout of x, and the states after each row's last step, name -> [B, *shape].

    x: [T, B, inputs], or with `sizes` packed [N, inputs], the longest row first: sizes[k] rows, int64 on the CPU, have
    a step k. state, fused, native: as in `sequence`. backward: from each row's last step to its
    first; outputs stay at their inputs.
    """
    rows = x.shape[1] if sizes is None else int(sizes[0])
    start, fused = flat(layer, tape, x, rows, state), fused and not by_tape()
    given = packing.reversed_in_time(x, sizes) if backward else x
    if fused and (found := by_whole_rows(layer, tape, t, given, sizes, start, native)):
        y, s = found
    elif fused and is_linear(tape):
        y, s = by_scan(layer, tape, t, given, sizes, start)
    else:
        outputs, _, s = stepped(layer, tape, t, given, sizes, start)
        y = torch.cat(outputs) if sizes is not None else torch.stack(outputs)
    return packing.reversed_in_time(y, sizes) if backward else y, shaped(layer, tape, s)


def by_whole_rows(
    layer: Layer, tape: Tape, t: Tensors, x: torch.Tensor, sizes: torch.Tensor | None, start: Tensors, natively: bool
) -> tuple[torch.Tensor, Tensors] | None:
    """Outputs and last states by the native engine, else by torch's kernel; None when neither computes this tape."""
    if sizes is not None and torch._C._functorch.get_interpreter_stack():  # inside torch.func they lie nowhere
        return None
    if natively and (cell := engine_room.cell_of(tape)) and engine_room.takes(x, *t.values(), *start.values()):
        return by_native(cell, layer, tape, t, x, sizes, start)
    if kernel := kernel_of(tape):
        return by_kernel(kernel, tape, t, x, sizes, start)
    return None


def by_native(
    cell: str, layer: Layer, tape: Tape, t: Tensors, x: torch.Tensor, sizes: torch.Tensor | None, start: Tensors
) -> tuple[torch.Tensor, Tensors]:
    """Outputs and last states by the native engine, which trains a cell of this name."""
    rows = np.full(x.shape[0], x.shape[1], np.int64) if sizes is None else sizes.numpy()
    names = engine_room.own_names(tape)

    def recompute(x: torch.Tensor, first: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        *shared, own = weights
        roles = {role: v for role, v in zip(("W", "R", "b", "c"), shared, strict=True) if v is not None}
        roles |= {f"p.{name}": own[k] for k, name in enumerate(names)}
        counts, state = torch.from_numpy(rows), dict(zip(tape.state, first, strict=True))
        y, _, s = stepped(layer, tape, roles, x.flatten(0, -2), counts, state)
        return torch.cat(y).reshape(*x.shape[:-1], -1), torch.stack([s[name] for name in tape.state])

    states = [start[name] for name in tape.state]
    first = torch.stack(states) if len(states) > 1 else states[0].unsqueeze(0)
    t = {**t, "own": torch.stack([t[f"p.{name}"] for name in names])} if names else t
    y, s = engine_room.run(cell, x, rows, first, t, recompute)
    return y, dict(zip(tape.state, s, strict=True))


def by_kernel(
    name: str, tape: Tape, t: Tensors, x: torch.Tensor, sizes: torch.Tensor | None, state: Tensors
) -> tuple[torch.Tensor, Tensors]:
    """Outputs and last states by the kernel in torch that computes this tape, one layer and direction."""
    first = tuple(state[name][None] for name in tape.state)
    hx: Any = first if len(first) > 1 else first[0]
    weights = [t[role] for role in ("W", "R", "b", "c", "Q") if role in t]
    ahead, behind = ((x, hx), (False,)) if sizes is None else ((x, sizes, hx), ())
    kernel: Callable[..., Any] = getattr(torch._VF, name)
    learns = torch.is_grad_enabled() or torch._C._is_tracing()  # what is traced may be trained, and is compared without
    with ignore_warning() if tape.projected else nullcontext():
        y, *final = kernel(*ahead, weights, "b" in t, 1, 0.0, learns, False, *behind)
    return y, {name: v[0] for name, v in zip(tape.state, final, strict=True)}


@contextmanager
def ignore_warning() -> Iterator[None]:
    """Without torch's warning that oneDNN has no projection: another of its kernels runs, and nothing can be done."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        yield


def step_by_kernel(name: str, t: Tensors, x: torch.Tensor, state: Tensors) -> Tensors:
    """The next states [B, H] by a kernel in torch of one step; x: [B, inputs]."""
    hx: Any = tuple(state.values()) if len(state) > 1 else state["h"]
    kernel: Callable[..., Any] = getattr(torch._VF, f"{name}_cell")
    found = kernel(x, hx, t["W"], t["R"], t.get("b"), t.get("c"))
    return dict(zip(state, found if len(state) > 1 else (found,), strict=True))


def step_by_tape(layer: Layer, tape: Tape, t: Tensors, x: torch.Tensor, state: Tensors) -> Tensors:
    """The same of any cell, by its tape."""
    return interpret(tape, TorchOps, *bound(layer, tape, t, x), state)[1]


def by_scan(
    layer: Layer, tape: Tape, t: Tensors, x: torch.Tensor, sizes: torch.Tensor | None, state: Tensors
) -> tuple[torch.Tensor, Tensors]:
    """Outputs and last states of a linear tape, all steps at once."""
    padded, lengths = packing.padded(x, sizes)
    y, every = scan.solved(tape, *bound(layer, tape, t, padded), state)
    rows = torch.arange(padded.shape[1], device=x.device)
    return packing.packed(y, lengths, sizes), {n: v[lengths.to(x.device) - 1, rows] for n, v in every.items()}


def stepped(
    layer: Layer, tape: Tape, t: Tensors, x: torch.Tensor, sizes: torch.Tensor | None, state: Tensors
) -> tuple[list[torch.Tensor], list[Tensors], Tensors]:
    """Each step's output and states, and the states after each row's last step; a step sees only rows that have it."""
    counts = [x.shape[1]] * x.shape[0] if sizes is None else sizes.tolist()
    gates, maps, own = bound(layer, tape, t, x if sizes is not None else x.flatten(0, 1))
    parts = {g: torch.split_with_sizes(v, counts) for g, v in gates.items()}
    outputs: list[torch.Tensor] = []
    states: list[Tensors] = []
    ended: list[Tensors] = []
    s = state
    for k, n in enumerate(counts):
        if n < (before := counts[max(k - 1, 0)]):
            ended.append({name: v[n:before] for name, v in s.items()})
            s = {name: v[:n] for name, v in s.items()}
        y, s = interpret(tape, TorchOps, {g: v[k] for g, v in parts.items()}, maps, own, s)
        outputs.append(y)
        states.append(s)
    return outputs, states, {name: torch.cat([part[name] for part in (s, *reversed(ended))]) for name in tape.state}


def bound(layer: Layer, tape: Tape, t: Tensors, x: torch.Tensor) -> tuple[Tensors, dict[str, Any], Tensors]:
    """What a tape reads besides its states: input parts, recurrent maps, params. Absent biases are zeros."""
    H = layer["size"]
    absent = {role: x.new_zeros(t[of].shape[0]) for role, of in (("b", "W"), ("c", "R")) if of in t and role not in t}
    t = {**t, **absent}
    parts = TorchOps.split(TorchOps.affine(x, t["W"], t["b"]), len(tape.gates))
    own = {name: t[f"p.{name}"].reshape(-1) for name in tape.params}
    return dict(zip(tape.gates, parts, strict=True)), layer_room.maps(TorchOps, t, tape, H), own


def flat(layer: Layer, tape: Tape, x: torch.Tensor, rows: int, state: Tensors | None) -> Tensors:
    """The states before the first step as a tape reads them, [rows, width]: where none are given the layer's own, which
    are zeros unless it says otherwise."""
    sizes = layer_room.sizes(layer)
    if state is None:
        first = {name: x.new_zeros(rows, width(shape, *sizes)) for name, shape in tape.state.items()}
        own = {name: x.new_tensor(value).reshape(1, -1) for name, value in layer.get("initial", {}).items()}
        return {
            name: own[name].expand_as(zeros).contiguous() if name in own else zeros for name, zeros in first.items()
        }
    return {name: state[name].reshape(rows, width(shape, *sizes)) for name, shape in tape.state.items()}


def shaped(layer: Layer, tape: Tape, states: Tensors) -> Tensors:
    """Flat states in their declared shapes."""
    sizes = layer_room.sizes(layer)
    return {name: v.reshape(*v.shape[:-1], *concrete(tape.state[name], *sizes)) for name, v in states.items()}


class LazyStates(Mapping[str, torch.Tensor]):
    """States of every step; those that a kernel keeps to itself are made by the tape when first asked for."""

    def __init__(self, names: tuple[str, ...], known: Tensors, make: Callable[[], Tensors]) -> None:
        self.names, self.known, self.make = names, known, make

    def __getitem__(self, name: str) -> torch.Tensor:
        if name in self.names and name not in self.known:
            self.known = {**self.make(), **self.known}
        return self.known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
