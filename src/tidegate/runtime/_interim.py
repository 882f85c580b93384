"""Inputs and outputs of a document of format 1, until documents have them."""

from __future__ import annotations

from typing import Any

from .. import inputs, outputs
from ..inputs.base import Input
from ..model import Model
from ..outputs.base import Output


def parse_ends(model: Model) -> tuple[dict[str, Input], dict[str, Output]]:
    if hasattr(model, "former_weights_hash"):
        raise NotImplementedError
    document = model.document
    section, layers, labels = document["input"], document["layers"], document["labels"]
    entry = dict(section)
    source = f"layers.{len(layers) - 1}"
    answer = entry.pop("answer", None)
    if "roles" in entry:
        entry["roles"] = ["past" if role == "target" else role for role in entry["roles"]]
    common: dict[str, Any] = {"from": source, "at": "end", "labels": labels, "scores": "given", "calibration": None}
    if answer is not None:
        targets = [c for c, r in zip(section["columns"], section["roles"], strict=True) if r == "target"]
        made = {"forecast": {"kind": "forecast", "from": source, "at": "step", "of": "x", "columns": targets, **answer}}
    elif labels is None:
        made = {"values": {"kind": "values", "from": source, "at": "step", "labels": None}}
    elif model.multi_label:
        made = {"labels": {"kind": "multilabel", **common, "threshold": 0.5}}
    else:
        made = {"label": {"kind": "labels", **common}}
    from ..layers import output_widths

    width = output_widths(layers, section.get("features"), model.tapes)[-1]
    ins = {"x": inputs.parse("x", entry, model.tensors)}
    outs = {name: outputs.parse(name, one, width, ins) for name, one in made.items()}
    return {name: one.serve(outs.values()) for name, one in ins.items()}, outs
