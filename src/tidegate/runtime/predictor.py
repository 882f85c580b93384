"""A model ready to answer: whole inputs in batches, streams and pools."""

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
    """A model on one target; it never changes, so that any number of threads may use one. It may be pickled: the
    pickle holds the model, and where it is opened a target that was not named is chosen anew.

    model: the file's contents. target: a name of `tidegate._native.targets()`; None: the best, or
    TIDEGATE_TARGET. threads: for batches and pools; see `threads_of`. weights: "float32", the default, or "bf16": kept
    as bfloat16, of half the bytes. compute: "float32", the default, or "bf16": what they multiply is rounded too, and
    then so are they. Raises TargetError, OptionError, ModelFileError.
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
        return self._compiled.model

    @property
    def target(self) -> str:
        return self._compiled.target

    @property
    def precision(self) -> str:
        """One of `precision.PRECISIONS`."""
        return self._compiled.precision

    @property
    def labels(self) -> list[str] | None:
        labels = self._compiled.labels
        return None if labels is None else list(labels)

    @property
    def threads(self) -> int:
        return self._compiled.threads

    @property
    def fused_layers(self) -> list[int]:
        """The layers that run a fused kernel; the others run their tape, with the same bits."""
        return list(self._compiled.runner.fused_layers)

    def predict(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> npt.NDArray[np.float32]:
        """The outputs after each whole input: float32 [n, outputs].

        rows: texts (str or bytes), or series, each [T, columns] of any T. times: of each series the times of its steps,
        where the model uses a calendar. series: the name of each, where the model scales each by its own statistics.
        Inputs go in batches of like length; neither that nor the number of threads changes a bit. Raises DataError
        naming the input; OptionError for a model that forecasts.
        """
        compiled = self._compiled
        if isinstance(rows, str | bytes):
            raise DataError("predict takes a list of texts; put the text in a list")
        if compiled.series is not None and compiled.series.transform.forecast is not None:
            raise OptionError("this model forecasts; use forecasts, which gives quantiles in the data's units")
        what = "text" if compiled.source.kind == "text" else "series"
        found: list[Steps] = []
        try:
            for row, time, name in zip_inputs(rows, times, series):
                found.append(compiled.source.read_whole(row, time, name))
        except DataError as error:
            raise DataError(f"{what} {len(found)}: {error}") from error
        if empty := [i for i, steps in enumerate(found) if not len(steps)]:
            raise DataError(f"{what} {empty[0]} has {self._compiled.source.empty_text}")
        out = np.empty((len(found), self._compiled.outputs), np.float32)
        for batch in split_batches([len(steps) for steps in found], getattr(self._compiled.source, "features", 1)):
            out[batch] = self._run_batch([found[i] for i in batch])
        if compiled.series is not None and (lost := ~np.isfinite(out).all(1)).any():
            raise DataError(f"series {lost.argmax()}: the answer is no finite number, as one that went in is too large")
        return out

    def classify(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> list[str]:
        """The label of each whole input, as `predict` takes them. Raises DataError as `predict`; OptionError for a
        model without labels, or with several a row.
        """
        if self._compiled.multi_label:
            raise OptionError("a row may have several labels in this model; use chosen, which gives a list for each")
        return [names[0] for names in self.chosen(rows, times, series)]

    def chosen(
        self,
        rows: Sequence[Any] | npt.NDArray[Any],
        times: Sequence[Any] | None = None,
        series: Sequence[str] | None = None,
    ) -> list[list[str]]:
        """The labels that hold for each whole input, as `Scores.chosen`: one, or of a multi-label model any number.

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
        """Forecasts of one series from rolling origins, in its units: float64 [origins, horizon, targets, quantiles].

        values: the steps [T, columns] as a stream takes them: a known column has the number of `horizon` steps later
        (of the next step, where the head is autoregressive). origins: indices of the steps after which forecasts are
        made, the last one if not given. times: of each step, where the model uses a calendar. series: the name, where
        the model scales each by its own statistics. paths, seed, known [origins, horizon, known columns]: as
        `Stream.forecast`, of a head that is autoregressive; known columns are read in `values` if not given.

        Each forecast is bit for bit that of a stream pushed up to its origin. Raises DataError; OptionError for a model
        that does not forecast.
        """
        from .rolling_origins import forecast_origins

        return forecast_origins(self._compiled, values, origins, times, series, paths, seed, known)

    def stream(self, series: str | None = None) -> Stream:
        """A fresh stream. series: its name, exactly where the model scales each series by its own statistics.

        Raises OptionError, in the file's sentence, when the model cannot stream; DataError for an unknown series.
        """
        return Stream(self._compiled, series)

    def pool(self) -> Pool:
        """An empty pool of streams. Raises OptionError as `stream`."""
        return Pool(self._compiled)

    def save(self, path: str | os.PathLike[str], force: bool = False) -> None:
        """Write the model's file; force: replace what is there even if it is no model file. Raises as `Model.save`."""
        self.model.save(path, force)

    def _run_batch(self, rows: list[Steps]) -> npt.NDArray[np.float32]:
        """The last outputs of one batch."""
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
    """Each input with its times and name, or None for them. Raises DataError unless there is one for each."""
    for what, given in (("times", times), ("series", series)):
        if given is not None and len(given) != len(rows):
            raise DataError(f"there are {len(rows)} inputs and {len(given)} {what}; each input has one")
    for i, row in enumerate(rows):
        yield row, None if times is None else times[i], None if series is None else series[i]


def split_batches(lengths: list[int], features: int) -> Iterator[list[int]]:
    """Indices of inputs in batches of like length, longest first, of bounded padded size.

    >>> list(batches([1, 5, 2], 1))
    [[1, 2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        room = BATCH_NUMBERS // (lengths[order[start]] * features)
        count = max(1, min(BATCH_ROWS, room))
        yield order[start : start + count]
        start += count


def load(
    path: str | os.PathLike[str],
    target: str | None = None,
    threads: int | None = None,
    weights: str | None = None,
    compute: str | None = None,
) -> Predictor:
    """The predictor of a model file; needs NumPy and the native module only. The arguments are `Predictor`'s.

    Raises: ModelFileError, TargetError, OptionError.
    """
    model = Model.load(path)
    with error_context(os.fspath(path)):
        return Predictor(model, target, threads, weights, compute)
