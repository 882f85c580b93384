"""Show this installation, or what is in a model file."""

from __future__ import annotations

import argparse
import math
import os
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..text_tables import format_pairs, format_size, format_table, shorten
from . import _console
from ._parser import FilePath, Parser

if TYPE_CHECKING:
    from ..inputs.base import Input
    from ..model import Model
    from ..runtime import Predictor

EXAMPLES = """\
  tidegate info
  tidegate info intent.safetensors
  TIDEGATE_TARGET=base TIDEGATE_FUSED=0 tidegate info intent.safetensors"""

MAX_LABELS = 12
NO_SHA256 = "none, so damage may go unnoticed; tidegate.load(file).save(file) adds one"
BY_TORCH = "other dtypes, devices and cells (print(module) says which)"


def add_flags(parser: Parser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", action=FilePath, nargs="?", help="model file (default: show the installation)"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    if args.model is None:
        facts = installation()
        if args.json:
            _console.print_json(facts)
        else:
            pairs = [(k.replace("_", " "), format_value(v)) for k, v in facts.items()]
            print(format_pairs(pairs, _console.terminal_width()))
        return 0
    from ..runtime import load

    predictor = load(args.model)
    facts = {"file": args.model, "bytes": os.path.getsize(args.model), **describe_model(predictor)}
    if args.json:
        _console.print_json(facts)
    else:
        print(format_report(facts, predictor.model, _console.terminal_width()))
    return 0


def installation() -> dict[str, Any]:
    """Return versions, targets and threads of this installation."""
    from .. import _native
    from ..runtime.engine import resolve_fused, resolve_target
    from ..runtime.threads import resolve_threads

    return {
        "tidegate": package_version("tidegate"),
        "python": platform.python_version(),
        "numpy": package_version("numpy"),
        "torch": package_version("torch") or "not installed (only training needs it)",
        "targets_compiled": list(_native.compiled_targets()),
        "targets_of_this_machine": list(_native.targets()),
        "targets_with_compute_bf16": list(_native.targets("compute=bf16")),
        "target": resolve_target(None),
        "kernels": "fused" if resolve_fused(None) else "none, because TIDEGATE_FUSED is 0; the bits are the same",
        "threads": resolve_threads(None),
        "training": describe_training(resolve_target(None)),
    }


def describe_training(target: str) -> str:
    """Say which engine trains, and why."""
    if package_version("torch") is None:
        return 'none, because torch is not installed; pip install "tidegate[train]"'
    return f"native on {target}, because fit trains in float32 on the CPU; torch for {BY_TORCH}"


def package_version(name: str) -> str | None:
    """Return the version of a package without importing it, or None."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def describe_model(predictor: Predictor) -> dict[str, Any]:
    """Return what is in a model file and how it would run here."""
    model, document = predictor.model, predictor.model.document
    yes, because = model.streams
    source, *sides = model.inputs.values()
    graphs = describe_graphs(predictor)
    return {
        "task": document["task"]["kind"],
        "options": document["task"]["options"],
        "input": describe_entry(source),
        **({"side_inputs": {side.name: describe_entry(side) for side in sides}} if sides else {}),
        "labels": model.labels,
        "multi_label": model.multi_label,
        "layers": [layer for graph in graphs for layer in graph["layers"]],
        **({"graphs": graphs} if model.graphs else {}),
        "parameters": sum(one.size for name, one in trained_tensors(model)),
        "state_bytes": model.state_bytes,
        "memory_bytes": source.memory_bytes + sum(side.memory_bytes for side in sides),
        "output_bytes": predictor.output_bytes,
        "kept_bytes": predictor.kept_bytes,
        "attended_bytes": predictor.attended_bytes,
        "outputs": {name: output.to_json() for name, output in model.outputs.items()},
        "decoders": document["decoders"],
        "streams": describe_streams(model.keeps) if yes else f"no, because {because}",
        "look_ahead": predictor.look_ahead,
        "target": predictor.target,
        "threads": predictor.threads,
        "sha256": model.sha256,
        "weights_hash": model.weights_hash,
        "schema_hash": model.schema_hash,
        "provenance": document["provenance"],
    }


def trained_tensors(model: Model) -> Iterator[tuple[str, Any]]:
    """Iterate over the tensors of the layers and decoders."""
    names = [one.tensors for one in model.layers] + [one.tensors for one in model.decoders.values()]
    for by_role in names:
        for name in by_role.values():
            yield name, model.tensors[name]


def describe_graphs(predictor: Predictor) -> list[dict[str, Any]]:
    """Describe each graph: its name, what a row of it is, when it ticks, what it reads, its state and its layers."""
    from ..document.graph import GRAPH
    from ..document.levels import MESSAGE
    from ..layers import INPUT

    model, fused, start, clock = predictor.model, set(predictor.fused_layers), 0, INPUT
    graphs = {name: (one.level, one.reads, one.model, one.decoder) for name, one in model.graphs.items()}
    found = []
    for name, (level, reads, graph, decoder) in (graphs or {GRAPH: (MESSAGE, (), model, "")}).items():
        layers = [describe_layer(i, graph, start + i in fused) for i in range(len(graph.layers))]
        clock = f"decoder.{decoder}" if decoder else clock
        facts = {"name": name, "level": level, "clock": clock, "reads": list(reads) or [INPUT]}
        found.append({**facts, "state_bytes": graph.state_bytes, "layers": layers})
        start, clock = start + len(layers), f"{name}.end"
    return found


def describe_layer(i: int, model: Model, is_fused: bool) -> dict[str, Any]:
    """Describe a layer of a model with one graph: kind, sizes, parameters, bytes of state, and what executes it."""
    layer = model.layers[i]
    arrays = [a for a in model.state_schema if a["name"].startswith(f"layers.{i}.")]
    sources = "" if layer.sources is None else f", from {', '.join(map(str, layer.sources))}"
    return {
        "kind": layer.kind,
        "what": layer.describe() + sources + ("" if layer.add is None else f", plus layer {layer.add}"),
        "parameters": sum(values.size for values in layer.select(model.tensors).values()),
        "state_bytes": sum(4 * math.prod(a["shape"]) for a in arrays),
        "runs_as": "kernel" if is_fused else "operations",
    }


def format_report(facts: dict[str, Any], model: Model, width: int) -> str:
    """Format the facts about a model for people. width: of the terminal."""
    several = ", any number per row" if facts["multi_label"] else ""
    source, *sides = model.inputs.values()
    summary = format_pairs(
        [
            ("file", f"{facts['file']} ({format_size(facts['bytes'])})"),
            ("task", facts["task"]),
            ("labels", format_names(facts["labels"] or [], several)),
            *((name, format_names(output.labels or [])) for name, output in model.outputs.items() if output.per_step),
            *(source.describe() or [("input", format_value(describe_entry(source)))]),
            *((side.name, f"{format_value(describe_entry(side))}, a side input") for side in sides),
            *(line for output in model.outputs.values() for line in output.describe()),
            *([("levels", ", ".join(one.level for one in model.levels.values()))] if model.levels else []),
            ("parameters", f"{facts['parameters']:,}"),
            ("state", format_state(facts)),
            ("streams", facts["streams"] + describe_delay(facts["look_ahead"])),
            ("runs on", f"{facts['target']}, {facts['threads']} threads"),
            ("SHA-256", facts["sha256"] or NO_SHA256),
            ("weights hash", facts["weights_hash"]),
            ("schema hash", facts["schema_hash"]),
        ],
        width,
    )
    tables = [format_layers(one["layers"], width, format_graph(one)) for one in facts.get("graphs", ())]
    layers = tables or [format_layers(facts["layers"], width)]
    origin = [(k.replace("_", " "), format_value(v)) for k, v in without_empty(facts["provenance"])]
    return "\n\n".join([summary, *layers, *([format_pairs(origin, width)] if origin else [])])


def format_layers(layers: list[dict[str, Any]], width: int, title: str = "") -> str:
    """Format the layers of a graph as a table below its title."""
    rows = [
        [i, one["kind"], one["what"], f"{one['parameters']:,}", f"{one['state_bytes']:,}", one["runs_as"]]
        for i, one in enumerate(layers)
    ]
    table = format_table(["layer", "kind", "what", "parameters", "state", "runs as"], rows, left=3, width=width)
    return f"{title}\n{table}" if title else table


def format_graph(graph: dict[str, Any]) -> str:
    """Say of a graph when it ticks and what it reads."""
    clock, level = str(graph["clock"]), f", of a {graph['level']}" if graph["level"] else ""
    when = f"the end of {clock.removesuffix('.end')}" if clock.endswith(".end") else "a step of the input"
    when = f"a step of {clock}" if not level else when
    return (
        f"graph {graph['name']}{level}: ticks at {when}, reads {', '.join(graph['reads'])}; "
        f"{graph['state_bytes']:,} bytes of state"
    )


def describe_streams(keeps: int) -> str:
    """Say when the streams of a model answer. keeps: how many steps of a message they keep until its end.

    >>> describe_streams(0), describe_streams(64)
    ('yes', 'one answer at each end; keeps up to 64 steps')
    """
    return f"one answer at each end; keeps up to {keeps} step{'s'[: keeps != 1]}" if keeps else "yes"


def describe_delay(steps: int) -> str:
    """Say how late the answers of a stream are; "" if they are not.

    >>> describe_delay(0), describe_delay(1), describe_delay(2)
    ('', ', each answer 1 step late', ', each answer 2 steps late')
    """
    return f", each answer {steps} step{'s'[: steps != 1]} late" if steps else ""


def format_names(names: list[str], several: str = "") -> str:
    """Format how many labels or tags there are, and the first of them."""
    some = ", ".join(names[:MAX_LABELS]) + (", ..." if len(names) > MAX_LABELS else "")
    return f"{len(names)}{several}: {shorten(some, 400)}" if names else "none"


def describe_entry(source: Input) -> dict[str, Any]:
    """Return an input's entry without the names of its tensors."""
    return {key: value for key, value in source.to_json().items() if key != "vocabulary"}


def format_state(facts: dict[str, Any]) -> str:
    """Format the memory that a stream takes."""
    if facts["streams"].startswith("no"):
        return "none, it does not stream"
    names = {
        "state": "the layers",
        "memory": "the input",
        "output": "the outputs",
        "kept": "the steps of a message",
        "attended": "steps that a graph attends to, at most",
    }
    parts = {names[what]: facts[f"{what}_bytes"] for what in names}
    shown = ", ".join(f"{size:,} for {what}" for what, size in parts.items() if size)
    return f"{sum(parts.values()):,} bytes per stream{f' ({shown})' * (facts['state_bytes'] < sum(parts.values()))}"


def without_empty(provenance: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(k, v) for k, v in provenance.items() if v not in (None, {}, []) and k != "history"]


def format_value(value: Any) -> str:
    """Format a value in words.

    >>> format_value({"a": 1, "b": ["x", "y"], "c": {"d": 0.125}})
    'a 1, b x y, c (d 0.125)'
    """
    if isinstance(value, dict):
        inner = {k: f"({format_value(v)})" if isinstance(v, dict) else format_value(v) for k, v in value.items()}
        return ", ".join(f"{k} {v}" for k, v in inner.items())
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} {'trials' if 'trial' in value[0] else 'series'}"
    if isinstance(value, list | tuple):
        return " ".join(format_value(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
