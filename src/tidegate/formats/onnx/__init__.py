"""ONNX: one graph for onnxruntime and other runtimes, with states in and out, written without the onnx package.

GRU, LSTM and RNN become ONNX's own nodes if the tape is the same; every other cell becomes a Scan of its tape. Inputs
and outputs are described in docs/export.md.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from ...atomic import check, kind_from_start, replace
from ...errors import ModelFileError, OptionError
from ...model import Model
from .build import MODES, build, whole_reason
from .proto import FILE_START
from .standard import find_standard_node
from .wire import Message

__all__ = ["KIND", "LARGEST", "MODES", "OPTIONS", "SUFFIX", "encode", "export", "report", "whole_reason"]
SUFFIX: Final = ".onnx"
OPTIONS: Final = {"mode": "sequence (default): T steps of B rows at once; step: one step of B streams"}
KIND: Final = kind_from_start("a graph that tidegate export made", FILE_START)
LARGEST: Final = (1 << 31) - 1  # bytes; the limit of protocol buffers


def export(
    model: Model,
    out: str | os.PathLike[str],
    expected: Any = None,
    force: bool = False,
    mode: str = "sequence",
    notes: Sequence[str] = (),
) -> list[str]:
    """Write the model as one ONNX file; return the files written.

    out: the file's name. expected: not used; `tidegate verify` runs the check on the graph. force: replace a file that
    this command did not write. mode: "sequence", [T, B] at once, or "step", one step of B streams.
    notes: sentences for the description of the graph.

    Raises: OptionError for an unknown mode, a mode that the model does not have, a path that does not end with .onnx,
    or a file that this command did not write; ModelFileError for a model of more than 2 GB; TidegateError if the file
    cannot be written.

    >>> import tempfile
    >>> from tidegate.verify.samples import sample
    >>> model = sample(features=2, cell=None, over=("max",), outputs=None, softmax=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = export(model, os.path.join(folder, "max.onnx"), mode="step")
    >>> [os.path.basename(file) for file in files]
    ['max.onnx']
    """
    path = os.fspath(out)
    if os.path.splitext(path)[1] != SUFFIX:
        raise OptionError(f"out is {path!r}; expected a path that ends with {SUFFIX}")
    check(path, KIND, force=force)
    message = build_message(model, mode, notes)
    with replace(path, KIND, force) as file:
        for part in message:
            file.write(part)
    return [path]


def report(model: Model, files: list[str], mode: str = "sequence") -> dict[str, Any]:
    """Return what `export` wrote: the mode, and what each recurrence became."""
    other = "Scan" if mode == "sequence" else "operations of its tape"
    tapes = {i: tape for i, layer in enumerate(model.layers) for tape in layer.tapes.values()}
    standard = {i: find_standard_node(tape) for i, tape in tapes.items()}
    nodes = [f"layers.{i}: {node.op if node else other}" for i, node in standard.items()]
    return {"mode": mode, **({"recurrence": ", ".join(nodes)} if nodes else {})}


def encode(model: Model, mode: str = "sequence") -> bytes:
    """Return the bytes of the ONNX file. Raises what `export` raises."""
    return b"".join(build_message(model, mode))


def build_message(model: Model, mode: str, notes: Sequence[str] = ()) -> Message:
    if mode not in MODES:
        raise OptionError(f"mode is {mode!r}; choose one of {', '.join(MODES)}")
    if mode == "step" and (because := whole_reason(model, mode)):
        raise OptionError(f"mode is 'step', but the graph has no steps, because {because}; use mode sequence")
    from ... import __version__

    message = build(model, mode, __version__, notes)
    if message.size > LARGEST:
        raise ModelFileError(f"as ONNX it has {message.size} bytes; protocol buffers have at most {LARGEST} (2 GB)")
    return message
