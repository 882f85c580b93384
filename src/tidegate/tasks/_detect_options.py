"""The options of a detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .. import cells
from ..errors import OptionError
from . import _series
from ._forecast_options import Options as ForecastOptions
from ._graph_builder import RecurrenceOptions, TrainingOptions
from ._options import check_options, option
from ._search_space import Multiples

QUANTILES: Final = (0.05, 0.5, 0.95)
PER_1000: Final = 1.0  # alarms, by default
HOLD_OUT: Final = 0.25  # more than for a forecaster, as the threshold is that of rare steps among them


@dataclass(frozen=True)
class Options(TrainingOptions, RecurrenceOptions, _series.SeriesOptions):
    """The options of a detector. None: the default depends on the data; what is decided is recorded."""

    label: str | None = option(
        None, "column of labels; so far a detector learns without labels, and only score reads them", metavar="COLUMN"
    )
    alarms_per_day: float | None = option(
        None, "number of false alarms a day to expect on normal data; needs times", least=1e-6, most=1e6
    )
    alarms_per_1000: float | None = option(
        None,
        "number of false alarms in 1000 steps to expect on normal data, in place of --alarms-per-day; default: 1",
        least=1e-6,
        most=100.0,
    )
    warmup: int | None = option(
        None,
        "number of steps before the first score of a stream, which also precede each row in training; default: 32, or "
        "less in short series",
        least=1,
        most=100_000,
        earlier="default",
    )
    mean_over: int = option(
        10, "number of steps that the score is about an exponentially weighted mean of", least=1, most=100_000
    )
    recent_over: int = option(
        200,
        "number of steps beside whose errors an error counts too, so that series of different tails share a threshold; "
        "0: compare with training alone",
        least=0,
        most=1_000_000,
    )
    drift_over: int = option(
        5000,
        "number of steps whose mean score the threshold follows, if it is over 1.5 times the usual one; 0: never",
        least=0,
        most=1_000_000,
    )
    hidden: int | None = option(
        None,
        "width of the recurrent layers",
        least=1,
        most=4096,
        earlier="kept",
        search=Multiples((0.5, 1, 2)),
        presets={"tiny": 16, "small": 32, "base": 64},
    )
    hold_out: float | None = option(
        None,
        "share of each series, its end, held out to select the best weights and to choose the threshold; default: 0.25",
        least=0.001,
        most=0.9,
    )
    refit_epochs: int = option(
        0, "further epochs at the end that also train on the held-out end, after the threshold is chosen", least=0
    )

    def __post_init__(self) -> None:
        check_options(self)
        cells.parse_dialect(self.dialect)
        self.columns()
        self.periods()
        if self.label is not None:
            raise OptionError(
                f"label is {self.label!r}, and so far a detector learns what is normal from rows without labels; leave "
                "it out, train on rows that are normal, and give --label to score"
            )
        if self.alarms_per_day is not None and self.alarms_per_1000 is not None:
            raise OptionError("alarms_per_day and alarms_per_1000 are both given; choose one of them")

    @property
    def drop_pool(self) -> float:
        """The dropout before the last layer, which reads the present values too: none."""
        return 0.0

    def levels(self) -> tuple[float, ...]:
        """Return the quantiles that are forecast."""
        return QUANTILES

    def to_forecast(self) -> ForecastOptions:
        """Return the options of the forecaster of the next step whose errors are scored."""
        same = {f: getattr(self, f) for f in ("values", "time", "id", "layout", "calendar", "missing")}
        same |= {f: getattr(self, f) for f in ("epochs", "batch", "patience", "hidden", "refit_epochs", "seed")}
        return ForecastOptions(
            **same,
            horizon=1,
            quantiles=",".join(map(str, QUANTILES)),
            head="autoregressive",
            scale="fixed",
            channels="together",
            season=0,
            lookback=self.warmup,
            hold_out=HOLD_OUT if self.hold_out is None else self.hold_out,
        )
