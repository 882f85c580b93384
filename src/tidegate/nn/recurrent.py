"""Run a tape over whole sequences: in the native engine, torch's kernel, a scan over time, or step by step."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from .. import cells
from ..layers.recurrent import Recurrent
from ..tape import Tape, flat_width, interpret, is_linear, resolve_shape
from . import native as native_engine
from . import packing, scan
from .ops import TorchOps
from .transforms import needs_tape

Tensors = dict[str, torch.Tensor]

# Kernel of torch, and the cell and dialect whose tape it computes. The parity tests compare kernel and tape.
KERNELS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("gru", "gru", ()),
    ("lstm", "lstm", ()),
    ("lstm", "lstm", (("projection", "yes"),)),
    ("rnn_tanh", "rnn", ()),
    ("rnn_relu", "rnn", (("activation", "relu"),)),
)


LOADED_CELLS: dict[tuple[str, tuple[tuple[str, str], ...]], cells.Cell] = {}


def load_cell(name: str, dialect: tuple[tuple[str, str], ...]) -> cells.Cell:
    """Load one of tidegate's cells, once; errors as in `tidegate.cells.load`."""
    if (name, dialect) not in LOADED_CELLS:  # torch.compile would trace through functools.cache
        LOADED_CELLS[name, dialect] = cells.load(name, dict(dialect))
    return LOADED_CELLS[name, dialect]


BARE_LAYERS: dict[tuple[Any, int, int, int], Recurrent] = {}


def bare_layer(cell: tuple[str, tuple[tuple[str, str], ...]], inputs: int, size: int, project: int = 0) -> Recurrent:
    """Return the layer of a module, made once; its weights are in the module. cell: name and dialect. project: or 0."""
    key = (cell, inputs, size, project)
    if key not in BARE_LAYERS:  # as above
        BARE_LAYERS[key] = Recurrent(inputs=inputs, size=size, tape=load_cell(*cell).tape, project=project or None)
    return BARE_LAYERS[key]


def find_kernel(tape: Tape) -> str | None:
    """Return the name of torch's kernel that computes exactly this tape; None if there is none."""
    return next((kernel for kernel, cell, dialect in KERNELS if load_cell(cell, dialect).tape == tape), None)


def engine(tape: Tape, dtype: torch.dtype = torch.float32, device: str = "cpu", native: bool = True) -> str:
    """Return the name of the code that runs a tape for this dtype and kind of device.

    - 'native gru', or another name from `native.CELLS`: float32 on the CPU, if the native engine can train the cell
      and `native` is True.
    - 'torch gru kernel', or lstm, rnn_tanh, rnn_relu: the tape is exactly the equation of that kernel.
    - 'linear scan': the tape is linear in its states.
    - 'tape': all others, step by step.

    >>> engine(cells.load("gru").tape), engine(cells.load("gru").tape, torch.float64)
    ('native gru', 'torch gru kernel')
    >>> engine(cells.load("mingru").tape, native=False), engine(cells.load("gru", {"norm": "layer"}).tape)
    ('linear scan', 'native gru norm')
    """
    if native and dtype == torch.float32 and device == "cpu" and (cell := native_engine.find_cell_name(tape)):
        return f"native {cell}"
    if kernel := find_kernel(tape):
        return f"torch {kernel} kernel"
    return "linear scan" if is_linear(tape) else "tape"


def run_all_states(
    layer: Recurrent,
    t: Tensors,
    x: torch.Tensor,
    fused: bool = True,
    initial: Tensors | None = None,
    native: bool = True,
) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
    """Run a layer over x [T, B, inputs]: return the outputs [T, B, outputs] and the states after every step.

    States: name -> [T, B, *shape]. initial: states before the first step, name -> [B, *shape]; zeros if None. fused:
    allow code other than the tape, step by step. native: allow the native engine. A step does not depend on later ones,
    so right padding needs no mask here.
    """
    tape = layer.tape
    flat, fused = flatten_initial(layer, x, x.shape[1], initial), fused and not needs_tape()
    if fused and (result := run_fused(layer, t, x, None, flat, native)):
        y, _ = result
        return y, LazyStates(tuple(tape.state), {"h": y}, lambda: run_tape(layer, t, x, initial)[1])
    if fused and is_linear(tape):
        y, states = scan.run_linear_tape(tape, *bind_tape(layer, t, x), flat)
        return y, unflatten_states(layer, states)
    return run_tape(layer, t, x, initial)


def run_tape(
    layer: Recurrent, t: Tensors, x: torch.Tensor, initial: Tensors | None = None
) -> tuple[torch.Tensor, Tensors]:
    """Return what `run_all_states` does, for any cell: run its tape step by step."""
    outputs, steps, _ = run_steps(layer, t, x, None, flatten_initial(layer, x, x.shape[1], initial))
    states = {name: torch.stack([s[name] for s in steps]) for name in layer.tape.state}
    return torch.stack(outputs), unflatten_states(layer, states)


def run_final_states(
    layer: Recurrent,
    t: Tensors,
    x: torch.Tensor,
    batch_sizes: torch.Tensor | None = None,
    initial: Tensors | None = None,
    backward: bool = False,
    fused: bool = True,
    native: bool = True,
) -> tuple[torch.Tensor, Tensors]:
    """Run a layer: return the outputs in the layout of x, and the states after each row's last step.

    x: [T, B, inputs], or packed [N, inputs] with `batch_sizes`, int64 on the CPU: how many rows have each step, the
    longest row first. States: name -> [B, *shape]. initial, fused, native: as in `run_all_states`. backward: go from
    each row's last step to its first; each output stays at the step of its input.
    """
    rows = x.shape[1] if batch_sizes is None else int(batch_sizes[0])
    flat, fused = flatten_initial(layer, x, rows, initial), fused and not needs_tape()
    x = packing.reverse_time(x, batch_sizes) if backward else x
    if fused and (result := run_fused(layer, t, x, batch_sizes, flat, native)):
        y, s = result
    elif fused and is_linear(layer.tape):
        y, s = run_scan(layer, t, x, batch_sizes, flat)
    else:
        outputs, _, s = run_steps(layer, t, x, batch_sizes, flat)
        y = torch.cat(outputs) if batch_sizes is not None else torch.stack(outputs)
    return packing.reverse_time(y, batch_sizes) if backward else y, unflatten_states(layer, s)


def run_fused(
    layer: Recurrent,
    t: Tensors,
    x: torch.Tensor,
    batch_sizes: torch.Tensor | None,
    initial: Tensors,
    native: bool,
) -> tuple[torch.Tensor, Tensors] | None:
    """Run whole rows in the native engine, else in torch's kernel: return the outputs and the final states.

    None if neither computes this tape.
    """
    if batch_sizes is not None and torch._C._functorch.get_interpreter_stack():  # torch.func hides their values
        return None
    cell = native_engine.find_cell_name(layer.tape) if native else None
    if cell and native_engine.accepts(x, *t.values(), *initial.values()):
        return run_native(cell, layer, t, x, batch_sizes, initial)
    if kernel := find_kernel(layer.tape):
        return run_kernel(kernel, layer.tape, t, x, batch_sizes, initial)
    return None


def run_native(
    cell: str, layer: Recurrent, t: Tensors, x: torch.Tensor, batch_sizes: torch.Tensor | None, initial: Tensors
) -> tuple[torch.Tensor, Tensors]:
    """Run a cell in the native engine, by its name there: return the outputs and the final states."""
    tape = layer.tape
    counts = np.full(x.shape[0], x.shape[1], np.int64) if batch_sizes is None else batch_sizes.numpy()
    names = native_engine.order_params(tape)

    def recompute(x: torch.Tensor, states: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        *shared, params = weights
        roles = {role: v for role, v in zip(("W", "R", "b", "c"), shared, strict=True) if v is not None}
        roles |= {f"p.{name}": params[k] for k, name in enumerate(names)}
        initial = dict(zip(tape.state, states, strict=True))
        y, _, s = run_steps(layer, roles, x.flatten(0, -2), torch.from_numpy(counts), initial)
        return torch.cat(y).reshape(*x.shape[:-1], -1), torch.stack([s[name] for name in tape.state])

    parts = [initial[name] for name in tape.state]
    states = torch.stack(parts) if len(parts) > 1 else parts[0].unsqueeze(0)
    t = {**t, "params": torch.stack([t[f"p.{name}"] for name in names])} if names else t
    y, s = native_engine.run(cell, x, counts, states, t, recompute)
    return y, dict(zip(tape.state, s, strict=True))


def run_kernel(
    name: str, tape: Tape, t: Tensors, x: torch.Tensor, batch_sizes: torch.Tensor | None, initial: Tensors
) -> tuple[torch.Tensor, Tensors]:
    """Run one layer and direction in the kernel of torch with this name: return the outputs and the final states."""
    states = tuple(initial[name][None] for name in tape.state)
    hx: Any = states if len(states) > 1 else states[0]
    weights = [t[role] for role in ("W", "R", "b", "c", "Q") if role in t]
    inputs, batch_first = ((x, hx), (False,)) if batch_sizes is None else ((x, batch_sizes, hx), ())
    kernel: Callable[..., Any] = getattr(torch._VF, name)
    training = torch.is_grad_enabled() or torch._C._is_tracing()  # a trace may be trained later
    with ignore_warning() if tape.has_projection else nullcontext():
        y, *final = kernel(*inputs, weights, "b" in t, 1, 0.0, training, False, *batch_first)
    return y, {name: v[0] for name, v in zip(tape.state, final, strict=True)}


@contextmanager
def ignore_warning() -> Iterator[None]:
    """Silence torch's warning that oneDNN has no projections: torch runs another kernel, and users cannot change it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        yield


def step_with_kernel(name: str, t: Tensors, x: torch.Tensor, state: Tensors) -> Tensors:
    """Return the next states [B, H], by torch's kernel for one step; x: [B, inputs]."""
    hx: Any = tuple(state.values()) if len(state) > 1 else state["h"]
    kernel: Callable[..., Any] = getattr(torch._VF, f"{name}_cell")
    following = kernel(x, hx, t["W"], t["R"], t.get("b"), t.get("c"))
    return dict(zip(state, following if len(state) > 1 else (following,), strict=True))


def step_with_tape(layer: Recurrent, t: Tensors, x: torch.Tensor, state: Tensors) -> Tensors:
    """Return the next states of any cell, by its tape."""
    return interpret(layer.tape, TorchOps, *bind_tape(layer, t, x), state)[1]


def run_scan(
    layer: Recurrent, t: Tensors, x: torch.Tensor, batch_sizes: torch.Tensor | None, initial: Tensors
) -> tuple[torch.Tensor, Tensors]:
    """Run a linear tape over all steps at once: return the outputs and the final states."""
    padded, lengths = packing.pad(x, batch_sizes)
    y, states = scan.run_linear_tape(layer.tape, *bind_tape(layer, t, padded), initial)
    rows = torch.arange(padded.shape[1], device=x.device)
    return packing.pack(y, lengths, batch_sizes), {n: v[lengths.to(x.device) - 1, rows] for n, v in states.items()}


def run_steps(
    layer: Recurrent, t: Tensors, x: torch.Tensor, batch_sizes: torch.Tensor | None, initial: Tensors
) -> tuple[list[torch.Tensor], list[Tensors], Tensors]:
    """Run a tape step by step: return the outputs and states of every step, and the states after each row's last step.

    A step is computed for the rows that have it.
    """
    tape = layer.tape
    counts = [x.shape[1]] * x.shape[0] if batch_sizes is None else batch_sizes.tolist()
    gates, maps, params = bind_tape(layer, t, x if batch_sizes is not None else x.flatten(0, 1))
    parts = {g: torch.split_with_sizes(v, counts) for g, v in gates.items()}
    outputs: list[torch.Tensor] = []
    states: list[Tensors] = []
    ended: list[Tensors] = []
    s = initial
    for k, n in enumerate(counts):
        if n < (before := counts[max(k - 1, 0)]):
            ended.append({name: v[n:before] for name, v in s.items()})
            s = {name: v[:n] for name, v in s.items()}
        y, s = interpret(tape, TorchOps, {g: v[k] for g, v in parts.items()}, maps, params, s)
        outputs.append(y)
        states.append(s)
    return outputs, states, {name: torch.cat([part[name] for part in (s, *reversed(ended))]) for name in tape.state}


def bind_tape(layer: Recurrent, t: Tensors, x: torch.Tensor) -> tuple[Tensors, dict[str, Any], Tensors]:
    """Return what a tape reads besides its states: input parts, recurrent maps, params. Missing biases are zeros."""
    tape = layer.tape
    absent = {role: x.new_zeros(t[of].shape[0]) for role, of in (("b", "W"), ("c", "R")) if of in t and role not in t}
    t = {**t, **absent}
    parts = TorchOps.split(TorchOps.affine(x, t["W"], t["b"]), len(tape.gates))
    params = {name: t[f"p.{name}"].reshape(-1) for name in tape.params}
    return dict(zip(tape.gates, parts, strict=True)), layer.make_maps(TorchOps, t), params


def flatten_initial(layer: Recurrent, x: torch.Tensor, rows: int, initial: Tensors | None) -> Tensors:
    """Return the states before the first step as a tape reads them, [rows, width].

    Without `initial`, these are the layer's own, or zeros.
    """
    widths = {name: flat_width(shape, *layer.sizes) for name, shape in layer.tape.state.items()}
    if initial is not None:
        return {name: initial[name].reshape(rows, n) for name, n in widths.items()}
    own = {name: x.new_tensor(value).reshape(1, -1) for name, value in layer.initial.items()}
    return {
        name: own[name].expand(rows, n).contiguous() if name in own else x.new_zeros(rows, n)
        for name, n in widths.items()
    }


def unflatten_states(layer: Recurrent, states: Tensors) -> Tensors:
    """Reshape flat states to their declared shapes."""
    shapes = {name: resolve_shape(shape, *layer.sizes) for name, shape in layer.tape.state.items()}
    return {name: v.reshape(*v.shape[:-1], *shapes[name]) for name, v in states.items()}


class LazyStates(Mapping[str, torch.Tensor]):
    """The states of every step. Those that a kernel does not return are computed by the tape on first access."""

    def __init__(self, names: tuple[str, ...], known: Tensors, compute: Callable[[], Tensors]) -> None:
        self.names, self.known, self.compute = names, known, compute

    def __getitem__(self, name: str) -> torch.Tensor:
        if name in self.names and name not in self.known:
            self.known = {**self.compute(), **self.known}
        return self.known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
