"""ONNX: one graph for onnxruntime and other readers, states in and out, written without the onnx package.

GRU, LSTM and RNN become ONNX's own nodes where the tape is the same; every other cell is a Scan made from its tape.
See docs/export.md for the inputs and outputs.
"""

from __future__ import annotations

import os
from typing import Any, Final

from ...atomic import check, kind_from_start, replace
from ...errors import ModelFileError, OptionError
from ...model import Model
from .build import MODES, build
from .proto import MADE
from .standard import form_of
from .wire import Message

__all__ = ["KIND", "LARGEST", "MODES", "OPTIONS", "SUFFIX", "encode", "export", "report"]
SUFFIX: Final = ".onnx"
OPTIONS: Final = {"mode": "sequence (default): T steps of B rows at once; step: one step of B streams"}
KIND: Final = kind_from_start("a graph that tidegate export made", MADE)
LARGEST: Final = (1 << 31) - 1  # bytes that a protocol buffer may have


def export(
    model: Model, out: str | os.PathLike[str], answers: Any = None, force: bool = False, mode: str = "sequence"
) -> list[str]:
    """Write the model as one ONNX file; the names of the files written.

    out: the file's name. answers: not used; `tidegate verify` holds the graph against the model's check. force: replace
    a file that is no graph of this command. mode:
    "sequence", [T, B] at once, or "step", one step of B streams.

    Raises: OptionError for an unknown mode, or one that the model does not have, or a path that does not end with
    .onnx or holds a file that is not of this command; ModelFileError for a model of more than 2 GB; TidegateError when
    the disk refuses.

    >>> import tempfile
    >>> from tidegate.document import state_schema
    >>> layers = [{"kind": "pool", "size": 2, "over": ["max"], "tensors": {}}]
    >>> model = Model({"format": 1, "task": {"kind": "encode", "options": {}}, "layers": layers, "tapes": {},
    ...     "input": {"kind": "array", "features": 2}, "state": state_schema(layers, {}), "labels": None,
    ...     "streams": {"yes": True}, "provenance": {}, "check": None}, {})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = export(model, os.path.join(folder, "max.onnx"), mode="step")
    >>> [os.path.basename(file) for file in files]
    ['max.onnx']
    """
    path = os.fspath(out)
    if os.path.splitext(path)[1] != SUFFIX:
        raise OptionError(f"out is {path!r}; expected a path that ends with {SUFFIX}")
    check(path, KIND, force=force)
    message = encoded(model, mode)
    with replace(path, KIND, force) as file:
        for part in message:
            file.write(part)
    return [path]


def report(model: Model, files: list[str], mode: str = "sequence") -> dict[str, Any]:
    """What `export` wrote: its mode, and what each recurrence became."""
    other = "Scan" if mode == "sequence" else "operations of its tape"
    found = {i: form_of(model.tapes[k["tape"]]) for i, k in enumerate(model.layers) if "tape" in k}
    nodes = [f"layers.{i}: {form.node if form else other}" for i, form in found.items()]
    return {"mode": mode, **({"recurrence": ", ".join(nodes)} if nodes else {})}


def encode(model: Model, mode: str = "sequence") -> bytes:
    """The bytes of the ONNX file. Raises as `export` does."""
    return b"".join(encoded(model, mode))


def encoded(model: Model, mode: str) -> Message:
    if mode not in MODES:
        raise OptionError(f"mode is {mode!r}; choose one of {', '.join(MODES)}")
    if mode == "step" and (because := model.whole_window):
        raise OptionError(f"mode is 'step', but the model does not stream, because {because}; use mode sequence")
    from ... import __version__

    message = build(model, mode, __version__)
    if message.size > LARGEST:
        raise ModelFileError(f"as ONNX it has {message.size} bytes; protocol buffers end at {LARGEST} (2 GB)")
    return message
