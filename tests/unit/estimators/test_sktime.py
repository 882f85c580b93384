"""The forecaster in sktime: sktime's checks and evaluation, and the same forecasts as by `Forecaster`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tidegate.estimators import Forecaster

pytest.importorskip("sktime", reason="sktime is not installed")
pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from sktime.forecasting.model_evaluation import evaluate
    from sktime.split import ExpandingWindowSplitter
    from sktime.utils.estimator_checks import check_estimator

    from tidegate.estimators.sktime import TidegateForecaster

QUICK: dict[str, Any] = TidegateForecaster.get_test_params()[0]
MONTHS = pd.period_range("2018-01", periods=72, freq="M")
Y = pd.Series(np.sin(np.arange(72) / 3), MONTHS, name="load")
# A few of several hundred; all of them pass, but take more than a minute together.
CHECKS = [
    "test_constructor",
    "test_get_test_params",
    "test_set_params",
    "test_set_params_sklearn",
    "test_clone",
    "test_valid_estimator_class_tags",
    "test_fit_does_not_overwrite_hyper_params",
    "test_raises_not_fitted_error",
    "test_doctest_examples",
]
FIXTURES = [
    "test_predict_time_index_with_X[TidegateForecaster-0-y:1cols-fh=[2 5]-period-int-True]",
    "test_predict_time_index_with_X[TidegateForecaster-1-y:2cols-fh=1-datetime-int-True]",
    "test_predict_quantiles[TidegateForecaster-0-y:1cols-fh=1-alpha=0.05]",
]


def test_sktimes_own_checks_pass() -> None:
    quiet: dict[str, Any] = {"raise_exceptions": True, "verbose": False}
    found = check_estimator(TidegateForecaster, tests_to_run=CHECKS, **quiet)
    chosen = check_estimator(TidegateForecaster, fixtures_to_run=FIXTURES, **quiet)
    assert len(found) >= len(CHECKS) - 2
    assert {name.split("[")[0] for name in chosen} == {name.split("[")[0] for name in FIXTURES}
    assert set({**found, **chosen}.values()) == {"PASSED"}


def test_forecasts_are_those_of_the_forecaster() -> None:
    made, own = TidegateForecaster(**QUICK).fit(Y[:60], fh=[1, 3]), Forecaster(**QUICK).fit(Y[:60], fh=[1, 3])
    assert made.predict().equals(own.predict())
    assert made.predict_quantiles(alpha=[0.1, 0.9]).equals(own.predict_quantiles(alpha=[0.1, 0.9]))
    assert made.predict_interval(coverage=0.8).equals(own.predict_interval(coverage=0.8))
    made.update(Y[60:62], update_params=False)
    assert made.predict().equals(own.update(Y[60:62]).predict())
    made.update(Y[58:64])
    assert made.predict().equals(Forecaster(**QUICK).fit(Y[:64], fh=[1, 3]).predict())


def test_evaluate_gives_figures() -> None:
    splits = ExpandingWindowSplitter(fh=[1, 2], initial_window=60, step_length=5)
    found = evaluate(TidegateForecaster(**QUICK), splits, Y, error_score="raise")
    assert len(found) == 3
    assert np.isfinite(found.filter(like="test_").to_numpy()).all()
