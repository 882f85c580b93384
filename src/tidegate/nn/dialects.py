"""Dialects of modules: the weights that each has, its entry in a state_dict, and conversion between dialects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..cells import Cell
from ..errors import OptionError
from .transforms import NotScriptable

ENTRY = "dialect"
NOT_IN_ENTRY = ("bias", "projection", "activation")  # the other keys show these, or torch's state_dict omits them too
GRU_KEY = re.compile(r"(weight|bias|norm_weight|norm_bias)_(ih|hh)(_l\d+(_reverse)?)?")
Get = Callable[[str], torch.Tensor | None]


def weight_shapes(cell: Cell, inputs: int, H: int, P: int) -> dict[str, tuple[int, ...]]:
    """Return name -> shape for the weights of one layer and direction, in torch's order. P: width of the output."""
    G, Gr, norm = len(cell.gates), len(cell.recurrent), cell.dialect["norm"] == "layer"
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (G * H, inputs)}
    if Gr:
        shapes["weight_hh"] = (Gr * H, P)
    if cell.dialect["bias"] == "yes":
        shapes |= {"bias_ih": (G * H,)} | ({"bias_hh": (Gr * H,)} if Gr else {})
    if cell.tape.has_projection:
        shapes["weight_hr"] = (P, H)
    for end, n in (("ih", G), ("hh", Gr)):
        if norm and n:
            shapes |= {f"norm_weight_{end}": (n * H,), f"norm_bias_{end}": (n * H,)}
    peepholes = sum(name.startswith("peep_") for name in cell.params)
    return shapes | ({"weight_ch": (peepholes * H,)} if peepholes else {})


def weights_by_role(cell: Cell, get: Get) -> dict[str, torch.Tensor]:
    """Return the same weights by their roles in a model file's recurrent layer.

    get: a function from name to weight, or to None for a weight that does not exist.
    """
    names = {"W": "weight_ih", "R": "weight_hh", "b": "bias_ih", "c": "bias_hh", "Q": "weight_hr"}
    weights = {role: value for role, name in names.items() if (value := get(name)) is not None}
    ends = [("ih", "x", cell.gates), ("hh", "h", cell.recurrent)] if cell.dialect["norm"] == "layer" else []
    for end, short, maps in ends:
        for stem, what in (("norm_weight", "gain"), ("norm_bias", "bias")):
            weights |= split_by_role(get(f"{stem}_{end}"), [f"p.{what}_{short}_{g}" for g in maps])
    return weights | split_by_role(get("weight_ch"), [f"p.{n}" for n in cell.params if n.startswith("peep_")])


def split_by_role(stacked: torch.Tensor | None, roles: list[str]) -> dict[str, torch.Tensor]:
    return {} if stacked is None else dict(zip(roles, stacked.chunk(len(roles)), strict=True))


@torch.no_grad()
def reset_weights(weights: Mapping[str, torch.Tensor], H: int) -> None:
    """Initialise weights as torch.nn does: uniform within 1 / sqrt(H); the gain of a norm is 1 and its bias 0."""
    bound = H**-0.5 if H else 0.0
    for name, weight in weights.items():
        if "norm_weight_" in name or "norm_bias_" in name:
            weight.fill_(1.0 if "norm_weight_" in name else 0.0)
        else:
            torch.nn.init.uniform_(weight, -bound, bound)


def entry_choices(cell: Cell, residual: bool = False) -> dict[str, str]:
    """Return the choices that the entry has to name: those that are not the default and that no other key shows."""
    keys = [k for k, choices in cell.dialects.items() if k not in NOT_IN_ENTRY and cell.dialect[k] != choices[0]]
    return {k: cell.dialect[k] for k in keys} | ({"residual": "yes"} if residual else {})


def encode(dialect: Mapping[str, str]) -> torch.Tensor:
    """Return the entry of a dialect: canonical JSON as UTF-8 bytes, uint8.

    >>> bytes(encode({"update": "replace"}).tolist())
    b'{"update":"replace"}'
    """
    return torch.tensor(list(to_json(dialect).encode()), dtype=torch.uint8, device="cpu")


def to_json(dialect: Mapping[str, str]) -> str:
    return json.dumps(dict(dialect), sort_keys=True, separators=(",", ":"))


def decode(entry: Any) -> dict[str, str]:
    """Return the dialect of an entry; None is the default dialect. Raises OptionError for an invalid entry.

    >>> decode(encode({"reset": "before"})), decode(None)
    ({'reset': 'before'}, {})
    """
    if entry is None:
        return {}
    if not isinstance(entry, torch.Tensor) or entry.dtype != torch.uint8 or entry.dim() != 1 or entry.is_meta:
        raise OptionError(f"the entry {ENTRY!r} is not a 1-D uint8 tensor; copy it from the module's own state_dict")
    try:
        dialect = json.loads(bytes(entry.tolist()).decode())
    except ValueError:
        dialect = None
    if not isinstance(dialect, dict) or not all(isinstance(v, str) for v in dialect.values()):
        raise OptionError(
            f"the entry {ENTRY!r} does not contain a dialect as JSON; copy it from the module's own state_dict"
        )
    return dialect


def describe(dialect: Mapping[str, str]) -> str:
    return f"dialect {to_json(dialect)}" if dialect else "the default dialect"


def explain_difference(weights: dict[str, str], module: dict[str, str]) -> str:
    """Explain why weights of one dialect do not fit a module of another, and what to do; "" for equal dialects."""
    if weights == module:
        return ""
    rest = {k: v for k, v in weights.items() if k != "update"}
    if rest == {k: v for k, v in module.items() if k != "update"}:
        what = f'convert the weights: tidegate.nn.convert(state_dict, update="{module.get("update", "keep")}")'
    else:
        what = "only `update` can be converted; create the module in the dialect of the weights"
    return f"the state_dict has {describe(weights)}, the module has {describe(module)}; {what}"


class DialectMixin(NotScriptable):
    """A module whose state_dict names its dialect in one entry, unless it is the default; see README.md."""

    def dialect_entry(self) -> dict[str, str]:
        """Return the choices that the entry names; empty for the default dialect."""
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
        """Load weights of this dialect. Others are refused as a whole: torch raises error_msgs, strict or not."""
        rest = {k: v for k, v in state_dict.items() if k != prefix + ENTRY}
        if reason := self.explain_mismatch(state_dict, prefix):
            error_msgs.append(f"{prefix[:-1]}: {reason}" if prefix else reason)
            return
        super()._load_from_state_dict(rest, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

    def explain_mismatch(self, state_dict: Mapping[str, Any], prefix: str) -> str:
        """Explain why a state_dict does not fit this module's dialect; "" if it does, or has none of its weights."""
        if not any(key.startswith(prefix) for key in state_dict):
            return ""
        try:
            return explain_difference(decode(state_dict.get(prefix + ENTRY)), self.dialect_entry())
        except OptionError as error:
            return str(error)


def convert(
    state_dict: Mapping[str, Any], update: str | None = None, reset: str | None = None, prefix: str = ""
) -> dict[str, Any]:
    """Convert the state_dict of a GRU or GRUCell to another dialect that computes the same outputs.

    Returns a new dictionary; `state_dict` is not modified.

    Args:
        state_dict: the weights, of torch.nn or of tidegate.nn.
        update: "keep" or "replace"; None leaves it as it is. sigmoid(-v) = 1 - sigmoid(v), so the conversion negates
            the weights and biases of the update gate (with a norm, its gain stays and its bias is negated).
        reset: "after" or "before". No weights of one compute the other, so only the present value is accepted.
        prefix: the prefix of the module's keys, such as "encoder.".

    Raises OptionError for an unknown choice, a conversion that is impossible, or keys that are not those of a GRU.

    >>> weights = convert(torch.nn.GRU(3, 4).state_dict(), update="replace")
    >>> bytes(weights["dialect"].tolist())
    b'{"update":"replace"}'
    """
    if not isinstance(state_dict, Mapping):
        raise OptionError(f"state_dict is {type(state_dict).__name__}; expected a mapping; pass module.state_dict()")
    for key, value, choices in (("update", update, ("keep", "replace")), ("reset", reset, ("after", "before"))):
        if value not in (None, *choices):
            raise OptionError(f"{key} is {value!r}; choose {choices[0]!r} or {choices[1]!r}")
    dialect = decode(state_dict.get(prefix + ENTRY))
    if reset not in (None, present := dialect.get("reset", "after")):
        raise OptionError(
            f"reset is {present!r} in these weights and cannot be converted to {reset!r}, because no weights of one "
            f"compute the other; train a module with reset={reset!r}, or keep {present!r}"
        )
    converted = dict(state_dict)
    if update not in (None, dialect.get("update", "keep")):
        converted |= negate_update_gate(state_dict, prefix)
        rest = {k: v for k, v in dialect.items() if k != "update"}
        dialect = rest | ({"update": update} if update == "replace" else {})
        converted.pop(prefix + ENTRY, None)
        converted |= {prefix + ENTRY: encode(dialect)} if dialect else {}
    return converted


def negate_update_gate(state_dict: Mapping[str, Any], prefix: str) -> dict[str, torch.Tensor]:
    """Return the weights that determine the update gate's sign, with the rows of that gate negated."""
    own = {k[len(prefix) :]: v for k, v in state_dict.items() if k.startswith(prefix)}
    stems = ("weight_ih", "weight_hh", "bias_", "norm_", "parametrizations.weight_", "parametrizations.bias_")
    if parts := [k for k in own if k.startswith(stems) and not GRU_KEY.fullmatch(k)]:
        raise OptionError(
            f"{prefix}{parts[0]} is not a weight but part of one, from a parametrisation or pruning; remove it first, "
            "so that the state_dict contains the weight itself"
        )
    square = [len(v) == 3 * v.shape[1] for k, v in own.items() if k.startswith("weight_hh")]
    if not square or not all(square):
        raise OptionError(
            f"the keys {prefix}weight_hh... are missing or not those of a GRU; only a GRU has `update`, so pass the "
            "state_dict of one, with its prefix"
        )
    negated = {}
    for key in (prefix + k for k in own if GRU_KEY.fullmatch(k) and not k.startswith("norm_weight_")):
        rows = state_dict[key].detach().clone()
        H = len(rows) // 3
        rows[H : 2 * H].neg_()
        negated[key] = rows
    return negated
