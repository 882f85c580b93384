"""The forecaster as an estimator of sktime, for its pipelines, tuning and evaluation. Importing it needs sktime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import MissingExtra
from ..tasks.forecast import Options
from .forecaster import Forecaster
from .parameters import CommonParameters, with_parameters

try:
    import pandas
    from sktime.forecasting.base import BaseForecaster
except ModuleNotFoundError as error:
    raise MissingExtra(
        'tidegate.estimators.sktime needs sktime, which is not installed; pip install "tidegate[sktime,train]"'
    ) from error

if TYPE_CHECKING:

    @dataclass(frozen=True)
    class Parameters(Options, CommonParameters):
        """The constructor for editors and type checkers; the real one lacks the `COLUMN_OPTIONS`."""
else:
    Parameters = object


@with_parameters(Options)
class TidegateForecaster(BaseForecaster, Parameters):  # type: ignore[misc]
    """A recurrent forecaster with sktime's interface and the parameters of `tidegate.estimators.Forecaster`.

    `fit` needs `fh`. X is known ahead, and `predict` needs its rows for all steps up to the last one in `fh`. Quantiles
    and intervals have to lie within the parameter `quantiles`. `update` trains again on everything seen so far or,
    with update_params=False, continues without training.

    After fit: `forecaster_`, the fitted `Forecaster`, whose `model_` can be saved. If X and y have a column of the same
    name, the columns of X are named `X.NAME` in it.

    >>> import numpy as np
    >>> import pandas
    >>> from tidegate.estimators.sktime import TidegateForecaster
    >>> wave = pandas.Series(np.sin(np.arange(60) / 3), pandas.period_range("2020-01", periods=60, freq="M"))
    >>> forecaster = TidegateForecaster(hidden=4, epochs=1).fit(wave, fh=[1, 2])
    >>> list(map(str, forecaster.predict().index))
    ['2025-01', '2025-02']
    """

    _tags: ClassVar[dict[str, Any]] = {
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:categorical_in_X": False,
        "capability:non_contiguous_X": False,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": False,
        "capability:update": True,
        "requires-fh-in-fit": True,
        "X-y-must-have-same-index": True,
        "python_dependencies": ["torch"],
    }

    forecaster_: Forecaster
    _seen: tuple[Any, ...]

    def __dynamic_tags__(self) -> None:
        self.set_tags(**{"capability:missing_values": self.missing != "error"})

    def _fit(self, y: Any, X: Any, fh: Any) -> TidegateForecaster:
        self._clash = X is not None and not set(map(str, y.columns)).isdisjoint(map(str, X.columns))
        self._seen, self._steps = (y, X), self._ahead(fh)
        self.forecaster_ = Forecaster(**self.get_params(deep=False)).fit(y, self._rename_clashes(X), self._steps)
        return self

    def _predict(self, fh: Any, X: Any) -> Any:
        return self.forecaster_.predict(self._ahead(fh), self._rename_clashes(X))

    def _predict_quantiles(self, fh: Any, X: Any, alpha: Any) -> Any:
        return self.forecaster_.predict_quantiles(self._ahead(fh), self._rename_clashes(X), alpha)

    def _update(self, y: Any, X: Any = None, update_params: bool = True) -> TidegateForecaster:
        more: list[Any] = [
            None if v is None else v[v.index > self._seen[0].index[-1]] for v in (y, X)
        ]  # rows up to there were seen before
        if not len(more[0]):
            return self
        self._seen = tuple(
            None if old is None or new is None else pandas.concat([old, new])
            for old, new in zip(self._seen, more, strict=True)
        )
        if update_params:
            y, X = self._seen
            self.forecaster_ = Forecaster(**self.get_params(deep=False)).fit(y, self._rename_clashes(X), self._steps)
        else:
            self.forecaster_.update(more[0], self._rename_clashes(more[1]))
        return self

    def _ahead(self, fh: Any) -> Any:
        """Return the steps ahead as integers."""
        return np.asarray(fh.to_relative(self.cutoff).to_numpy(), np.int64)

    def _rename_clashes(self, X: Any) -> Any:
        """Return X, renamed if it has a column name of y."""
        return X.rename(columns=lambda name: f"X.{name}") if X is not None and self._clash else X

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return parameters with which sktime's own checks run quickly."""
        quick = {"hidden": 2, "epochs": 1, "refit_epochs": 0, "season": 0, "lookback": 2, "batch": 64}
        levels = "0.01,0.1,0.5,0.9,0.99"
        return [{**quick, "quantiles": levels}, {**quick, "quantiles": levels, "head": "autoregressive"}]
