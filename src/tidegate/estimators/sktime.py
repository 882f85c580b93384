"""The forecaster as one of sktime's own, for its pipelines, tuning and evaluation; it needs sktime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import MissingExtra
from ..tasks.forecast import Options
from .forecaster import Forecaster
from .parameters import Fitting, takes

try:
    import pandas
    from sktime.forecasting.base import BaseForecaster
except ModuleNotFoundError as error:
    raise MissingExtra(
        'tidegate.estimators.sktime needs sktime, which is not installed; pip install "tidegate[sktime,train]"'
    ) from error

if TYPE_CHECKING:

    @dataclass(frozen=True)
    class Parameters(Options, Fitting):
        """What editors and type checkers see of the constructor."""
else:
    Parameters = object


@takes(Options)
class TidegateForecaster(BaseForecaster, Parameters):  # type: ignore[misc]
    """A recurrent forecaster by sktime's interface, with the parameters of `tidegate.estimators.Forecaster`.

    `fit` needs `fh`. X is known ahead, and `predict` needs its rows for all
    steps up to the last one asked for. Quantiles and intervals lie within those of the parameter `quantiles`.
    `update` learns anew from all that was seen, or with update_params=False goes on without learning.

    After fit: `forecaster_`, the fitted `Forecaster`, whose `model_` can be saved. Where X has a column that y has too,
    the columns of X are called `X.NAME` there.

    >>> import numpy as np
    >>> import pandas
    >>> from tidegate.estimators.sktime import TidegateForecaster
    >>> wave = pandas.Series(np.sin(np.arange(60) / 3), pandas.period_range("2020-01", periods=60, freq="M"))
    >>> made = TidegateForecaster(hidden=4, epochs=1).fit(wave, fh=[1, 2])
    >>> list(map(str, made.predict().index))
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
    _known: tuple[Any, ...]

    def __dynamic_tags__(self) -> None:
        self.set_tags(**{"capability:missing_values": self.missing != "error"})

    def _fit(self, y: Any, X: Any, fh: Any) -> TidegateForecaster:
        self._clash = X is not None and not set(map(str, y.columns)).isdisjoint(map(str, X.columns))
        self._known, self._steps = (y, X), self._ahead(fh)
        self.forecaster_ = Forecaster(**self.get_params(deep=False)).fit(y, self._beside(X), self._steps)
        return self

    def _predict(self, fh: Any, X: Any) -> Any:
        return self.forecaster_.predict(self._ahead(fh), self._beside(X))

    def _predict_quantiles(self, fh: Any, X: Any, alpha: Any) -> Any:
        return self.forecaster_.predict_quantiles(self._ahead(fh), self._beside(X), alpha)

    def _update(self, y: Any, X: Any = None, update_params: bool = True) -> TidegateForecaster:
        more: list[Any] = [
            None if v is None else v[v.index > self._known[0].index[-1]] for v in (y, X)
        ]  # the rest was seen
        if not len(more[0]):
            return self
        self._known = tuple(
            None if old is None or new is None else pandas.concat([old, new])
            for old, new in zip(self._known, more, strict=True)
        )
        if update_params:
            y, X = self._known
            self.forecaster_ = Forecaster(**self.get_params(deep=False)).fit(y, self._beside(X), self._steps)
        else:
            self.forecaster_.update(more[0], self._beside(more[1]))
        return self

    def _ahead(self, fh: Any) -> Any:
        """The steps ahead as integers."""
        return np.asarray(fh.to_relative(self.cutoff).to_numpy(), np.int64)

    def _beside(self, X: Any) -> Any:
        """X with names that y does not have."""
        return X.rename(columns=lambda name: f"X.{name}") if X is not None and self._clash else X

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return parameters that sktime's own checks are quick with."""
        quick = {"hidden": 2, "epochs": 1, "refit_epochs": 0, "season": 0, "lookback": 2, "batch": 64}
        levels = "0.01,0.1,0.5,0.9,0.99"
        return [{**quick, "quantiles": levels}, {**quick, "quantiles": levels, "head": "autoregressive"}]
