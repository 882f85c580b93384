"""Convert models to and from other runtimes: `from_torch`, `to_torch`, and `export` to other formats."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .atomic import check, lock
from .model import Model, as_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from .formats import ExpectedValues
    from .runtime import Predictor


def from_torch(
    *modules: torch.nn.Module,
    labels: Sequence[str] | None = None,
    initial: Any = None,
    like: Any = None,
    example: Any = None,
) -> Predictor:
    """Convert trained torch modules, applied one after the other, to a predictor that streams, verifies and saves.

    The model takes the input of the first module at one step: a token id, or a row of numbers. Its output is that of
    the last module at that step, after all steps so far. A recurrence passes on its outputs. Weights are float32 and
    copied unchanged, so the outputs equal those of the modules up to the rounding errors of float32, whose bound
    `verify` checks.

    Args:
        modules: GRU, LSTM, RNN and their cells, of torch.nn or tidegate.nn; Embedding, as the first; Linear, optionally
            followed by ReLU, Tanh or Sigmoid; LayerNorm; tidegate.nn.Scale; Softmax over the last dim;
            tidegate.nn.FinalStates directly after a bidirectional recurrence; Dropout and Identity, which have no
            effect; or a Sequential of these.
        labels: the names of the outputs.
        initial: the state before the first step, as the recurrence takes it for one row: [layers, width], for an LSTM
            a pair of these; with several recurrences, a dictionary of name -> state. None: zeros, as in torch.
        like: the module that the parts belong to.
        example: an input of `like`, in its own layout: a tensor of rows of 2 steps or more, or a tuple of that and
            further arguments, of which an integer tensor [rows] is the lengths. `like` and the model both run on it in
            float64, and different outputs are refused. `like` may lack a Softmax at the end of the parts.

    Warns (UserWarning) if the output depends on a backward direction that has seen only one step, unless `like` is
    given.

    Raises ModuleError for a module that cannot be converted (a custom forward, a hook, quantised, float64, NaN), by
    its name, and for outputs that differ from those of `like`, with the size and place of the difference;
    ModelFileError for labels that do not fit.

    >>> import torch
    >>> predictor = from_torch(torch.nn.GRU(3, 8), torch.nn.Linear(8, 2))
    >>> stream = predictor.stream()
    >>> stream.push([0.1, 0.2, 0.3]).values.shape
    (2,)
    """
    from .nn import comparison
    from .nn.from_torch import from_torch
    from .runtime import Predictor
    from .verify import attach

    model = from_torch(modules, labels, initial)
    if like is not None or example is not None:
        comparison.compare(model, like, example)
    else:
        comparison.warn_of_one_step(model)
    return Predictor(attach(model))


def to_torch(model: Model | Predictor | str | os.PathLike[str]) -> torch.nn.Module:
    """Convert a model to torch modules with its weights, the inverse of `from_torch`.

    A stack of recurrences becomes a torch.nn.GRU, LSTM or RNN if that computes the same, otherwise a module of
    tidegate.nn. Several modules become a `tidegate.nn.Sequential`. The result is in eval mode, on the CPU, and takes
    time first: [T, B, ...].

    Raises ModuleError for a layer without a torch module, such as a pool.
    """
    from .nn.to_torch import to_torch

    return to_torch(as_model(model))


def export(
    model: Model | Predictor | str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    force: bool = False,
    **options: Any,
) -> list[str]:
    """Export a model to another format; return the paths of the files written, `out` first.

    A model of several graphs gives files for each, named after it: chat_words.c and chat_talk.c for chat.c. They say
    what one reads of the other, and when.

    Args:
        model: a model with its check, a predictor, or the path of a model file.
        to: the name of a format, one of `tidegate.formats.names()`, such as "c".
        out: the path to write, with the suffix of the format. An existing file is replaced if it is an export in the
            same format.
        force: replace any existing file.
        options: options of the format, such as name="intent", the prefix of all names in C.

    Raises OptionError for an unknown format or option, an invalid value, or a file that may not be replaced;
    ModelFileError for a model that the format cannot express, or without its check; TidegateError if writing fails.

    >>> import os, tempfile
    >>> from tidegate.verify.samples import sample
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = export(sample(size=4, check=True), "c", os.path.join(folder, "intent.c"))
    >>> [os.path.basename(file) for file in files]
    ['intent.c', 'intent.h']
    """
    from .formats import load, output_files, write
    from .formats._levels import describe_connections, graph_path
    from .verify import attach

    module = load(to)
    inputs = [model] if isinstance(model, str | os.PathLike) else []
    loaded, path = as_model(model), os.fspath(out)
    graphs = {graph_path(path, name): (name, level.model) for name, level in loaded.levels.items()}
    # The check of a driven graph reads rows that are made up; a file that is exported begins without any.
    graphs |= {graph_path(path, name): (name, attach(one.model)) for name, one in loaded.driven.items()}
    for one in graphs or [path]:
        for file in output_files(module, one):
            check(file, module.KIND, inputs, force)
    with lock(out):
        if not graphs:
            return write(loaded, to, out, collect_answers(loaded), force, **options)
        files, notes = list[str](), describe_connections(loaded)
        for one, (name, graph) in graphs.items():
            own = options | ({"name": f"{options['name']}_{name}"} if "name" in options else {})
            files += write(graph, to, one, collect_answers(graph), force, notes[name], **own)
        return files


def collect_answers(model: Model) -> list[ExpectedValues]:
    """Return the stored answers of the check, with the error bounds of the native base target."""
    from .formats import ExpectedValues
    from .verify.replay import Replay

    replay = Replay(model)
    bounds = replay.target_bounds("base")
    return [
        ExpectedValues(y, y_bound, s, s_bound) for (y, s), (y_bound, s_bound) in zip(replay.stored, bounds, strict=True)
    ]
