"""Checks of constructor arguments and inputs, equal to those of torch.nn.

Each error is one of tidegate's and also the ValueError, TypeError or RuntimeError that torch.nn raises in that case.
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
    """Convert sizes to integers. While torch traces, they are tensors, and torch warns whenever one is read."""
    if not is_jit_tracing():
        return tuple(sizes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(map(int, sizes))


def check_integer(name: str, value: Any, least: int = 1) -> None:
    """Raise WrongType or WrongValue unless a value is an integer of at least `least`."""
    if not isinstance(value, int):
        raise WrongType(f"{name} should be of type int, got: {type(value).__name__}; pass a whole number")
    if value < least:
        expected = "greater than zero" if least == 1 else f"{least} or more"
        raise WrongValue(f"{name} is {value}; {name} must be {expected}")


def check_bool(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise WrongType(f"{name} should be of type bool, got: {type(value).__name__}; pass True or False")


def check_stack(layers: Any, dropout: Any, residual: bool) -> None:
    """Check num_layers and dropout. Warn about an option that has no effect with a single layer."""
    check_integer("num_layers", layers)
    number = isinstance(dropout, numbers.Real) and not isinstance(dropout, bool)
    if not number or math.isnan(dropout) or not 0 <= dropout <= 1:
        raise WrongValue(
            f"dropout is {dropout!r}; dropout should be a number in range [0, 1], the probability of an element being "
            "zeroed"
        )
    for name, enabled in ((f"dropout={dropout}", dropout > 0), ("residual=True", residual)):
        if enabled and layers == 1:
            warnings.warn(
                f"{name} acts between layers, so it has no effect with num_layers=1; use num_layers greater than 1",
                UserWarning,
                stacklevel=4,
            )


def check_projection(size: Any, hidden: int) -> None:
    check_integer("proj_size", size, 0)
    if size >= hidden:
        raise WrongValue(f"proj_size is {size}; proj_size has to be smaller than hidden_size, which is {hidden}")


def refuse_projection(size: Any, module: str) -> None:
    if size is not None:
        raise WrongValue(f"{module}: proj_size argument is only supported for LSTM; remove it")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise WrongValue(f"Unknown {name} {value!r}; choose one of {', '.join(map(repr, choices))}")


def check_sequence(input: Any, inputs: int, dtype: torch.dtype, module: str) -> None:
    """Check the dimensions, width and dtype of a sequence: a 2-D or 3-D tensor or a PackedSequence."""
    packed = isinstance(input, PackedSequence)
    x = input.data if packed else input
    if not packed and x.dim() not in (2, 3):
        raise WrongValue(
            f"{module}: Expected input to be 2D or 3D, got {x.dim()}D instead; one sequence is [steps, features]"
        )
    if packed and x.dim() != 2:
        raise WrongShape(
            f"{module}: packed input must have 2 dimensions, got {x.dim()}; pack sequences of shape [steps, features]"
        )
    if x.dtype != dtype and not is_autocast():
        raise WrongValue(
            f"{module}: input dtype ({x.dtype}) does not match weight dtype ({dtype}); use input.to({dtype}) or "
            f"module.to({x.dtype})"
        )
    if (width := as_integers(x.shape)[-1]) != inputs:
        raise WrongShape(f"{module}: input.size(-1) must be equal to input_size. Expected {inputs}, got {width}")


def check_steps(x: torch.Tensor, module: str) -> None:
    if as_integers(x.shape)[0] == 0:
        raise WrongShape(f"{module}: Expected sequence length to be larger than 0; remove empty sequences")


def check_states(
    hx: Any, names: tuple[str, ...], like: torch.Tensor, axes: int, module: str
) -> tuple[torch.Tensor, ...]:
    """Return hx as a tuple of states. Check their number, dimensions and dtype."""
    states = (hx,) if len(names) == 1 else hx
    if not isinstance(states, tuple | list) or not all(isinstance(v, torch.Tensor) for v in states):
        expected = "a tensor" if len(names) == 1 else "(" + ", ".join(f"{n}_0" for n in names) + ")"
        raise WrongType(f"{module}: hx is {type(hx).__name__}; expected {expected}")
    if len(states) != len(names):
        raise WrongValue(f"{module}: hx has {len(states)} tensors; expected {len(names)}")
    for v in states:
        if v.dim() != axes:
            row = "un" if axes % 2 == 0 else ""
            raise WrongShape(f"{module}: For {row}batched input, hx should also be {axes}-D but got {v.dim()}-D tensor")
        if v.dtype != like.dtype and not is_autocast():
            raise WrongShape(
                f"{module}: hx has dtype {v.dtype} and input has {like.dtype}; convert one of them with .to()"
            )
    return tuple(states)


def check_sizes(states: tuple[torch.Tensor, ...], shapes: list[tuple[int, ...]], module: str) -> None:
    for k, (v, shape) in enumerate(zip(states, shapes, strict=True)):
        if (found := as_integers(v.shape)) != (expected := as_integers(shape)):
            which = f"hidden[{k}]" if len(shapes) > 1 else "hidden"
            raise WrongShape(f"{module}: Expected {which} size {expected}, got {found}")


def check_cell_input(x: torch.Tensor, inputs: int, dtype: torch.dtype, module: str) -> None:
    """Check the input of a cell: [B, features] or [features]."""
    if x.dim() not in (1, 2):
        raise WrongValue(f"{module}: Expected input to be 1D or 2D, got {x.dim()}D instead")
    if (width := as_integers(x.shape)[-1]) != inputs:
        raise WrongShape(f"{module}: input has inconsistent input_size: got {width} expected {inputs}")
    if x.dtype != dtype and not is_autocast():
        raise WrongShape(f"{module}: input must have the same dtype as the weights, {dtype}, got {x.dtype}")


def is_autocast() -> bool:
    """Return whether autocast is enabled on any device, so that torch chooses dtypes itself."""
    return bool(torch._C._is_any_autocast_enabled())
