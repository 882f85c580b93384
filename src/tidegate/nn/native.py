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
UNNORMED: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
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
CELLS = UNNORMED + tuple((f"{name} norm", cell, (*dialect, ("norm", "layer"))) for name, cell, dialect in UNNORMED)


# A subclass may keep its numbers elsewhere; torch knows where.
PLAIN = (Tensor, torch.nn.Parameter)


@cache
def tape_of(cell: str, dialect: tuple[tuple[str, str], ...]) -> Tape:
    return cells.load(cell, dict(dialect)).tape


def cell_of(tape: Tape) -> str | None:
    """The native engine's name of the cell that is exactly this tape; None when it trains no such cell."""
    return next((name for name, cell, dialect in CELLS if tape_of(cell, dialect) == tape), None)


def own_names(tape: Tape) -> list[str]:
    """A tape's parameters in the native engine's order: the cell's own, its norms' gains, then their biases."""
    return sorted(tape.params, key=lambda name: name.startswith("gain_") + 2 * name.startswith("bias_"))


def takes(x: Tensor, *others: Tensor) -> bool:
    """Whether these are tensors that the native engine reads: plain, float32, in the CPU's memory, some of it in x.

    >>> takes(torch.zeros(2)), takes(torch.zeros(2), torch.zeros(2).double()), takes(torch.zeros(2, 0))
    (True, False, False)
    """
    given = (x, *others)
    plain = all(
        v.dtype == torch.float32 and v.device.type == "cpu" and v.layout == torch.strided and type(v) in PLAIN
        for v in given
    )
    return plain and not is_traced() and x.numel() > 0


def is_traced() -> bool:
    """Whether torch itself is to run all there is now: while it compiles, traces or transforms, as then it sees its own
    operations alone, and where autocast chooses the numbers.
    """
    return transforms.watched() or torch.is_autocast_enabled("cpu")


def run(
    cell: str, x: Tensor, rows: npt.NDArray[np.int64], first: Tensor, t: Mapping[str, Tensor], recompute: Recompute
) -> tuple[Tensor, Tensor]:
    """Outputs [..., H], and the states [S, B, H] after each row's last step.

    cell: a name of `CELLS`. x [..., inputs]: step after step, rows[k] of the rows (the first ones) have a step k. first
    [S, B, H]: states before the first step. t: W, R, where there are biases b, c, and where the cell has parameters of
    its own own [O, H], in the order of `own_names`. recompute: the same by the tape, of (x, first, W, R, b, c, own).
    """
    R = t["R"] if "R" in t else x.new_empty(0, first.shape[2])  # of a cell without recurrent maps
    given = (x, first, t["W"], R, t.get("b"), t.get("c"), t.get("own"))
    keep = torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in given)
    y, last, _ = Recurrence.apply((target_name(), cell), rows, keep, recompute, *given)  # type: ignore[no-untyped-call]
    return y, last


class Recurrence(torch.autograd.Function):
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
        written: dict[str, Any] = {"y": flat(y), "final_states": numbers(last)}
        written["saved"] = numbers(saved) if keep else None
        read = arrays(x, rows, first, W, b, R, c, own)
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
        if as_graph(dy, dlast):
            return (None,) * 4 + by_graph(ctx.recompute, given, needed, dy, dlast)
        (target, cell), (x, first, W, R, b, c, own) = ctx.runs, given
        read = arrays(x, ctx.rows, first, W, b, R, c, own)
        shapes = {"dx": x.shape, "dinitial_states": first.shape, "dW": W.shape, "dR": R.shape, "db": W.shape[:1]}
        shapes |= {"dc": R.shape[:1], "dparams": read["params"].shape}
        made = {name: W.new_empty(shape) for name, shape in shapes.items()}
        written: dict[str, Any] = {name: numbers(v) for name, v in made.items()}
        written["dx"] = flat(made["dx"]) if needed[0] else None
        _native.train_backward(
            target,
            cell,
            **read,
            y=flat(y),
            saved=numbers(saved),
            dy=flat(dy),
            dfinal_states=numbers(dlast),
            **written,
            threads=torch.get_num_threads(),
        )
        return (None,) * 4 + tuple(v if need else None for v, need in zip(made.values(), needed, strict=True))


# torch binds the arguments to it at each call: to one name that takes them all, as every other would cost its time.
ALL = inspect.Parameter("given", inspect.Parameter.VAR_POSITIONAL)
Recurrence.forward.__signature__ = inspect.Signature([ALL])  # type: ignore[attr-defined]


def as_graph(*gradients: Tensor) -> bool:
    """Whether a gradient has to be made of operations that torch knows: it will be differentiated, or is transformed,
    or several are worked out at once."""
    batched = any(map(torch._C._functorch.is_legacy_batchedtensor, gradients))
    return torch.is_grad_enabled() or batched or transforms.transformed()


def by_graph(
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


def numbers(v: Tensor) -> npt.NDArray[np.float32]:
    """The tensor's own memory where it is contiguous, else a copy."""
    found: npt.NDArray[np.float32] = (v.detach() if v.requires_grad else v).contiguous().numpy()
    return found


def flat(v: Tensor) -> npt.NDArray[np.float32]:
    """The same as rows, [N, width]."""
    return numbers(v).reshape(-1, v.shape[-1])


def arrays(
    x: Tensor, rows: npt.NDArray[np.int64], first: Tensor, W: Any, b: Any, R: Any, c: Any, own: Any
) -> dict[str, Any]:
    """What both ways read, by the native functions' names; absent biases are zeros, absent parameters none."""
    b, c = (v.new_zeros(v.shape[0]) if bias is None else bias for v, bias in ((W, b), (R, c)))
    of_its_own = np.empty((0, first.shape[2]), np.float32) if own is None else numbers(own)
    read = {"initial_states": first, "W": W, "b": b, "R": R, "c": c}
    return {"batch_sizes": rows, "x": flat(x), "params": of_its_own, **{name: numbers(v) for name, v in read.items()}}
