"""Compare the outputs of a model with those of the torch module that its parts were taken from.

Both run on an example in float64. Any difference beyond rounding means that the parts are not the whole module: it may
average over the steps, apply a function between the parts, or use them in another order.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..errors import ModuleError
from ..layers import Layer
from ..model import Model
from ..reference import Reference

Floats = npt.NDArray[np.float64]
Lengths = npt.NDArray[np.int64]
TOLERANCE = 1e-9  # of float64 on both sides, relative to the largest number
FINAL_STATES_HINT = (
    "if your module reads torch.cat([h_n[-2], h_n[-1]], -1), the final states of both directions, pass "
    "tidegate.nn.FinalStates() after the recurrence"
)


class AlignedExample(NamedTuple):
    """One reading of an example's axes, and the output of the module in the layout of the model.

    x: [T, B, ...]. lengths: [B]. y: the module's output after every step, [T, B, O], or after the last step of each
    row, [1, B, O].
    """

    x: torch.Tensor
    lengths: Lengths
    y: Floats

    def run_model(self, model: Model) -> Floats:
        """Return the output of the model in float64, in the layout of y."""
        y = Reference(model).run(self.x.numpy(), self.lengths)[0]
        if len(self.y) == 1:
            return y[self.lengths - 1, np.arange(len(self.lengths))][None]
        return np.where(self.mask, y, 0.0)

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        return (np.arange(len(self.x))[:, None] < self.lengths)[..., None]


def compare(model: Model, like: Any, example: Any) -> None:
    """Raise ModuleError unless the model has the outputs of `like` for the example; see `tidegate.from_torch`."""
    if like is None:
        raise ModuleError("example is given without like; pass like=m, the module that the parts belong to")
    if not isinstance(like, torch.nn.Module):
        raise ModuleError(f"like is {type(like).__name__}; expected the torch.nn.Module that the parts belong to")
    if example is None:
        raise ModuleError("like is given without an example; pass example=x, an input of like with 2 steps or more")
    first, *more = example if isinstance(example, tuple) else (example,)
    x = check_example(model, first)
    y = run_like(like, x, more)
    width, ends_in_softmax = model.layers[-1].width, model.layers[-1].ends_in == "softmax"
    differing = []
    for aligned in align_example(x, y, width, is_batch_first(like), find_lengths(more)):
        ours = aligned.run_model(model)
        accepted = (aligned.y, softmax(aligned.y)) if ends_in_softmax else (aligned.y,)
        if any(largest_difference(ours, theirs) == 0 for theirs in accepted):
            return
        differing.append((ours, aligned))
    if not differing:
        raise ModuleError(
            f"like returns shape {list(y.shape)} for an example of shape {list(x.shape)}; expected [rows, {width}] "
            f"after the last step, or {width} outputs at every step, for rows of 2 steps or more, with lengths from 1"
        )
    raise ModuleError(describe_difference(model, *differing[0]))


def warn_of_one_step(model: Model) -> None:
    """Warn if the output depends on a backward direction that has seen only one step."""
    if (last := last_recurrence(model)) is not None and last.both_directions:
        warnings.warn(
            "the last recurrence is bidirectional and the output is that of the last step, where the backward "
            f"direction has seen only that step; {FINAL_STATES_HINT}; pass like= and example= to compare the outputs",
            UserWarning,
            stacklevel=3,
        )


def last_recurrence(model: Model) -> Layer | None:
    """Return the last recurrence, or what selects its final states."""
    return next((layer for layer in reversed(model.layers) if layer.tapes or layer.repeats), None)


def check_example(model: Model, example: Any) -> torch.Tensor:
    """Return the example as a tensor that fits the model's input: ids or numbers, of one row or several."""
    try:
        x = torch.as_tensor(example).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise ModuleError(f"example is {type(example).__name__}; expected a tensor, an input of like") from None
    (source,) = model.inputs.values()
    if source.features is None:
        if x.is_floating_point() or x.dim() not in (1, 2):
            raise ModuleError(
                f"example is {x.dtype} {list(x.shape)}; expected token ids, [rows, steps] or [steps, rows]"
            )
        if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < source.size:
            raise ModuleError(
                f"example has ids from {int(x.min())} to {int(x.max())}; expected ids from 0 to {source.size - 1}"
            )
        return x.long()
    features = source.features
    if x.dim() not in (2, 3) or x.shape[-1] != features:
        raise ModuleError(
            f"example has shape {list(x.shape)}; expected [rows, steps, {features}] or [steps, rows, {features}]"
        )
    return x.double()


def find_lengths(more: list[Any]) -> Lengths | None:
    """Return the lengths of the rows if they are the second argument of `like`."""
    if not more or not isinstance(more[0], torch.Tensor) or more[0].dim() != 1 or more[0].is_floating_point():
        return None
    return np.asarray(more[0].cpu().numpy(), np.int64)


def run_like(like: torch.nn.Module, x: torch.Tensor, more: list[Any]) -> torch.Tensor:
    """Run a copy of the module in float64 and eval mode; return the first of its results."""
    try:
        with default_float64(), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y: Any = copy.deepcopy(like).cpu().double().eval()(x, *more)
    except Exception as error:  # a user's code may raise anything
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        raise ModuleError(
            f"like fails on the example in float64: {type(error).__name__}: {reason}; pass an input of its forward, "
            "and create tensors in the forward with the dtype of its input"
        ) from error
    while isinstance(y, tuple | list) and y:
        y = y[0]
    if not isinstance(y, torch.Tensor) or not torch.isfinite(y).all():
        what = "numbers that are not finite" if isinstance(y, torch.Tensor) else type(y).__name__
        raise ModuleError(f"like returns {what} for the example; expected a tensor of finite numbers")
    return y.double()


@contextmanager
def default_float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def is_batch_first(like: torch.nn.Module) -> bool:
    return any(getattr(part, "batch_first", False) for part in like.modules())


def align_example(
    x: torch.Tensor, y: torch.Tensor, width: int, rows_first: bool, row_lengths: Lengths | None
) -> Iterator[AlignedExample]:
    """Yield every reading of the axes that fits the shapes, the likeliest first.

    Rows may come first, or steps, or there is one row without a batch axis.
    """
    single = x.dim() == (1 if x.dtype == torch.int64 else 2)
    for swap in (False,) if single else (rows_first, not rows_first):
        rows = x.unsqueeze(1) if single else x.transpose(0, 1) if swap else x
        T, B = rows.shape[:2]
        lengths = np.full(B, T) if row_lengths is None else row_lengths
        if T < 2 or not B or len(lengths) != B or lengths.min() < 1 or lengths.max() > T:
            continue
        if tuple(y.shape) in {(B, width), *([(B,)] if width == 1 else []), *([(width,)] if single else [])}:
            yield AlignedExample(rows, lengths, y.reshape(1, B, width).numpy())
            continue
        per_step = y.transpose(0, 1) if swap and y.dim() == 3 else y
        longest = int(lengths.max())  # the number of steps of a module that packs its rows
        for n in {T, longest}:
            if tuple(per_step.shape) in {(n, B, width), *([(n, width)] if single else [])}:
                aligned = AlignedExample(rows[:n], lengths, per_step.reshape(n, B, width).numpy())
                yield aligned._replace(y=np.where(aligned.mask, aligned.y, 0.0))


def softmax(y: Floats) -> Floats:
    """Return the softmax of logits or of log-probabilities, which differ by one number a row."""
    e = np.exp(y - y.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def largest_difference(ours: Floats, theirs: Floats) -> float:
    """Return the largest difference; 0 within the rounding errors of float64."""
    largest = float(np.abs(ours - theirs).max())
    return 0.0 if largest <= TOLERANCE * max(1.0, float(np.abs(theirs).max())) else largest


def describe_difference(model: Model, ours: Floats, aligned: AlignedExample) -> str:
    """Describe the size and the place of the largest difference, and how to correct it."""
    step, row, output = np.unravel_index(int(np.abs(ours - aligned.y).argmax()), ours.shape)
    when = f"step {step + 1}" if len(ours) > 1 else "the last step"
    our, their = ours[step, row, output], aligned.y[step, row, output]
    if any(layer.repeats for layer in model.layers):
        hint = "; leave FinalStates() out if its forward reads the outputs of the last step or of every step"
    else:
        hint = f"; {FINAL_STATES_HINT}" if any(layer.both_directions for layer in model.layers) else ""
    return (
        f"the model and like differ: the largest difference is {abs(our - their):.3g}, in row {row + 1} and output "
        f"{output + 1} after {when}: {their:.6g} in like and {our:.6g} in the model; pass everything that its forward "
        "does, in order and as modules, such as torch.nn.ReLU() where it calls relu; a mean or a maximum over the "
        f"steps cannot be converted{hint}"
    )
