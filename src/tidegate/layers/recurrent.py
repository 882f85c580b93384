"""A recurrence: each step computes W x + b for every gate, then runs the cell's tape."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import OptionError
from ..tape import Tape, flat_width, interpret, resolve_shape
from . import _options as options


def check(layer: dict[str, Any], width_in: int | None, tapes: dict[str, Tape]) -> int:
    required = ("inputs", "size", "tape", "cell", "dialect")
    options.check_keys(layer, *required, *(key for key in ("project", "initial") if key in layer))
    options.check_width(layer, "inputs", width_in)
    if not isinstance(layer["tape"], str) or layer["tape"] not in tapes:
        raise OptionError(f"tape is {layer['tape']!r}; the file has {', '.join(tapes) or 'none'}")
    if not isinstance(layer["cell"], str) or not isinstance(layer["dialect"], dict):
        raise OptionError("cell must be a name and dialect an object")
    tape = tapes[layer["tape"]]
    if tape.has_projection != ("project" in layer):
        raise OptionError(
            "the tape is projected, so project, the width of its output, is needed"
            if tape.has_projection
            else "project is present, but the tape has no projection; remove it"
        )
    H = options.check_size(layer, "size")
    P = options.check_size(layer, "project") if tape.has_projection else None
    if (widest := max(tape.widths(H, P))) > options.MAX_WIDTH:
        raise OptionError(f"a register of the tape is {widest} wide; at most {options.MAX_WIDTH} is allowed")
    if "initial" in layer:
        check_initial(layer, tape, H, P)
    return H if P is None else P


def check_initial(layer: dict[str, Any], tape: Tape, H: int, P: int | None) -> None:
    """Raise OptionError unless `initial` has float32 numbers of the state's shape for one state or more."""
    if not isinstance(layer["initial"], dict) or not layer["initial"]:
        raise OptionError("initial must be an object of one state or more; leave it out for zeros")
    for name, value in layer["initial"].items():
        if name not in tape.state:
            raise OptionError(f"initial names {name!r}; the states are {', '.join(tape.state) or 'none'}")
        shape = resolve_shape(tape.state[name], H, P)
        try:
            array = np.array(value, object)
        except ValueError:
            array = np.array(None)
        if array.shape != shape or not all(map(is_float32, array.reshape(-1))):
            raise OptionError(f"initial.{name} must be float32 numbers of shape {list(shape)}")


def is_float32(n: Any) -> bool:
    """Tell whether a JSON number is a finite float32, written with a fraction or an exponent.

    >>> is_float32(0.5), is_float32(0.1), is_float32(1)
    (True, False, False)
    """
    return type(n) is float and abs(n) <= float(np.finfo(np.float32).max) and float(np.float32(n)) == n


def sizes(layer: dict[str, Any]) -> tuple[int, int | None]:
    """Return H, and P if the layer's tape has a projection."""
    return layer["size"], layer.get("project")


def tensors(layer: dict[str, Any], tapes: dict[str, Tape]) -> dict[str, tuple[int, ...]]:
    tape, (H, P) = tapes[layer["tape"]], sizes(layer)
    G, Gr = len(tape.gates), len(tape.recurrent)
    params = {f"p.{name}": resolve_shape(shape, H, P) for name, shape in tape.params.items()}
    if P is not None:
        params = {"Q": (P, H), **params}
    return {"W": (G * H, layer["inputs"]), "b": (G * H,), "R": (Gr * H, P or H), "c": (Gr * H,), **params}


def state(layer: dict[str, Any], tapes: dict[str, Tape]) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return the states with their first values: zeros, except for the states in `initial`."""
    first = layer.get("initial", {})
    declared = tapes[layer["tape"]].state
    return {name: (resolve_shape(shape, *sizes(layer)), first.get(name, 0.0)) for name, shape in declared.items()}


def make_maps(xp: Any, t: dict[str, Any], tape: Tape, H: int) -> dict[str, Any]:
    """Make the recurrent maps as functions, name -> (v -> R_g v + c_g), and the projection v -> Q v if there is one."""

    def affine_map(k: int) -> Any:
        R, c = t["R"][k * H : (k + 1) * H], t["c"][k * H : (k + 1) * H]
        return lambda v: xp.affine(v, R, c)

    maps = {name: affine_map(k) for k, name in enumerate(tape.recurrent)}
    if tape.has_projection:
        maps["project"] = lambda v: xp.matmul(v, t["Q"])
    return maps


def step(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Tape], t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    tape, (H, P) = tapes[layer["tape"]], sizes(layer)
    parts = xp.split(xp.affine(x, t["W"], t["b"]), len(tape.gates))
    flat = {name: v.reshape(v.shape[0], flat_width(tape.state[name], H, P)) for name, v in s.items()}
    params = {name: t[f"p.{name}"].reshape(-1) for name in tape.params}
    inputs = dict(zip(tape.gates, parts, strict=True))
    y, next_states = interpret(tape, xp, inputs, make_maps(xp, t, tape, H), params, flat)
    return y, {name: v.reshape(v.shape[0], *resolve_shape(tape.state[name], H, P)) for name, v in next_states.items()}
