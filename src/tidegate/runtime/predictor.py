"""The predictor: a loaded model that answers whole inputs in batches and opens streams and pools."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, OptionError, error_context
from ..model import Model
from ..outputs.base import Output
from .answers import make_answer
from .compiled_model import CompiledModel
from .conversations import answer_conversations, predict_conversations, read_conversations, regroup
from .driven import Writing
from .pool import Pool
from .precision import FLOAT32
from .stream import Stream
from .vectors import collect_vectors
from .whole_inputs import read_inputs, require_answers, run_every_step, run_inputs


class Predictor:
    """A model compiled for one target. It never changes, so any number of threads may share one.

    A pickle contains the model; a target that was not named is selected again when the pickle is loaded.

    model: the file's contents. target: one of `tidegate._native.targets()`; None: TIDEGATE_TARGET, or the best.
    threads: for batches and pools; see `resolve_threads`. weights: "float32", the default, or "bf16": store weights as
    bfloat16, in half the bytes. compute: "float32", the default, or "bf16": round weights and what they multiply.
    With TIDEGATE_FUSED=0 in the environment there are no fused kernels, and the bits are the same.

    Raises: TargetError, OptionError, ModelFileError.
    """

    __slots__ = ("_compiled",)

    def __init__(
        self,
        model: Model,
        target: str | None = None,
        threads: int | None = None,
        weights: str | None = None,
        compute: str | None = None,
    ) -> None:
        self._compiled = CompiledModel(model, target, threads, weights, compute)

    @classmethod
    def _from_compiled(cls, compiled: CompiledModel) -> Predictor:
        predictor = cls.__new__(cls)
        predictor._compiled = compiled
        return predictor

    def __reduce__(self) -> tuple[Any, ...]:
        return Predictor._from_compiled, (self._compiled,)

    @property
    def model(self) -> Model:
        """The model file's contents."""
        return self._compiled.model

    @property
    def target(self) -> str:
        """The instruction set that the engine was compiled for."""
        return self._compiled.target

    @property
    def precision(self) -> str:
        """One of `precision.PRECISIONS`: "float32", "weights=bf16" or "compute=bf16"."""
        return self._compiled.precision

    @property
    def labels(self) -> list[str] | None:
        """The labels of an input if the model classifies, else the names of its outputs, or None."""
        outputs = sorted(self.model.outputs.values(), key=lambda output: not output.classifies)
        return next((list(output.labels) for output in outputs if output.labels is not None), None)

    @property
    def levels(self) -> tuple[str, ...]:
        """The words for what can end in a stream, the innermost first: "message", and perhaps "conversation"."""
        return self._compiled.levels

    @property
    def threads(self) -> int:
        """How many threads batches and pools use."""
        return self._compiled.threads

    @property
    def output_bytes(self) -> int:
        """The bytes that a stream remembers of outputs, behind the state of the layers."""
        return self._compiled.fixed_bytes - self.model.state_bytes

    @property
    def attended_bytes(self) -> int:
        """The most bytes that a stream keeps of steps, as graphs that decoders drive attend to them."""
        return sum(memory.array.end - memory.array.offset for memory in self._compiled.memories)

    @property
    def kept_bytes(self) -> int:
        """The bytes for the steps that a stream keeps until the end of its message, as layers read whole rows."""
        return 0 if self._compiled.kept is None else self._compiled.kept.end - self._compiled.kept.offset

    @property
    def look_ahead(self) -> int:
        """How many steps the answers of a stream are late, as the layers read as many later ones."""
        return self._compiled.look_ahead

    @property
    def fused_layers(self) -> list[int]:
        """The indices of the layers that a fused kernel runs; the others run by their operations: the same bits.

        In a model of several graphs, their layers are counted one after another.
        """
        found, start = list[int](), 0
        driven = (graph.compiled for graph in self._compiled.driven.values())
        for compiled in (self._compiled, *(graph.compiled for graph in self._compiled.upper), *driven):
            found += [start + i for i in compiled.runner.fused_layers]
            start += len(compiled.model.first.layers)
        return found

    def predict(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> Any:
        """Run whole inputs and return the outputs after each: float32 [n, outputs].

        rows: texts (str or bytes), or series, each [T, columns] of any T. times: the times of the steps of each series,
        if the model uses a calendar. series: the name of each, if the model scales each by its own statistics.

        A model of several graphs takes conversations: lists of messages, each a text or a pair of a text and its side
        inputs, ("hello", {"speaker": "ann"}). The result is then a list with the outputs after each message of a
        conversation, float32 [messages, outputs]. A message instead of a list is a conversation of one; if all inputs
        are, the result is one array.

        Inputs run in batches of similar length; neither the batches nor the number of threads change a bit. Raises
        DataError naming the input, also for one without an answer, for which `answers` gives the reason; OptionError
        for a model that forecasts or tags, or has several outputs.
        """
        if len(outputs := self.model.outputs) > 1:
            raise OptionError(f"this model has the outputs {', '.join(outputs)}; use answers, which gives that of each")
        (output,) = outputs.values()
        if output.whole_reason:
            raise OptionError(output.whole_reason)
        if not self._compiled.upper:
            return self._predict(output, rows, times, series)
        conversations = read_conversations(self._compiled, "predict", rows, times, series)
        found = predict_conversations(self._compiled, output, conversations)
        if all(one.is_single for one in conversations):
            return np.concatenate(found) if found else np.empty((0, *output.shape), np.float32)
        return found

    def _predict(self, output: Output, rows: Any, times: Any, series: Any) -> npt.NDArray[np.float32]:
        """Do `predict` for one of the outputs."""
        compiled = self._compiled
        source, inputs = compiled.source, read_inputs(compiled, "predict", rows, times, series)
        require_answers(source, inputs)
        values = np.empty((len(inputs), compiled.width), np.float32)
        for results in run_inputs(compiled, inputs):
            values[results.positions] = results.values
        if reason := source.explain_overflow(values):
            raise DataError(reason)
        return np.asarray(output.convert(values), np.float32)

    def run_layers(self, rows: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[np.float32]]:
        """Run the layers over rows of steps, and return the numbers after every step of each: float32 [T, outputs].

        rows: as the first layer takes them, past the input: int32 ids [T] or [T, ids], or float32 numbers
        [T, features]. Of a model of several graphs, they are steps of the first one. Raises DataError naming a row.
        """
        return run_every_step(self._compiled, rows)

    def answers(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> list[Any]:
        """Run whole inputs and return the answer about each: Scores, a Forecast, Tags of all its steps, or Answers.

        An input without an answer, such as an empty text, gets one without values whose reason says why; the others are
        not affected. Each answer is that of a stream that gets the whole input and its end. Arguments are those of
        `predict`. Of a conversation, there is a list with the answer at the end of each message. Raises DataError
        naming an input that cannot be used.
        """
        return self._answers("answers", rows, times, series)

    def _answers(self, verb: str, rows: Any, times: Any, series: Any, first: int = 0) -> list[Any]:
        """Do `answers`. verb: what the user called, and first: the number of the first input, for messages."""
        compiled = self._compiled
        if compiled.upper:
            return answer_conversations(compiled, read_conversations(compiled, verb, rows, times, series, first))
        inputs = read_inputs(compiled, verb, rows, times, series, first)
        writings = {name: Writing(graph) for name, graph in compiled.driven.items()}
        nothing = np.zeros(compiled.width, np.float32), None, compiled.initial, None
        results = dict[int, tuple[Any, ...]]()
        for positions, values, all_values, blocks, scaling in run_inputs(compiled, inputs):
            for k, i in enumerate(positions):
                results[i] = values[k], all_values[k], blocks[k], compiled.source.select_context(scaling, k)
        found = []
        for i, (steps, state) in enumerate(inputs):
            value, every, block, scaling = results.get(i, nothing)
            number = steps.number
            found.append(make_answer(compiled, value, number, state, block, True, scaling, every, writings=writings))
        return found

    def classify(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> list[Any]:
        """Return the label of each whole input: the one with the largest output. Arguments are those of `predict`.

        It is None for an input that is out of scope, as the file says; `answers` has the reason. Of a conversation,
        there is a list with the label of each message.

        Raises DataError as `predict`; OptionError for a model without labels, or with several labels per input.
        """
        if self._find_classifier().gives_several:
            raise OptionError(
                "this model can give an input several labels; use predict_labels, which returns a list for each"
            )
        return [take_first(labels) for labels in self.predict_labels(rows, times, series)]

    def predict_labels(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> list[Any]:
        """Return the labels of each whole input, as `Scores.predicted_labels`: one, or any number if multi-label; none
        for an input that is out of scope.

        Of a conversation, there is a list with the labels of each message.

        Raises DataError as `predict`; OptionError for a model without labels.
        """
        output = self._find_classifier()
        if not self._compiled.upper:
            return output.select_labels(self._predict(output, rows, times, series))
        conversations = read_conversations(self._compiled, "predict", rows, times, series)
        scores = predict_conversations(self._compiled, output, conversations)
        return regroup(output.select_labels(np.concatenate(scores)) if scores else [], conversations)

    def vectors(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> Any:
        """Return the vector of each whole input, float32 [n, width]. Arguments are those of `predict`.

        An input without a vector, such as an empty text, has a row of NaN; `answers` gives the reason. Of
        conversations, there is a list with the vectors after each message, float32 [messages, width]; if all are single
        messages, the result is one array. `tidegate.find_nearest` compares vectors.

        Raises DataError naming an input that cannot be used; OptionError for a model that gives no vectors.
        """
        output = self._find_encoder()
        return collect_vectors(partial(self._answers, "vectors"), output, rows, times, series)

    def _find_encoder(self) -> Output:
        """Return the output that gives inputs vectors. Raises OptionError for a model without one."""
        for output in self.model.outputs.values():
            if output.encodes:
                return output
        raise OptionError("this model gives no vectors; train one that does with tidegate fit encode")

    def _find_classifier(self) -> Output:
        """Return the output that gives inputs labels. Raises OptionError for a model without one."""
        for output in self.model.outputs.values():
            if output.classifies:
                return output
        raise OptionError("this model has no labels; use predict, which gives its outputs")

    def forecasts(
        self,
        values: Any,
        origins: Any = None,
        times: Any = None,
        series: str | None = None,
        paths: int = 100,
        seed: int = 0,
        known: Any = None,
    ) -> npt.NDArray[np.float64]:
        """Forecast one series from rolling origins, in its units: float64 [origins, horizon, targets, quantiles].

        values: the steps [T, columns] as a stream takes them: a known column has the value of `horizon` steps later, or
        of the next step if the head is autoregressive. origins: indices of the steps to forecast after; by default the
        last one. times: of each step, if the model uses a calendar. series: its name, if the model scales each by its
        own statistics. paths, seed, known [origins, horizon, known columns]: as in `Stream.forecast`, for an
        autoregressive head; known columns are taken from `values` by default.

        Each forecast is bit for bit that of a stream pushed up to its origin. Raises DataError; OptionError for a model
        that does not forecast.
        """
        from .rolling_origins import forecast_origins

        return forecast_origins(self._compiled, values, origins, times, series, paths, seed, known)

    def stream(self, series: str | None = None) -> Stream:
        """Open a new stream. series: its name, required if the model scales each series by its own statistics.

        Raises OptionError, with the reason, if the model cannot stream; DataError for an unknown series.
        """
        return Stream(self._compiled, series)

    def pool(self, keep: int | None = None) -> Pool:
        """Open an empty pool of streams. keep: how many to keep, the most recently used ones; None: all.

        Raises OptionError as `stream`, and for anything but a number of streams.
        """
        return Pool(self._compiled, keep)

    def save(self, path: str | os.PathLike[str], force: bool = False) -> None:
        """Write the model file. force: replace an existing file that is not a model file. Raises as `Model.save`."""
        self.model.save(path, force)

    def __repr__(self) -> str:
        kind = "" if self.precision == FLOAT32 else ", {}={!r}".format(*self.precision.split("="))
        return f"Predictor({self.model!r}, target={self.target!r}, threads={self.threads}{kind})"


def take_first(labels: list[Any]) -> Any:
    """Return the first of some labels, None if there is none, or those of each message.

    >>> take_first(["card"]), take_first([["card"], []]), take_first([])
    ('card', ['card', None], None)
    """
    if not labels:
        return None
    return [take_first(one) for one in labels] if isinstance(labels[0], list) else labels[0]


def load(
    path: str | os.PathLike[str],
    target: str | None = None,
    threads: int | None = None,
    weights: str | None = None,
    compute: str | None = None,
) -> Predictor:
    """Load a model file and return its predictor. Needs only NumPy and the native module. Arguments: see `Predictor`.

    Raises: ModelFileError, TargetError, OptionError.
    """
    model = Model.load(path)
    with error_context(os.fspath(path)):
        return Predictor(model, target, threads, weights, compute)
