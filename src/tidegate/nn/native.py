"""Run and train recurrences in the native engine, as one autograd function: float32 on the CPU.

Outputs have the bits of the engine that runs the model file. Gradients of gradients, and those inside torch.func, are
computed by the tape.
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

# Name of a cell in the native engine, and the cell and dialect whose tape it computes.
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


# A subclass may store its numbers elsewhere, where only torch finds them.
PLAIN_TYPES = (Tensor, torch.nn.Parameter)


@cache
def load_tape(cell: str, dialect: tuple[tuple[str, str], ...]) -> Tape:
    return cells.load(cell, dict(dialect)).tape


def find_cell_name(tape: Tape) -> str | None:
    """Return the native engine's name of the cell with exactly this tape; None if it cannot train the tape."""
    return next((name for name, cell, dialect in CELLS if load_tape(cell, dialect) == tape), None)


def order_params(tape: Tape) -> list[str]:
    """Sort a tape's parameters as the native engine expects them: the cell's own, then gains, then biases of norms."""
    return sorted(tape.params, key=lambda name: name.startswith("gain_") + 2 * name.startswith("bias_"))


def accepts(x: Tensor, *others: Tensor) -> bool:
    """Return whether the native engine can read these tensors: plain, float32, on the CPU, and x not empty.

    >>> accepts(torch.zeros(2)), accepts(torch.zeros(2), torch.zeros(2).double()), accepts(torch.zeros(2, 0))
    (True, False, False)
    """
    plain = all(
        v.dtype == torch.float32 and v.device.type == "cpu" and v.layout == torch.strided and type(v) in PLAIN_TYPES
        for v in (x, *others)
    )
    return plain and not is_traced() and x.numel() > 0


def is_traced() -> bool:
    """Return whether torch has to see every operation: while it compiles, traces or transforms, and under autocast."""
    return transforms.needs_torch_ops() or torch.is_autocast_enabled("cpu")


def run(
    cell: str,
    x: Tensor,
    batch_sizes: npt.NDArray[np.int64],
    initial: Tensor,
    t: Mapping[str, Tensor],
    recompute: Recompute,
) -> tuple[Tensor, Tensor]:
    """Return the outputs [..., H], and the states [S, B, H] after each row's last step.

    cell: a name from `CELLS`. x: [..., inputs], packed step by step; batch_sizes[k] rows, the first ones, have a step
    k. initial: states [S, B, H] before the first step. t: W, R, the biases b and c if any, and params [O, H], the
    cell's parameters in the order of `order_params`, if any. recompute: the same by the tape, as a function of x,
    initial, W, R, b, c and params.
    """
    R = t["R"] if "R" in t else x.new_empty(0, initial.shape[2])  # a cell without recurrent maps
    tensors = (x, initial, t["W"], R, t.get("b"), t.get("c"), t.get("params"))
    keep = torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in tensors)
    y, last, _ = NativeRecurrence.apply((target_name(), cell), batch_sizes, keep, recompute, *tensors)  # type: ignore[no-untyped-call]
    return y, last


class NativeRecurrence(torch.autograd.Function):
    """A recurrence in the native engine; see `run` for the arguments.

    engine: target and cell, the same forward and backward. keep: save the gates, because a gradient may be needed.
    """

    @staticmethod
    def forward(
        engine: tuple[str, str],
        batch_sizes: npt.NDArray[np.int64],
        keep: bool,
        recompute: Recompute,
        *tensors: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, initial, W, R, b, c, params = tensors
        assert x is not None
        assert initial is not None
        (target, cell), H = engine, initial.shape[2]
        y, last = x.new_empty(*x.shape[:-1], H), initial.new_empty(initial.shape)
        saved = x.new_empty(y.numel() // H if keep else 0, _native.train_saved_size(target, cell, H))
        written: dict[str, Any] = {"y": as_rows(y), "final_states": as_array(last)}
        written["saved"] = as_array(saved) if keep else None
        read = native_arguments(x, batch_sizes, initial, W, b, R, c, params)
        _native.train_forward(target, cell, **read, **written, threads=torch.get_num_threads())
        return y, last, saved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.engine, ctx.batch_sizes, _, ctx.recompute, *tensors = inputs
        y, _, saved = output
        ctx.mark_non_differentiable(saved)
        ctx.set_materialize_grads(False)  # else torch would make zeros of the size of the saved gates
        ctx.save_for_backward(*tensors, y, saved)

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dlast: Tensor | None, _: Any) -> tuple[Tensor | None, ...]:
        *tensors, y, saved = ctx.saved_tensors
        dy = torch.zeros_like(y) if dy is None else dy
        dlast = torch.zeros_like(tensors[1]) if dlast is None else dlast
        needed = ctx.needs_input_grad[4:]
        if needs_graph(dy, dlast):
            return (None,) * 4 + recompute_gradients(ctx.recompute, tensors, needed, dy, dlast)
        (target, cell), (x, initial, W, R, b, c, params) = ctx.engine, tensors
        read = native_arguments(x, ctx.batch_sizes, initial, W, b, R, c, params)
        shapes = {"dx": x.shape, "dinitial_states": initial.shape, "dW": W.shape, "dR": R.shape, "db": W.shape[:1]}
        shapes |= {"dc": R.shape[:1], "dparams": read["params"].shape}
        gradients = {name: W.new_empty(shape) for name, shape in shapes.items()}
        written: dict[str, Any] = {name: as_array(v) for name, v in gradients.items()}
        written["dx"] = as_rows(gradients["dx"]) if needed[0] else None
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
        return (None,) * 4 + tuple(v if need else None for v, need in zip(gradients.values(), needed, strict=True))


# torch binds the arguments to the signature at every call; binding all of them to one name is the fastest.
ALL_ARGUMENTS = inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL)
NativeRecurrence.forward.__signature__ = inspect.Signature([ALL_ARGUMENTS])  # type: ignore[attr-defined]


def needs_graph(*gradients: Tensor) -> bool:
    """Return whether a gradient has to consist of torch's operations.

    This is the case when it will be differentiated itself, is transformed, or when several are computed at once.
    """
    batched = any(map(torch._C._functorch.is_legacy_batchedtensor, gradients))
    return torch.is_grad_enabled() or batched or transforms.is_transformed()


def recompute_gradients(
    recompute: Callable[..., Any], inputs: list[Tensor | None], needed: tuple[bool, ...], *gradients: Tensor
) -> tuple[Tensor | None, ...]:
    """Compute the gradients of `recompute` by inputs, as a graph that can itself be differentiated.

    An input may depend on another one, such as an initial state on the same weights. torch passes that part of a
    gradient on, so here torch.func.vjp treats the inputs as independent. Autocast is off, as in the forward pass.
    """
    indices = [k for k, (v, need) in enumerate(zip(inputs, needed, strict=True)) if need and v is not None]

    def function(*values: Tensor) -> Any:
        replaced = dict(zip(indices, values, strict=True))
        return recompute(*(replaced.get(k, v) for k, v in enumerate(inputs)))

    with torch.autocast("cpu", enabled=False):
        vjp: Any = torch.func.vjp(function, *(inputs[k] for k in indices))[1]
        by_index = dict(zip(indices, vjp(gradients if len(gradients) > 1 else gradients[0]), strict=True))
    return tuple(by_index.get(k) for k in range(len(inputs)))


def target_name() -> str:
    """Return the instruction set that the engine uses; TargetError for a TIDEGATE_TARGET that this machine lacks."""
    try:
        return _native.default_target()
    except ValueError as error:
        raise TargetError(str(error)) from error


def as_array(v: Tensor) -> npt.NDArray[np.float32]:
    """Return the tensor's memory as an array if it is contiguous, else a copy."""
    array: npt.NDArray[np.float32] = (v.detach() if v.requires_grad else v).contiguous().numpy()
    return array


def as_rows(v: Tensor) -> npt.NDArray[np.float32]:
    """Return the same as rows [N, width]."""
    return as_array(v).reshape(-1, v.shape[-1])


def native_arguments(
    x: Tensor, batch_sizes: npt.NDArray[np.int64], initial: Tensor, W: Any, b: Any, R: Any, c: Any, params: Any
) -> dict[str, Any]:
    """Return the inputs of the native forward and backward functions, by argument name. Missing biases are zeros."""
    b, c = (v.new_zeros(v.shape[0]) if bias is None else bias for v, bias in ((W, b), (R, c)))
    return {
        "batch_sizes": batch_sizes,
        "x": as_rows(x),
        "params": np.empty((0, initial.shape[2]), np.float32) if params is None else as_array(params),
        "initial_states": as_array(initial),
        "W": as_array(W),
        "b": as_array(b),
        "R": as_array(R),
        "c": as_array(c),
    }
