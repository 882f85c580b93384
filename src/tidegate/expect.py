"""Checks of single values of a document. Each raises ModelFileError with the place, the value and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import ModelFileError
from .strictjson import show
from .tensors import Array, dtype_name


def check_keys(place: str, value: Any, *expected: str) -> None:
    """Raise ModelFileError unless `value` is an object with exactly these keys."""
    check_object(place, value)
    if missing := [k for k in expected if k not in value]:
        raise ModelFileError(f"{place}: the key {missing[0]!r} is missing; expected {', '.join(expected)}")
    if extra := sorted(set(value) - set(expected)):
        raise ModelFileError(f"{place}: unknown key {show(extra[0])}; expected {', '.join(expected)}")


def check_object(place: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise ModelFileError(f"{place}: is {show(value)}; expected an object")


def check_list(place: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, list) or not least <= len(value) <= most:
        found = f"has {len(value)} entries" if isinstance(value, list) else f"is {show(value)}"
        raise ModelFileError(f"{place}: {found}; expected a list of {least} to {most}")


def check_integer(place: str, value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ModelFileError(f"{place}: is {show(value)}; expected an integer of {least} to {most}")
    return value


def check_text(place: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ModelFileError(f"{place}: is {show(value)}; expected a string that is not empty")
    return value


def check_tensor(place: str, name: Any, tensors: Mapping[str, Array], dtype: str, shape: tuple[int, ...]) -> None:
    """Raise ModelFileError unless there is a tensor of this name, dtype and shape, where -1 is any size."""
    if not isinstance(name, str) or name not in tensors:
        raise ModelFileError(f"{place}: there is no tensor {show(name)} in the file")
    array = tensors[name]
    if (found := dtype_name(array)) != dtype:
        raise ModelFileError(f"{place}: tensor {show(name)} is {found}; expected {dtype}")
    if len(shape) != array.ndim or any(n not in (-1, m) for n, m in zip(shape, array.shape, strict=True)):
        expected = ", ".join("any" if n < 0 else str(n) for n in shape)
        raise ModelFileError(f"{place}: tensor {show(name)} has shape {list(array.shape)}; expected [{expected}]")
