"""A cell's tape run over time: W x + b for each gate, then the tape."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from ..tape import Tape, interpret, width
from . import _options as options


def check(layer: dict[str, Any], width_in: int | None, tapes: dict[str, Tape]) -> int:
    options.keys(layer, "inputs", "size", "tape", "cell", "dialect")
    options.same_width(layer, "inputs", width_in)
    if not isinstance(layer["tape"], str) or layer["tape"] not in tapes:
        raise OptionError(f"tape is {layer['tape']!r}; the file has {', '.join(tapes) or 'none'}")
    if not isinstance(layer["cell"], str) or not isinstance(layer["dialect"], dict):
        raise OptionError("cell must be a name and dialect an object")
    H = options.size(layer, "size")
    tape = tapes[layer["tape"]]
    if (most := max(tape.widths(H))) > options.MAX_WIDTH:
        raise OptionError(f"a register of the tape is {most} wide; at most {options.MAX_WIDTH} is allowed")
    return H


def tensors(layer: dict[str, Any], tapes: dict[str, Tape]) -> dict[str, tuple[int, ...]]:
    tape, H = tapes[layer["tape"]], layer["size"]
    G, Gr = len(tape.gates), len(tape.recurrent)
    own = {f"p.{name}": concrete(shape, H) for name, shape in tape.params.items()}
    return {"W": (G * H, layer["inputs"]), "b": (G * H,), "R": (Gr * H, H), "c": (Gr * H,), **own}


def state(layer: dict[str, Any], tapes: dict[str, Tape]) -> dict[str, tuple[tuple[int, ...], float]]:
    return {name: (concrete(shape, layer["size"]), 0.0) for name, shape in tapes[layer["tape"]].state.items()}


def concrete(shape: tuple[int | str, ...], H: int) -> tuple[int, ...]:
    return tuple(H if n == "H" else int(n) for n in shape)


def maps(xp: Any, t: dict[str, Any], tape: Tape, H: int) -> dict[str, Any]:
    """Recurrent map -> function v -> R_g v + c_g."""

    def one(k: int) -> Any:
        R, c = t["R"][k * H : (k + 1) * H], t["c"][k * H : (k + 1) * H]
        return lambda v: xp.affine(v, R, c)

    return {name: one(k) for k, name in enumerate(tape.recurrent)}


def step(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Tape], t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    tape, H = tapes[layer["tape"]], layer["size"]
    parts = xp.split(xp.affine(x, t["W"], t["b"]), len(tape.gates))
    flat = {name: v.reshape(v.shape[0], width(tape.state[name], H)) for name, v in s.items()}
    own = {name: t[f"p.{name}"].reshape(-1) for name in tape.params}
    y, following = interpret(tape, xp, dict(zip(tape.gates, parts, strict=True)), maps(xp, t, tape, H), own, flat)
    return y, {name: v.reshape(v.shape[0], *concrete(tape.state[name], H)) for name, v in following.items()}
