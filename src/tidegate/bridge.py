"""To and from other runtimes: `from_torch` reads torch modules, `to_torch` makes them, `export` writes formats."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .atomic import check, locked
from .model import Model, as_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from .formats import Answer
    from .runtime import Predictor


def from_torch(
    *modules: torch.nn.Module,
    labels: Sequence[str] | None = None,
    initial: Any = None,
    like: Any = None,
    example: Any = None,
) -> Predictor:
    """A predictor of trained torch modules applied one after the other: it saves, verifies and streams from now on.

    modules: GRU, LSTM, RNN and their cells, of torch.nn or of tidegate.nn; Embedding first; Linear with ReLU, Tanh or
    Sigmoid right behind it; LayerNorm; Softmax over the last dim; tidegate.nn.FinalStates right behind a bidirectional
    recurrence; Dropout and Identity, which answering leaves out; or a Sequential of these. A recurrence passes its
    output sequence on. All float32. labels: names of the outputs.
    initial: the state before the first step, as the recurrence takes it for one row: [layers, width], for an LSTM a
    pair; with several recurrences, name -> state. None is zeros, as torch has it.
    like, example: the module that the parts are of, and what it takes: a tensor of rows of 2 steps or more, in its own
    layout, or a tuple of that and more, of which integers [rows] are the rows' lengths. Both it and the model run on
    the example in float64, and answers that differ are refused. A Softmax at the end of the parts may be missing in
    `like`.

    Warns (UserWarning) where the answer reads a backward direction after a single step, unless `like` has agreed.

    The model takes what the first module takes at one step: a token id, or a row of numbers; its answer is the last
    module's at that step, after every step so far. The weights are copied, float32 as they are; so the answers are
    those of the modules up to float32's roundings, which `verify` holds against their bound.

    Raises: ModuleError naming the submodule that cannot be brought (a forward of its own, a hook, quantised, float64,
    NaN), a difference from `like`, with its size and place, and ModelFileError for labels that do not fit.

    >>> import torch
    >>> predictor = from_torch(torch.nn.GRU(3, 8), torch.nn.Linear(8, 2))
    >>> stream = predictor.stream()
    >>> stream.push([0.1, 0.2, 0.3]).values.shape
    (2,)
    """
    from .nn import alike
    from .nn.from_torch import from_torch
    from .runtime import Predictor
    from .verify import attach

    model = from_torch(modules, labels, initial)
    if like is not None or example is not None:
        alike.compare(model, like, example)
    else:
        alike.warn_of_one_step(model)
    return Predictor(attach(model))


def to_torch(model: Model | Predictor | str | os.PathLike[str]) -> torch.nn.Module:
    """A model as torch modules with its weights; the way back of `from_torch`.

    A stack of recurrences in the dialect of torch is a torch.nn.GRU, LSTM or RNN, in any other one of tidegate.nn;
    more than one module is a `tidegate.nn.Sequential`. In eval mode, on the CPU, time first: [T, B, ...].

    Raises: ModuleError for a layer that has no module, such as a pool.
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
    """The files that were written for a model in another format, `out` first.

    model: a model with its check, a predictor, or the path of a model file. to: one of `tidegate.formats.names()`,
    such as "c". out: the path to write, with the format's suffix; a file that is there is replaced where the same
    format was exported to it, any other one only with force=True. options: the format's own, such as name="intent" for
    the prefix of everything in C.

    Raises: OptionError for an unknown format or option, a value that it cannot take, or a file that may not be
    replaced; ModelFileError for a model that
    the format cannot hold, or one without its check; TidegateError when the disk refuses.

    >>> import os, tempfile
    >>> from tidegate.verify.samples import sample
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = export(sample(size=4, check=True), "c", os.path.join(folder, "intent.c"))
    >>> [os.path.basename(file) for file in files]
    ['intent.c', 'intent.h']
    """
    from .formats import load, write, written

    module = load(to)
    inputs = [model] if isinstance(model, str | os.PathLike) else []
    for file in written(module, os.fspath(out)):
        check(file, module.KIND, inputs, force)
    whole = as_model(model)
    with locked(out):
        return write(whole, to, out, answers(whole), force, **options)


def answers(model: Model) -> list[Answer]:
    """The check's stored answers, with the bounds of a target whose functions are those of the native base target."""
    from .formats import Answer
    from .verify.replay import Replay

    replay = Replay(model)
    bounds = replay.bounds_on("base")
    return [Answer(y, y_bound, s, s_bound) for (y, s), (y_bound, s_bound) in zip(replay.stored, bounds, strict=True)]
