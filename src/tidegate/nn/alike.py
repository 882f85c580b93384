"""A model beside the torch module that it was made of: both in float64 on an example, and a difference refused."""

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
from ..model import Model
from ..reference import Reference

Floats = npt.NDArray[np.float64]
CLOSE = 1e-9  # of float64 on both sides, relative to the largest number
FINAL = "torch.cat([h_n[-2], h_n[-1]], -1), the final states of both directions, is tidegate.nn.FinalStates()"


class Reading(NamedTuple):
    """One way to read an example and what a module made of it. x: [T, B, ...]; lengths: [B]; y: what the module
    gave, as the model's outputs stand: after every step [T, B, O] or after each row's last one [1, B, O]."""

    x: torch.Tensor
    lengths: npt.NDArray[np.int64]
    y: Floats

    def of(self, model: Model) -> Floats:
        """The same of the model in float64."""
        found = Reference(model).run(self.x.numpy(), self.lengths)[0]
        if len(self.y) == 1:
            return found[self.lengths - 1, np.arange(len(self.lengths))][None]
        return np.where(self.within, found, 0.0)

    @property
    def within(self) -> npt.NDArray[np.bool_]:
        return (np.arange(len(self.x))[:, None] < self.lengths)[..., None]


def compare(model: Model, like: Any, example: Any) -> None:
    """Raises ModuleError unless `like` gives the model's answers for the example; see `tidegate.from_torch`."""
    if like is None:
        raise ModuleError("example is given without like; give like=m, the module that the parts are of")
    if not isinstance(like, torch.nn.Module):
        raise ModuleError(f"like is {type(like).__name__}; expected the torch.nn.Module that the parts are of")
    if example is None:
        raise ModuleError("like is given without an example; give example=x, what like takes, of 2 steps or more")
    given, *more = example if isinstance(example, tuple) else (example,)
    x = taken(model, given)
    y = run(like, x, more)
    width, squash = outputs(model), model.layers[-1]["kind"] == "softmax"
    differences = []
    for reading in readings(x, y, width, batch_first(like), lengths_of(more)):
        found = reading.of(model)
        if any(differ(found, wanted) == 0 for wanted in (reading.y, *([softmax(reading.y)] if squash else []))):
            return
        differences.append((found, reading))
    if not differences:
        raise ModuleError(
            f"like gives {list(y.shape)} for an example of {list(x.shape)}; the model gives [rows, {width}] after the "
            "last step, of rows of 2 steps or more, each of 1 or more where lengths are given"
        )
    raise ModuleError(told(model, *differences[0]))


def warn_of_one_step(model: Model) -> None:
    """Warns of an answer that reads a backward direction where it has seen a single step."""
    kinds = [layer["kind"] for layer in model.layers]
    gathers = [i for i, kind in enumerate(kinds) if kind in ("bidirectional", "recurrent", "final")]
    if gathers and kinds[gathers[-1]] == "bidirectional":
        warnings.warn(
            "the last recurrence runs in both directions and the answer is that of a row's last step, where the "
            f"backward direction has seen that step alone; {FINAL} behind it, and like=, example= tell "
            "whether the answers are those of your module",
            UserWarning,
            stacklevel=3,
        )


def taken(model: Model, example: Any) -> torch.Tensor:
    """The example as a tensor that the model's input allows: ids or numbers, one row or several."""
    try:
        x = torch.as_tensor(example).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise ModuleError(f"example is {type(example).__name__}; expected the tensor that like takes") from None
    entry = model.document["input"]
    if entry["kind"] == "ids":
        if x.is_floating_point() or x.dim() not in (1, 2):
            raise ModuleError(
                f"example is {x.dtype} {list(x.shape)}; expected token ids, [rows, steps] or [steps, rows]"
            )
        if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < entry["size"]:
            raise ModuleError(
                f"example has ids of {int(x.min())} to {int(x.max())}; there are 0 to {entry['size'] - 1}"
            )
        return x.long()
    if x.dim() not in (2, 3) or x.shape[-1] != entry["features"]:
        raise ModuleError(
            f"example is of shape {list(x.shape)}; expected [rows, steps, {entry['features']}] or "
            f"[steps, rows, {entry['features']}]"
        )
    return x.double()


def lengths_of(more: list[Any]) -> npt.NDArray[np.int64] | None:
    """Each row's number of steps, where that is what `like` takes after the rows."""
    if not more or not isinstance(more[0], torch.Tensor) or more[0].dim() != 1 or more[0].is_floating_point():
        return None
    return np.asarray(more[0].cpu().numpy(), np.int64)


def run(like: torch.nn.Module, x: torch.Tensor, more: list[Any]) -> torch.Tensor:
    """What a copy of the module gives in float64 and eval mode; the first of several results."""
    try:
        with float64(), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y: Any = copy.deepcopy(like).cpu().double().eval()(x, *more)
    except Exception as error:  # of any code
        said = (str(error).strip().splitlines() or [""])[0][:200]
        raise ModuleError(
            f"like fails in float64 on the example: {type(error).__name__}: {said}; give what its forward takes, and "
            "let what it makes have the dtype of its input"
        ) from error
    while isinstance(y, tuple | list) and y:
        y = y[0]
    if not isinstance(y, torch.Tensor) or not torch.isfinite(y).all():
        what = "numbers that are not finite" if isinstance(y, torch.Tensor) else type(y).__name__
        raise ModuleError(f"like gives {what} for the example; expected a tensor of finite numbers")
    return y.double()


@contextmanager
def float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def batch_first(like: torch.nn.Module) -> bool:
    return any(getattr(part, "batch_first", False) for part in like.modules())


def readings(
    x: torch.Tensor, y: torch.Tensor, width: int, batched: bool, given: npt.NDArray[np.int64] | None
) -> Iterator[Reading]:
    """Every way in which the shapes fit, the likeliest first: rows or steps come first, or it is one row."""
    single = x.dim() == (1 if x.dtype == torch.int64 else 2)
    for swap in (False,) if single else (batched, not batched):
        rows = x.unsqueeze(1) if single else x.transpose(0, 1) if swap else x
        T, B = rows.shape[:2]
        lengths = np.full(B, T) if given is None else given
        if T < 2 or not B or len(lengths) != B or lengths.min() < 1 or lengths.max() > T:
            continue
        if tuple(y.shape) in {(B, width), *([(B,)] if width == 1 else []), *([(width,)] if single else [])}:
            yield Reading(rows, lengths, y.reshape(1, B, width).numpy())
            continue
        every = y.transpose(0, 1) if swap and y.dim() == 3 else y
        steps = int(lengths.max())  # a module that packs its rows gives no more
        for n in {T, steps}:
            if tuple(every.shape) in {(n, B, width), *([(n, width)] if single else [])}:
                reading = Reading(rows[:n], lengths, every.reshape(n, B, width).numpy())
                yield reading._replace(y=np.where(reading.within, reading.y, 0.0))


def outputs(model: Model) -> int:
    from ..layers import widths

    return widths(model.layers, model.document["input"].get("features"), model.tapes)[-1]


def softmax(y: Floats) -> Floats:
    """Of scores, or of their logarithms, which differ from them by one number a row."""
    e = np.exp(y - y.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def differ(found: Floats, wanted: Floats) -> float:
    """The largest difference; 0 within the roundings of float64."""
    largest = float(np.abs(found - wanted).max())
    return 0.0 if largest <= CLOSE * max(1.0, float(np.abs(wanted).max())) else largest


def told(model: Model, found: Floats, reading: Reading) -> str:
    """How large the difference is, and where."""
    step, row, output = np.unravel_index(int(np.abs(found - reading.y).argmax()), found.shape)
    when = f"step {step + 1}" if len(found) > 1 else "the last step"
    mine, theirs = found[step, row, output], reading.y[step, row, output]
    kinds = {layer["kind"] for layer in model.layers}
    if "final" in kinds:
        hint = "; leave FinalStates() out where its forward reads the outputs of the last step or of every step"
    else:
        hint = f"; {FINAL} behind the recurrence" if "bidirectional" in kinds else ""
    return (
        f"the parts do not answer as like does: the largest difference is {abs(mine - theirs):.3g}, of row {row + 1} "
        f"and output {output + 1} after {when}, {theirs:.6g} in like and {mine:.6g} in the model; give all "
        "that its forward does, in its order and as modules, such as torch.nn.ReLU() where it calls relu; a mean or a "
        f"maximum over the steps has no module{hint}"
    )
