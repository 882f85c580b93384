"""Back-test a forecaster over rolling origins of known series, compared with baselines."""

from __future__ import annotations

import os
from typing import Any

from .errors import OptionError
from .features.series import SeriesTransform
from .model import Model, as_model
from .runtime import Predictor
from .tasks import _backtest, forecast
from .tasks._backtest import Backtest, SeriesBacktest, SeriesForecast

__all__ = ["Backtest", "SeriesBacktest", "SeriesForecast", "backtest", "forecast_ahead"]


def backtest(
    model: Model | Predictor | str | os.PathLike[str],
    data: Any,
    start: int | str | None = None,
    every: int = 1,
    scaled: bool = False,
) -> Backtest:
    """Forecast after every step from `start` on, each time from the steps before it alone, and measure the errors.

    model: a forecaster. data: what `fit` takes, with the columns of the model. start: the first step to forecast, a
    number counted from 0 or a timestamp; None: right after the rows that the model was fitted on, where the data begins
    with them, else as soon as enough steps are known. every: the distance of origins in steps. scaled: errors in
    units of each channel's standard deviation in training, so that channels of different units can be compared; without
    a deviation for a series, such as a new one, that of its channel in all series of training. The baselines were
    fitted with the model; those of an older model file are fitted on the steps before the first forecast.

    Raises OptionError for a model of another task, an impossible start, or a file without deviations; DataError.
    """
    predictor, options, transform = load_forecaster(model)
    source = forecast.read(data, options, list(transform.columns))
    return _backtest.run_backtest(predictor, options, transform, source, start, every, scaled)


def forecast_ahead(model: Model | Predictor | str | os.PathLike[str], data: Any) -> list[SeriesForecast]:
    """Forecast after the last known step of every series. With columns known ahead, the last rows are the future.

    A series with too few steps gets a Forecast without values but with the reason. Raises OptionError for a model that
    is not a forecaster; DataError, also where no series has a forecast.
    """
    predictor, options, transform = load_forecaster(model)
    return _backtest.forecast_ahead(predictor, transform, forecast.read(data, options, list(transform.columns)))


def load_forecaster(
    model: Model | Predictor | str | os.PathLike[str],
) -> tuple[Predictor, forecast.Options, SeriesTransform]:
    """Load a forecaster, its options and its transform. Raises OptionError for a model of another task."""
    predictor = model if isinstance(model, Predictor) else Predictor(as_model(model))
    kind = predictor.model.document["task"]["kind"]
    if kind != forecast.KIND:
        raise OptionError(f"the model's task is {kind}; expected a forecaster")
    return predictor, *forecast.restore(predictor.model)
