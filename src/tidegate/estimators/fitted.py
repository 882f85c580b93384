"""What a fitted estimator is: a predictor, and what it was made from."""

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
from .parameters import Fitting, chosen

if TYPE_CHECKING:
    from ..train import Progress


class Fitted(BaseEstimator):  # type: ignore[misc]
    """An estimator whose fit leaves `predictor_`."""

    predictor_: Predictor

    @property
    def model_(self) -> Model:
        """The model that was fitted: a file's contents, see docs/format.md."""
        check_is_fitted(self)
        return self.predictor_.model

    def save(self, path: str | os.PathLike[str], force: bool = False) -> None:
        """Write the model's file, which `tidegate.load` and every command takes; see `Model.save`."""
        self.model_.save(path, force)

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_file" in state:  # how a fitted model was kept before predictors could be pickled
            name = type(self).__name__
            raise ModelFileError(
                f"the pickled {name} was made by an older tidegate; open it there and keep its model with "
                "save(path), which tidegate.load reads here, or fit it again"
            )
        super().__setstate__(state)


def learnt(estimator: Any, task: str, options: Any, source: Any) -> Predictor:
    """The predictor of a model fitted to a source, with the estimator's threads."""
    from ..train import fit

    fitting = chosen(estimator, Fitting)
    say: dict[str, Any] = {"progress": shown, "say": print} if fitting.verbose else {}
    with tempfile.TemporaryDirectory(prefix="tidegate") as folder:
        out = os.path.join(folder, "model.safetensors")
        model = fit(task, source, options, out, threads=fitting.threads, **say)
    return Predictor(model, threads=fitting.threads)


def shown(progress: Progress) -> None:
    """Prints a line after every epoch."""
    if progress.evaluated:
        figures = f"loss {progress.loss:.4f}, {progress.metric_name} {progress.metric:.4f}"
        print(f"{progress.phase} {progress.epoch}/{progress.epochs}: {figures}")


@contextmanager
def as_scikit_learn() -> Iterator[None]:
    """Errors of data and options become ValueErrors too, which scikit-learn's users and tools expect."""
    try:
        yield
    except DataError as error:
        raise error if isinstance(error, ValueError) else WrongData(str(error)) from error
    except OptionError as error:
        raise error if isinstance(error, ValueError) else WrongValue(str(error)) from error
