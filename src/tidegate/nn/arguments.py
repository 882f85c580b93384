"""What modules take: arguments of their constructors and inputs of their steps, checked as torch.nn checks them.

The errors are tidegate's own and at once ValueError, TypeError or RuntimeError, whichever torch.nn raises in the case.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from ..errors import WrongShape, WrongType, WrongValue
from .transforms import is_jit_tracing


def as_integers(sizes: Iterable[int]) -> tuple[int, ...]:
    """Sizes as integers: while torch traces they are tensors, and it warns of every look at one."""
    if not is_jit_tracing():
        return tuple(sizes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(map(int, sizes))


def check_integer(name: str, value: Any, least: int = 1) -> None:
    """Raises unless a value is an integer from `least`."""
    if not isinstance(value, int):
        raise WrongType(f"{name} should be of type int, got: {type(value).__name__}; give a whole number")
    if value < least:
        least_said = "greater than zero" if least == 1 else f"{least} or more"
        raise WrongValue(f"{name} is {value}; {name} must be {least_said}")


def check_bool(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise WrongType(f"{name} should be of type bool, got: {type(value).__name__}; give True or False")


def check_stack(layers: Any, dropout: Any, residual: bool) -> None:
    """Checks what goes between layers; warns of what does nothing in a single one."""
    check_integer("num_layers", layers)
    number = isinstance(dropout, numbers.Real) and not isinstance(dropout, bool)
    if not number or math.isnan(dropout) or not 0 <= dropout <= 1:
        raise WrongValue(
            f"dropout is {dropout!r}; dropout should be a number in range [0, 1], the share that is zeroed"
        )
    for name, asked in ((f"dropout={dropout}", dropout > 0), ("residual=True", residual)):
        if asked and layers == 1:
            warnings.warn(
                f"{name} acts between layers and num_layers is 1, so it does nothing; give num_layers greater than 1",
                UserWarning,
                stacklevel=4,
            )


def check_projection(size: Any, hidden: int) -> None:
    check_integer("proj_size", size, 0)
    if size >= hidden:
        raise WrongValue(f"proj_size is {size}; proj_size has to be smaller than hidden_size, which is {hidden}")


def refuse_projection(given: Any, module: str) -> None:
    if given is not None:
        raise WrongValue(f"{module}: proj_size argument is only supported for LSTM; leave it out")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise WrongValue(f"Unknown {name} {value!r}; choose one of {', '.join(map(repr, choices))}")


def check_sequence(given: Any, inputs: int, dtype: torch.dtype, module: str) -> None:
    """Checks a sequence: tensor of 2 or 3 axes, or packed; its width, dtype and length."""
    packed = isinstance(given, PackedSequence)
    x = given.data if packed else given
    if not packed and x.dim() not in (2, 3):
        raise WrongValue(
            f"{module}: Expected input to be 2D or 3D, got {x.dim()}D instead; one row is [steps, features]"
        )
    if packed and x.dim() != 2:
        raise WrongShape(f"{module}: packed input must have 2 dimensions, got {x.dim()}; steps are vectors")
    if x.dtype != dtype and not is_autocast():
        raise WrongValue(
            f"{module}: input dtype ({x.dtype}) does not match weight dtype ({dtype}); use input.to({dtype}) or "
            f"module.to({x.dtype})"
        )
    if as_integers(x.shape)[-1] != inputs:
        raise WrongShape(
            f"{module}: input.size(-1) must be equal to input_size. Expected {inputs}, got {as_integers(x.shape)[-1]}"
        )


def check_steps(x: torch.Tensor, module: str) -> None:
    if as_integers(x.shape)[0] == 0:
        raise WrongShape(f"{module}: Expected sequence length to be larger than 0; leave empty sequences out")


def check_states(
    hx: Any, names: tuple[str, ...], like: torch.Tensor, axes: int, module: str
) -> tuple[torch.Tensor, ...]:
    """The given states as a tuple; checks how many there are, their axes and dtype."""
    given = (hx,) if len(names) == 1 else hx
    if not isinstance(given, tuple | list) or not all(isinstance(v, torch.Tensor) for v in given):
        wanted = "a tensor" if len(names) == 1 else "(" + ", ".join(f"{n}_0" for n in names) + ")"
        raise WrongType(f"{module}: hx is {type(hx).__name__}; expected {wanted}")
    if len(given) != len(names):
        raise WrongValue(f"{module}: hx has {len(given)} tensors; expected {len(names)}")
    for v in given:
        if v.dim() != axes:
            row = "un" if axes % 2 == 0 else ""
            raise WrongShape(f"{module}: For {row}batched input, hx should also be {axes}-D but got {v.dim()}-D tensor")
        if v.dtype != like.dtype and not is_autocast():
            raise WrongShape(f"{module}: hx is of dtype {v.dtype} and the input of {like.dtype}; they must be the same")
    return tuple(given)


def check_sizes(given: tuple[torch.Tensor, ...], wanted: list[tuple[int, ...]], module: str) -> None:
    for k, (v, asked) in enumerate(zip(given, wanted, strict=True)):
        if (found := as_integers(v.shape)) != (shape := as_integers(asked)):
            which = f"hidden[{k}]" if len(wanted) > 1 else "hidden"
            raise WrongShape(f"{module}: Expected {which} size {shape}, got {found}")


def check_cell_input(x: torch.Tensor, inputs: int, dtype: torch.dtype, module: str) -> None:
    """Checks a cell's input: [B, features] or [features]."""
    if x.dim() not in (1, 2):
        raise WrongValue(f"{module}: Expected input to be 1D or 2D, got {x.dim()}D instead")
    if as_integers(x.shape)[-1] != inputs:
        raise WrongShape(
            f"{module}: input has inconsistent input_size: got {as_integers(x.shape)[-1]} expected {inputs}"
        )
    if x.dtype != dtype and not is_autocast():
        raise WrongShape(f"{module}: input must have the same dtype as the weights, {dtype}, got {x.dtype}")


def is_autocast() -> bool:
    """Whether torch chooses dtypes itself at present, on any device."""
    return bool(torch._C._is_any_autocast_enabled())
