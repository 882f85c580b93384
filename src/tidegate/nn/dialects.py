"""Dialects of modules: which weights a dialect has, the entry that names it in a state_dict, and its conversion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..cells import Cell
from ..errors import OptionError
from .transforms import Unscripted

ENTRY = "dialect"
SAID_BY_KEYS = ("bias", "projection", "activation")  # what torch's own state_dict says by its keys, or does not say
SIGNED = re.compile(r"(weight|bias|norm_weight|norm_bias)_(ih|hh)(_l\d+(_reverse)?)?")  # keys of a GRU's weights
Get = Callable[[str], torch.Tensor | None]


def weights(cell: Cell, inputs: int, H: int, P: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the weights of one layer and direction, in torch's order. P: width of the output."""
    G, Gr, norm = len(cell.gates), len(cell.recurrent), cell.dialect["norm"] == "layer"
    found: dict[str, tuple[int, ...]] = {"weight_ih": (G * H, inputs)}
    if Gr:
        found["weight_hh"] = (Gr * H, P)
    if cell.dialect["bias"] == "yes":
        found |= {"bias_ih": (G * H,)} | ({"bias_hh": (Gr * H,)} if Gr else {})
    if cell.tape.projected:
        found["weight_hr"] = (P, H)
    for end, n in (("ih", G), ("hh", Gr)):
        if norm and n:
            found |= {f"norm_weight_{end}": (n * H,), f"norm_bias_{end}": (n * H,)}
    peepholes = sum(name.startswith("peep_") for name in cell.params)
    return found | ({"weight_ch": (peepholes * H,)} if peepholes else {})


def tensors(cell: Cell, get: Get) -> dict[str, torch.Tensor]:
    """The same weights by the roles that a recurrent layer has; get: name -> weight, or None where there is none."""
    names = {"W": "weight_ih", "R": "weight_hh", "b": "bias_ih", "c": "bias_hh", "Q": "weight_hr"}
    found = {role: value for role, name in names.items() if (value := get(name)) is not None}
    ends = [("ih", "x", cell.gates), ("hh", "h", cell.recurrent)] if cell.dialect["norm"] == "layer" else []
    for end, short, maps in ends:
        for stem, what in (("norm_weight", "gain"), ("norm_bias", "bias")):
            found |= split(get(f"{stem}_{end}"), [f"p.{what}_{short}_{g}" for g in maps])
    return found | split(get("weight_ch"), [f"p.{n}" for n in cell.params if n.startswith("peep_")])


def split(stacked: torch.Tensor | None, roles: list[str]) -> dict[str, torch.Tensor]:
    return {} if stacked is None else dict(zip(roles, stacked.chunk(len(roles)), strict=True))


@torch.no_grad()
def reset(named: Mapping[str, torch.Tensor], H: int) -> None:
    """First values: uniform within 1 / sqrt(H), as torch.nn's; a norm's gain 1 and its bias 0."""
    bound = H**-0.5 if H else 0.0
    for name, weight in named.items():
        if "norm_weight_" in name or "norm_bias_" in name:
            weight.fill_(1.0 if "norm_weight_" in name else 0.0)
        else:
            torch.nn.init.uniform_(weight, -bound, bound)


def spoken(cell: Cell, residual: bool = False) -> dict[str, str]:
    """What of a dialect is not the default and not to be seen from a state_dict's other keys."""
    keys = [k for k, choices in cell.dialects.items() if k not in SAID_BY_KEYS and cell.dialect[k] != choices[0]]
    return {k: cell.dialect[k] for k in keys} | ({"residual": "yes"} if residual else {})


def encode(dialect: Mapping[str, str]) -> torch.Tensor:
    """The entry of a dialect: canonical JSON as UTF-8 bytes, uint8.

    >>> bytes(encode({"update": "replace"}).tolist())
    b'{"update":"replace"}'
    """
    return torch.tensor(list(text(dialect).encode()), dtype=torch.uint8, device="cpu")


def text(dialect: Mapping[str, str]) -> str:
    return json.dumps(dict(dialect), sort_keys=True, separators=(",", ":"))


def decode(entry: Any) -> dict[str, str]:
    """The dialect that an entry names; none is the default's. Raises OptionError when it is no such entry.

    >>> decode(encode({"reset": "before"})), decode(None)
    ({'reset': 'before'}, {})
    """
    if entry is None:
        return {}
    if not isinstance(entry, torch.Tensor) or entry.dtype != torch.uint8 or entry.dim() != 1 or entry.is_meta:
        raise OptionError(
            f"the entry {ENTRY!r} is no uint8 tensor of one axis with values; take it from the module's own"
        )
    try:
        found = json.loads(bytes(entry.tolist()).decode())
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise OptionError(
            f"the entry {ENTRY!r} does not hold a dialect as JSON; take it from the module's own state_dict"
        )
    return found


def describe(dialect: Mapping[str, str]) -> str:
    return f"dialect {text(dialect)}" if dialect else "the default dialect"


def difference(found: dict[str, str], own: dict[str, str]) -> str:
    """Why weights of one dialect do not go into a module of another, and what to do; "" when the dialects are equal."""
    if found == own:
        return ""
    rest = {k: v for k, v in found.items() if k != "update"}
    if rest == {k: v for k, v in own.items() if k != "update"}:
        what = f'convert the weights: tidegate.nn.convert(state_dict, update="{own.get("update", "keep")}")'
    else:
        what = "only `update` can be converted; make the module in the dialect of its weights"
    return f"the state_dict is of {describe(found)}, the module of {describe(own)}; {what}"


class DialectMixin(Unscripted):
    """A module whose state_dict names its dialect by one entry, unless that is the default; see README.md."""

    def dialect_entry(self) -> dict[str, str]:
        """What the entry says: the choices that are not the default."""
        raise NotImplementedError

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if own := self.dialect_entry():
            destination[prefix + ENTRY] = encode(own)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Weights of another dialect are refused whole; torch raises what stands in error_msgs, strict or not."""
        rest = {k: v for k, v in state_dict.items() if k != prefix + ENTRY}
        if reason := self.refusal(state_dict, prefix):
            error_msgs.append(f"{prefix[:-1]}: {reason}" if prefix else reason)
            return
        super()._load_from_state_dict(rest, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

    def refusal(self, state_dict: Mapping[str, Any], prefix: str) -> str:
        """Why the weights in a state_dict are not this module's; "" when they are, or when it has none of them."""
        if not any(key.startswith(prefix) for key in state_dict):
            return ""
        try:
            return difference(decode(state_dict.get(prefix + ENTRY)), self.dialect_entry())
        except OptionError as error:
            return str(error)


def convert(
    state_dict: Mapping[str, Any], update: str | None = None, reset: str | None = None, prefix: str = ""
) -> dict[str, Any]:
    """A GRU's or GRUCell's state_dict in another dialect that computes the same outputs; the given one stays as it is.

    update: "keep" or "replace"; None: as it is. sigmoid(-v) = 1 - sigmoid(v), so one becomes the other by the sign of
    the update gate's weights and biases (of its norm: of the bias). reset: there is no weight of the one that
    computes the other, so anything but the present dialect raises. prefix: of the module's keys, such as "encoder.".

    Raises OptionError: unknown choice, a conversion that cannot be, keys that are no GRU's.

    >>> weights = convert(torch.nn.GRU(3, 4).state_dict(), update="replace")
    >>> bytes(weights["dialect"].tolist())
    b'{"update":"replace"}'
    """
    if not isinstance(state_dict, Mapping):
        raise OptionError(f"state_dict is {type(state_dict).__name__}; expected a mapping; give module.state_dict()")
    for key, value, choices in (("update", update, ("keep", "replace")), ("reset", reset, ("after", "before"))):
        if value not in (None, *choices):
            raise OptionError(f"{key} is {value!r}; choose {choices[0]!r} or {choices[1]!r}")
    found = decode(state_dict.get(prefix + ENTRY))
    if reset not in (None, now := found.get("reset", "after")):
        raise OptionError(
            f"reset is {now!r} in these weights and cannot be converted to {reset!r}: no weights of one compute the "
            f"other; train a module with reset={reset!r}, or keep {now!r}"
        )
    converted = dict(state_dict)
    if update not in (None, found.get("update", "keep")):
        converted |= negated(state_dict, prefix)
        found = {k: v for k, v in found.items() if k != "update"} | ({"update": update} if update == "replace" else {})
        converted.pop(prefix + ENTRY, None)
        converted |= {prefix + ENTRY: encode(found)} if found else {}
    return converted


def negated(state_dict: Mapping[str, Any], prefix: str) -> dict[str, torch.Tensor]:
    """The weights that the update gate's sign is in, that gate's rows negated."""
    own = {k[len(prefix) :]: v for k, v in state_dict.items() if k.startswith(prefix)}
    stems = ("weight_ih", "weight_hh", "bias_", "norm_", "parametrizations.weight_", "parametrizations.bias_")
    if made := [k for k in own if k.startswith(stems) and not SIGNED.fullmatch(k)]:
        raise OptionError(
            f"{prefix}{made[0]} is no weight but a part of one that another part reshapes, as a parametrisation or "
            "pruning does; remove that first, so that the weight itself is in the state_dict"
        )
    square = [len(v) == 3 * v.shape[1] for k, v in own.items() if k.startswith("weight_hh")]
    if not square or not all(square):
        raise OptionError(f"the keys {prefix}weight_hh... are not there or not of a GRU; update is a GRU's dialect")
    found = {}
    for key in (prefix + k for k in own if SIGNED.fullmatch(k) and not k.startswith("norm_weight_")):
        rows = state_dict[key].detach().clone()
        H = len(rows) // 3
        rows[H : 2 * H].neg_()
        found[key] = rows
    return found
