"""A layer of a user's own, given by the operations of its step; the model file carries them.

`load_file` makes one from a Python file with a function `step(xp, t, s, x, steps)` like those of the layers here, and
with these declarations, of which each but STATE may be left out if it is empty, and each may be a function of the width
of the input:

- TENSORS: role -> shape. STATE: name -> shape; states start at zero.
- USES: role -> matrix, table or vector (the default). INIT: role -> first value of a vector; zero if it is left out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt

from .. import files
from ..errors import CellError, OptionError, error_context
from ..tape import Program, lower, run_program
from ..tape.tape import check_names
from . import _options as options
from ._layer import Layer, States, Use
from .recurrent import is_float32

USES = ("matrix", "table", "vector")
DECLARED = ("TENSORS", "STATE", "USES", "INIT")


@dataclass(frozen=True, kw_only=True)
class OwnLayer(Layer):
    """name: that of the file that the step came from. code: its operations. roles: how tensors are used, where they
    are not vectors. start: first values of vectors, for training, where they are not zero.
    """

    input_option = "inputs"

    inputs: int
    name: str
    code: Program
    roles: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "inputs", "name", "program", "roles", "start")
        inputs = options.check_width(cls.kind, node, "inputs", width)
        if not isinstance(name := node["name"], str) or not 0 < len(name) <= 64 or not name.isprintable():
            raise OptionError(f"name is {str(name)[:60]!r}; expected 1 to 64 printable characters")
        try:
            code = Program.from_json(node["program"])
            check_names("tensors", tuple(code.tensors))
        except CellError as error:
            raise OptionError(f"program: {error}") from None
        if code.inputs != inputs or code.ids:
            raise OptionError(f"program.inputs is {code.inputs}; expected inputs, {inputs}, and no ids")
        check_roles(node["roles"], code)
        check_start(node["start"], code)
        return cls(inputs=inputs, name=name, code=code, roles=node["roles"], start=node["start"], **common)

    def options(self) -> dict[str, Any]:
        own = {"inputs": self.inputs, "name": self.name, "program": self.code.to_json()}
        return {**own, "roles": dict(self.roles), "start": dict(self.start)}

    @property
    def program(self) -> Program:
        return self.code

    @property
    def width(self) -> int:
        return self.code.width

    @property
    def registers(self) -> int:
        return self.code.numbers

    @property
    def operations(self) -> int:
        return len(self.code.instructions)

    def describe(self) -> str:
        return f"{self.name} {self.inputs} -> {self.width}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return dict(self.code.tensors)

    def use(self, role: str) -> Use:
        return cast(Use, self.roles.get(role, "vector"))

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        if role in self.start:
            return np.full(self.shapes()[role], self.start[role], np.float32)
        return super().init(rng, role, params)

    def state(self) -> States:
        return {name: (shape, 0.0) for name, shape in self.code.state.items()}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return run_program(self.code, xp, t, s, x, steps)


def check_roles(roles: Any, code: Program) -> None:
    """Raise OptionError unless this says how some of the program's tensors are used."""
    if not isinstance(roles, dict):
        raise OptionError(f"roles is {str(roles)[:60]}; expected an object of tensors and their use")
    for role, use in roles.items():
        if role not in code.tensors or use not in USES:
            raise OptionError(
                f"roles has {role!r}: {str(use)[:60]!r}; expected a tensor of the program, and {', '.join(USES)}"
            )
        if use != "vector" and len(code.tensors[role]) != 2:
            raise OptionError(f"{role!r} is a {use} of shape {list(code.tensors[role])}; expected two axes")


def check_start(start: Any, code: Program) -> None:
    """Raise OptionError unless this gives first values of some of the program's tensors."""
    if not isinstance(start, dict):
        raise OptionError(f"start is {str(start)[:60]}; expected an object of tensors and their first value")
    for role, value in start.items():
        if role not in code.tensors or not is_float32(value):
            raise OptionError(f"start has {role!r}: {str(value)[:60]}; expected a tensor of the program and a float32")


def load_file(path: str, width: int) -> dict[str, Any]:
    """Load a user's own layer, as options of a layer `program`.

    width: of its input. Raises CellError, with the path, for a file that cannot be read or run, a declaration that is
    missing or wrong, and a step that cannot be lowered.
    """
    module = files.run(path, CellError)
    with error_context(path):
        if missing := [name for name in ("STATE", "step") if not hasattr(module, name)]:
            raise CellError(f"{missing[0]} is missing; a layer declares STATE and step, and TENSORS if it has any")
        tensors, state, uses, init = (declared(name, getattr(module, name, {}), width) for name in DECLARED)
        program = lower(module.step, width, 0, parse_shapes("TENSORS", tensors), parse_shapes("STATE", state))
        start = {role: parse_first(role, value) for role, value in init.items()}
        name = os.path.basename(path).removesuffix(".py")
        node = {"inputs": width, "name": name, "program": program.to_json(), "roles": uses, "start": start}
        try:
            OwnLayer.parse(node, width, {})
        except OptionError as error:
            raise CellError(str(error)) from None
    return node


def declared(name: str, value: Any, width: int) -> dict[str, Any]:
    """Return a declaration of a layer's file, which may be a function of the width. Raises CellError for another."""
    if callable(value):
        try:
            value = value(width)
        except Exception as error:
            raise CellError(f"{name} does not run: {type(error).__name__}: {error}") from error
    if not isinstance(value, dict):
        raise CellError(f"{name} is {str(value)[:60]}; expected a dict, such as {{'weight': (8, 8)}}, or a function")
    return value


def parse_shapes(what: str, value: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return declared shapes as tuples. Raises CellError for one that is not of 1 to 4 whole numbers."""
    for name, shape in value.items():
        fits = isinstance(shape, tuple | list) and 1 <= len(shape) <= 4
        if not fits or not all(type(n) is int and n > 0 for n in shape):
            raise CellError(
                f"{what} gives {name!r} the shape {str(shape)[:60]}; expected 1 to 4 whole numbers from 1 on"
            )
    return {name: tuple(shape) for name, shape in value.items()}


def parse_first(role: Any, value: Any) -> float:
    """Return a declared first value, rounded to float32. Raises CellError for one that is no number that fits it."""
    if type(value) not in (int, float) or not abs(value) <= float(np.finfo(np.float32).max):
        raise CellError(f"INIT gives {role!r} the value {str(value)[:60]}; expected a number that fits float32")
    return float(np.float32(value))
