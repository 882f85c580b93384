"""What the estimators share: training, the fitted predictor, saving, and errors that are ValueErrors too."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..errors import DataError, ModelFileError, OptionError, WrongData, WrongValue
from ..model import Model
from ..runtime import Predictor
from .parameters import CommonParameters, make_options

if TYPE_CHECKING:
    from ..train import Progress


class TidegateEstimator(BaseEstimator):  # type: ignore[misc]
    """The base of the estimators: `fit` sets `predictor_`."""

    predictor_: Predictor

    @property
    def model_(self) -> Model:
        """The fitted model: what a model file contains (docs/format.md)."""
        check_is_fitted(self)
        return self.predictor_.model

    def save(self, path: str | os.PathLike[str], force: bool = False) -> None:
        """Write a model file, which `tidegate.load` and every command read; see `Model.save`."""
        self.model_.save(path, force)

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_file" in state:  # the state of earlier versions, whose predictors could not be pickled
            name = type(self).__name__
            raise ModelFileError(
                f"the pickled {name} comes from an older version of tidegate; load it there and save its model with "
                "save(path), which tidegate.load reads here, or fit it again"
            )
        super().__setstate__(state)


def fit_predictor(estimator: Any, task: str, options: Any, source: Any) -> Predictor:
    """Train a model of a task on a source, with the estimator's threads, and return its predictor."""
    from ..train import fit

    common = make_options(estimator, CommonParameters)
    callbacks: dict[str, Any] = {"progress": print_progress, "say": print} if common.verbose else {}
    with tempfile.TemporaryDirectory(prefix="tidegate") as folder:
        out = os.path.join(folder, "model.safetensors")
        model = fit(task, source, options, out, threads=common.threads, **callbacks)
    return Predictor(model, threads=common.threads)


def print_progress(progress: Progress) -> None:
    """Print a line after every epoch."""
    if progress.evaluated:
        figures = f"loss {progress.loss:.4f}, {progress.metric_name} {progress.metric:.4f}"
        print(f"{progress.phase} {progress.epoch}/{progress.epochs}: {figures}")


@contextmanager
def raise_value_errors() -> Iterator[None]:
    """Turn errors in data and options into ValueErrors, which users and tools of scikit-learn expect."""
    try:
        yield
    except DataError as error:
        raise error if isinstance(error, ValueError) else WrongData(str(error)) from error
    except OptionError as error:
        raise error if isinstance(error, ValueError) else WrongValue(str(error)) from error
