"""The predictor: a loaded model that answers whole inputs in batches and opens streams and pools."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, OptionError, error_context
from ..model import Model
from .compiled_model import CompiledModel
from .inputs import Steps
from .pool import Pool
from .precision import FLOAT32
from .scores import select_labels
from .stream import Stream

BATCH_ROWS: Final = 256
BATCH_NUMBERS: Final = 1 << 21  # padded ids or features of one batch


class Predictor:
    """A model compiled for one target. It never changes, so any number of threads may share one.

    A pickle contains the model; a target that was not named is selected again when the pickle is loaded.

    model: the file's contents. target: one of `tidegate._native.targets()`; None: TIDEGATE_TARGET, or the best.
    threads: for batches and pools; see `resolve_threads`. weights: "float32", the default, or "bf16": store weights as
    bfloat16, in half the bytes. compute: "float32", the default, or "bf16": round weights and what they multiply.

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
        """The names of the outputs, or None."""
        labels = self._compiled.labels
        return None if labels is None else list(labels)

    @property
    def threads(self) -> int:
        """How many threads batches and pools use."""
        return self._compiled.threads

    @property
    def fused_layers(self) -> list[int]:
        """The indices of the layers that run a fused kernel; the others interpret their tape, with the same bits."""
        return list(self._compiled.runner.fused_layers)

    def predict(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Run whole inputs and return the outputs after each: float32 [n, outputs].

        rows: texts (str or bytes), or series, each [T, columns] of any T. times: the times of the steps of each series,
        if the model uses a calendar. series: the name of each, if the model scales each by its own statistics.

        Inputs run in batches of similar length; neither the batches nor the number of threads change a bit. Raises
        DataError naming the input; OptionError for a model that forecasts.
        """
        compiled = self._compiled
        if isinstance(rows, str | bytes):
            raise DataError("predict takes a list of texts; put the text in a list")
        if compiled.series is not None and compiled.series.transform.forecast is not None:
            raise OptionError("this model forecasts; use forecasts, which gives quantiles in the data's units")
        what = "text" if compiled.source.kind == "text" else "series"
        inputs: list[Steps] = []
        try:
            for row, time, name in zip_inputs(rows, times, series):
                inputs.append(compiled.source.read_whole(row, time, name))
        except DataError as error:
            raise DataError(f"{what} {len(inputs)}: {error}") from error
        if empty := [i for i, steps in enumerate(inputs) if not len(steps)]:
            raise DataError(f"{what} {empty[0]} has {self._compiled.source.empty_text}")
        out = np.empty((len(inputs), self._compiled.outputs), np.float32)
        for batch in split_batches([len(steps) for steps in inputs], getattr(self._compiled.source, "features", 1)):
            out[batch] = self._run_batch([inputs[i] for i in batch])
        if compiled.series is not None and (bad := ~np.isfinite(out).all(1)).any():
            raise DataError(f"series {bad.argmax()}: the output is not finite, because a number in it is too large")
        return out

    def classify(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> list[str]:
        """Return the label of each whole input: the one with the largest output. Arguments are those of `predict`.

        Raises DataError as `predict`; OptionError for a model without labels, or with several labels per input.
        """
        if self._compiled.multi_label:
            raise OptionError(
                "this model can give an input several labels; use predict_labels, which returns a list for each"
            )
        return [names[0] for names in self.predict_labels(rows, times, series)]

    def predict_labels(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> list[list[str]]:
        """Return the labels of each whole input, as `Scores.predicted_labels`: one, or any number if multi-label.

        Raises DataError as `predict`; OptionError for a model without labels.
        """
        labels = self._compiled.labels
        if labels is None:
            raise OptionError("this model has no labels; use predict, which gives its outputs")
        return select_labels(self.predict(rows, times, series), labels, self._compiled.multi_label)

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

    def pool(self) -> Pool:
        """Open an empty pool of streams. Raises OptionError as `stream`."""
        return Pool(self._compiled)

    def save(self, path: str | os.PathLike[str], force: bool = False) -> None:
        """Write the model file. force: replace an existing file that is not a model file. Raises as `Model.save`."""
        self.model.save(path, force)

    def _run_batch(self, rows: list[Steps]) -> npt.NDArray[np.float32]:
        """Run one batch and return the last outputs."""
        compiled, B = self._compiled, len(rows)
        lengths = np.array([len(row) for row in rows], np.int32)
        x = np.zeros((int(lengths.max()), B, *rows[0].shape[1:]), rows[0].dtype)
        for b, row in enumerate(rows):
            x[: len(row), b] = row
        states = np.tile(compiled.initial, (B, 1))
        out = np.empty((B, compiled.outputs), np.float32)
        compiled.runner.run(x, lengths, states, np.empty_like(states), out, False, compiled.threads)
        return out

    def __repr__(self) -> str:
        kind = "" if self.precision == FLOAT32 else ", {}={!r}".format(*self.precision.split("="))
        return f"Predictor({self.model!r}, target={self.target!r}, threads={self.threads}{kind})"


def zip_inputs(rows: Any, times: Sequence[Any] | None, series: Sequence[str] | None) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each input with its times and name, or None for them. Raises DataError unless their numbers agree."""
    for name, values in (("times", times), ("series", series)):
        if values is not None and len(values) != len(rows):
            raise DataError(f"there are {len(rows)} inputs and {len(values)} {name}; give one for each input")
    for i, row in enumerate(rows):
        yield row, None if times is None else times[i], None if series is None else series[i]


def split_batches(lengths: list[int], features: int) -> Iterator[list[int]]:
    """Split inputs into batches of similar length and bounded padded size, longest first; yield their indices.

    >>> list(split_batches([1, 5, 2], 1))
    [[1, 2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        limit = BATCH_NUMBERS // (lengths[order[start]] * features)
        count = max(1, min(BATCH_ROWS, limit))
        yield order[start : start + count]
        start += count


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
