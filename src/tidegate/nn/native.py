"""A recurrence of float32 rows on the CPU by the native engine, as one autograd function: outputs, states, gradients.

Outputs have the bits of the engine that runs the model file. Gradients of gradients, and those inside torch.func, are
worked out by the tape.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import _native, cells
from ..errors import TargetError
from ..tape import Tape
from . import transforms

Tensor = torch.Tensor
Recompute = Callable[..., tuple[Tensor, Tensor]]

# The native engine's name of a cell, and the cell and dialect whose tape it computes.
WITHOUT_NORM: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("gru", "gru", ()),
    ("gru replace", "gru", (("update", "replace"),)),
    ("lstm", "lstm", ()),
    ("rnn tanh", "rnn", ()),
    ("rnn relu", "rnn", (("activation", "relu"),)),
    ("mingru", "mingru", ()),
    ("gru before", "gru", (("reset", "before"),)),
    ("gru before replace", "gru", (("reset", "before"), ("update", "replace"))),
    ("lstm peepholes", "lstm", (("peepholes", "yes"),)),
)
CELLS = WITHOUT_NORM + tuple(
    (f"{name} norm", cell, (*dialect, ("norm", "layer"))) for name, cell, dialect in WITHOUT_NORM
)


# A subclass may keep its numbers elsewhere; torch knows where.
PLAIN_TYPES = (Tensor, torch.nn.Parameter)


@cache
def load_tape(cell: str, dialect: tuple[tuple[str, str], ...]) -> Tape:
    return cells.load(cell, dict(dialect)).tape


def find_cell_name(tape: Tape) -> str | None:
    """The native engine's name of the cell that is exactly this tape; None when it trains no such cell."""
    return next((name for name, cell, dialect in CELLS if load_tape(cell, dialect) == tape), None)


def order_params(tape: Tape) -> list[str]:
    """A tape's parameters in the native engine's order: the cell's own, its norms' gains, then their biases."""
    return sorted(tape.params, key=lambda name: name.startswith("gain_") + 2 * name.startswith("bias_"))


def accepts(x: Tensor, *others: Tensor) -> bool:
    """Whether these are tensors that the native engine reads: plain, float32, in the CPU's memory, some of it in x.

    >>> takes(torch.zeros(2)), takes(torch.zeros(2), torch.zeros(2).double()), takes(torch.zeros(2, 0))
    (True, False, False)
    """
    given = (x, *others)
    plain = all(
        v.dtype == torch.float32 and v.device.type == "cpu" and v.layout == torch.strided and type(v) in PLAIN_TYPES
        for v in given
    )
    return plain and not is_traced() and x.numel() > 0


def is_traced() -> bool:
    """Whether torch itself is to run all there is now: while it compiles, traces or transforms, as then it sees its own
    operations alone, and where autocast chooses the numbers.
    """
    return transforms.needs_torch_ops() or torch.is_autocast_enabled("cpu")


def run(
    cell: str,
    x: Tensor,
    batch_sizes: npt.NDArray[np.int64],
    initial: Tensor,
    t: Mapping[str, Tensor],
    recompute: Recompute,
) -> tuple[Tensor, Tensor]:
    """Outputs [..., H], and the states [S, B, H] after each row's last step.

    cell: a name of `CELLS`. x [..., inputs]: step after step, rows[k] of the rows (the first ones) have a step k. first
    [S, B, H]: states before the first step. t: W, R, where there are biases b, c, and where the cell has parameters of
    its own own [O, H], in the order of `own_names`. recompute: the same by the tape, of (x, first, W, R, b, c, own).
    """
    R = t["R"] if "R" in t else x.new_empty(0, initial.shape[2])  # of a cell without recurrent maps
    given = (x, initial, t["W"], R, t.get("b"), t.get("c"), t.get("own"))
    keep = torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in given)
    y, last, _ = NativeRecurrence.apply((target_name(), cell), batch_sizes, keep, recompute, *given)  # type: ignore[no-untyped-call]
    return y, last


class NativeRecurrence(torch.autograd.Function):
    """The arguments of `run`; runs: target and cell, of both ways; keep: whether saved gates may be needed."""

    @staticmethod
    def forward(
        runs: tuple[str, str], rows: npt.NDArray[np.int64], keep: bool, recompute: Recompute, *given: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, first, W, R, b, c, own = given
        assert x is not None
        assert first is not None
        (target, cell), H = runs, first.shape[2]
        y, last = x.new_empty(*x.shape[:-1], H), first.new_empty(first.shape)
        saved = x.new_empty(y.numel() // H if keep else 0, _native.train_saved_size(target, cell, H))
        written: dict[str, Any] = {"y": as_rows(y), "final_states": as_array(last)}
        written["saved"] = as_array(saved) if keep else None
        read = native_arguments(x, rows, first, W, b, R, c, own)
        _native.train_forward(target, cell, **read, **written, threads=torch.get_num_threads())
        return y, last, saved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.runs, ctx.rows, _, ctx.recompute, *given = inputs
        y, _, saved = output
        ctx.mark_non_differentiable(saved)
        ctx.set_materialize_grads(False)  # the saved gates would be given zeros of their size
        ctx.save_for_backward(*given, y, saved)

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dlast: Tensor | None, _: Any) -> tuple[Tensor | None, ...]:
        *given, y, saved = ctx.saved_tensors
        dy = torch.zeros_like(y) if dy is None else dy
        dlast = torch.zeros_like(given[1]) if dlast is None else dlast
        needed = ctx.needs_input_grad[4:]
        if needs_graph(dy, dlast):
            return (None,) * 4 + recompute_gradients(ctx.recompute, given, needed, dy, dlast)
        (target, cell), (x, first, W, R, b, c, own) = ctx.runs, given
        read = native_arguments(x, ctx.rows, first, W, b, R, c, own)
        shapes = {"dx": x.shape, "dinitial_states": first.shape, "dW": W.shape, "dR": R.shape, "db": W.shape[:1]}
        shapes |= {"dc": R.shape[:1], "dparams": read["params"].shape}
        made = {name: W.new_empty(shape) for name, shape in shapes.items()}
        written: dict[str, Any] = {name: as_array(v) for name, v in made.items()}
        written["dx"] = as_rows(made["dx"]) if needed[0] else None
        _native.train_backward(
            target,
            cell,
            **read,
            y=as_rows(y),
            saved=as_array(saved),
            dy=as_rows(dy),
            dfinal_states=as_array(dlast),
            **written,
            threads=torch.get_num_threads(),
        )
        return (None,) * 4 + tuple(v if need else None for v, need in zip(made.values(), needed, strict=True))


# torch binds the arguments to it at each call: to one name that takes them all, as every other would cost its time.
ALL = inspect.Parameter("given", inspect.Parameter.VAR_POSITIONAL)
NativeRecurrence.forward.__signature__ = inspect.Signature([ALL])  # type: ignore[attr-defined]


def needs_graph(*gradients: Tensor) -> bool:
    """Whether a gradient has to be made of operations that torch knows: it will be differentiated, or is transformed,
    or several are worked out at once."""
    batched = any(map(torch._C._functorch.is_legacy_batchedtensor, gradients))
    return torch.is_grad_enabled() or batched or transforms.is_transformed()


def recompute_gradients(
    recompute: Callable[..., Any], given: list[Tensor | None], needed: tuple[bool, ...], *gradients: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients once more, as a graph that can itself be differentiated.

    What is given may itself come from what is given (a first state from the same weights), and that part of a gradient
    is torch's to hand on: torch.func.vjp takes each as standing alone. Autocast was off on the way ahead, too.
    """
    asked = [k for k, (v, need) in enumerate(zip(given, needed, strict=True)) if need and v is not None]

    def of_asked(*values: Tensor) -> Any:
        found = dict(zip(asked, values, strict=True))
        return recompute(*(found.get(k, v) for k, v in enumerate(given)))

    with torch.autocast("cpu", enabled=False):
        pull: Any = torch.func.vjp(of_asked, *(given[k] for k in asked))[1]
        found = dict(zip(asked, pull(gradients if len(gradients) > 1 else gradients[0]), strict=True))
    return tuple(found.get(k) for k in range(len(given)))


def target_name() -> str:
    """The instruction set that runs here; TargetError for a TIDEGATE_TARGET that this machine has not."""
    try:
        return _native.default_target()
    except ValueError as error:
        raise TargetError(str(error)) from error


def as_array(v: Tensor) -> npt.NDArray[np.float32]:
    """The tensor's own memory where it is contiguous, else a copy."""
    found: npt.NDArray[np.float32] = (v.detach() if v.requires_grad else v).contiguous().numpy()
    return found


def as_rows(v: Tensor) -> npt.NDArray[np.float32]:
    """The same as rows, [N, width]."""
    return as_array(v).reshape(-1, v.shape[-1])


def native_arguments(
    x: Tensor, batch_sizes: npt.NDArray[np.int64], initial: Tensor, W: Any, b: Any, R: Any, c: Any, params: Any
) -> dict[str, Any]:
    """What both ways read, by the native functions' names; absent biases are zeros, absent parameters none."""
    b, c = (v.new_zeros(v.shape[0]) if bias is None else bias for v, bias in ((W, b), (R, c)))
    of_its_own = np.empty((0, initial.shape[2]), np.float32) if params is None else as_array(params)
    read = {"initial_states": initial, "W": W, "b": b, "R": R, "c": c}
    return {
        "batch_sizes": batch_sizes,
        "x": as_rows(x),
        "params": of_its_own,
        **{name: as_array(v) for name, v in read.items()},
    }
