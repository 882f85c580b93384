"""A cell's tape run over time: W x + b for each gate, then the tape."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import OptionError
from ..tape import Tape, concrete, interpret, width
from . import _options as options


def check(layer: dict[str, Any], width_in: int | None, tapes: dict[str, Tape]) -> int:
    named = ("inputs", "size", "tape", "cell", "dialect")
    options.keys(layer, *named, *(key for key in ("project", "initial") if key in layer))
    options.same_width(layer, "inputs", width_in)
    if not isinstance(layer["tape"], str) or layer["tape"] not in tapes:
        raise OptionError(f"tape is {layer['tape']!r}; the file has {', '.join(tapes) or 'none'}")
    if not isinstance(layer["cell"], str) or not isinstance(layer["dialect"], dict):
        raise OptionError("cell must be a name and dialect an object")
    tape = tapes[layer["tape"]]
    if tape.projected != ("project" in layer):
        raise OptionError(
            "the tape is projected, so project, the width of its output, is needed"
            if tape.projected
            else "project is given, but the tape has no projection; remove it"
        )
    H = options.size(layer, "size")
    P = options.size(layer, "project") if tape.projected else None
    if (most := max(tape.widths(H, P))) > options.MAX_WIDTH:
        raise OptionError(f"a register of the tape is {most} wide; at most {options.MAX_WIDTH} is allowed")
    if "initial" in layer:
        check_initial(layer, tape, H, P)
    return H if P is None else P


def check_initial(layer: dict[str, Any], tape: Tape, H: int, P: int | None) -> None:
    """Raises OptionError unless `initial` holds, for some states, float32 numbers in the state's shape."""
    if not isinstance(layer["initial"], dict) or not layer["initial"]:
        raise OptionError("initial must be an object of one state or more; leave it out for zeros")
    for name, value in layer["initial"].items():
        if name not in tape.state:
            raise OptionError(f"initial names {name!r}; the states are {', '.join(tape.state) or 'none'}")
        shape = concrete(tape.state[name], H, P)
        try:
            found = np.array(value, object)
        except ValueError:
            found = np.array(None)
        if found.shape != shape or not all(map(is_float32, found.reshape(-1))):
            raise OptionError(f"initial.{name} must be float32 numbers of shape {list(shape)}")


def is_float32(n: Any) -> bool:
    """Whether a number of the file is a finite float32, written with fraction or exponent."""
    return type(n) is float and abs(n) <= float(np.finfo(np.float32).max) and float(np.float32(n)) == n


def sizes(layer: dict[str, Any]) -> tuple[int, int | None]:
    """H, and P where the layer's tape is projected."""
    return layer["size"], layer.get("project")


def tensors(layer: dict[str, Any], tapes: dict[str, Tape]) -> dict[str, tuple[int, ...]]:
    tape, (H, P) = tapes[layer["tape"]], sizes(layer)
    G, Gr = len(tape.gates), len(tape.recurrent)
    own = {f"p.{name}": concrete(shape, H, P) for name, shape in tape.params.items()}
    if P is not None:
        own = {"Q": (P, H), **own}
    return {"W": (G * H, layer["inputs"]), "b": (G * H,), "R": (Gr * H, P or H), "c": (Gr * H,), **own}


def state(layer: dict[str, Any], tapes: dict[str, Tape]) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Zeros at first, but for those that `initial` gives."""
    first = layer.get("initial", {})
    declared = tapes[layer["tape"]].state
    return {name: (concrete(shape, *sizes(layer)), first.get(name, 0.0)) for name, shape in declared.items()}


def maps(xp: Any, t: dict[str, Any], tape: Tape, H: int) -> dict[str, Any]:
    """Recurrent map -> function v -> R_g v + c_g; and the projection v -> Q v where the tape has one."""

    def one(k: int) -> Any:
        R, c = t["R"][k * H : (k + 1) * H], t["c"][k * H : (k + 1) * H]
        return lambda v: xp.affine(v, R, c)

    found = {name: one(k) for k, name in enumerate(tape.recurrent)}
    if tape.projected:
        found["project"] = lambda v: xp.matmul(v, t["Q"])
    return found


def step(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Tape], t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    tape, (H, P) = tapes[layer["tape"]], sizes(layer)
    parts = xp.split(xp.affine(x, t["W"], t["b"]), len(tape.gates))
    flat = {name: v.reshape(v.shape[0], width(tape.state[name], H, P)) for name, v in s.items()}
    own = {name: t[f"p.{name}"].reshape(-1) for name in tape.params}
    y, following = interpret(tape, xp, dict(zip(tape.gates, parts, strict=True)), maps(xp, t, tape, H), own, flat)
    return y, {name: v.reshape(v.shape[0], *concrete(tape.state[name], H, P)) for name, v in following.items()}
