"""The options of a forecaster."""

from __future__ import annotations

from dataclasses import dataclass

from .. import cells
from ..errors import OptionError
from ..features.series import CENTRES, SPREADS
from ..limits import MAX_QUANTILES
from . import _series
from ._graph_builder import RecurrenceOptions, TrainingOptions
from ._options import check_options, option
from ._search_space import Multiples, Numbers


@dataclass(frozen=True)
class Options(TrainingOptions, RecurrenceOptions, _series.SeriesOptions):
    """The options of a forecaster. None: the default depends on the data; what is decided is recorded."""

    horizon: int | None = option(
        None, "number of steps ahead to forecast (required)", least=1, most=10_000, earlier="default"
    )
    targets: str | None = option(
        None,
        "columns to forecast, separated by commas; default: all columns without another role",
        metavar="COLUMNS",
        earlier="default",
    )
    known: str = option(
        "",
        "columns known ahead for the whole horizon, separated by commas; the last rows are the future",
        metavar="COLUMNS",
        earlier="default",
    )
    static: str = option(
        "", "columns that never change within a series, separated by commas", metavar="COLUMNS", earlier="default"
    )
    channels: str | None = option(
        None,
        "forecast each target on its own, as a series of one model (apart), or all targets from all columns "
        "(together); default: apart, or together if there are other columns to read",
        choices=("apart", "together"),
        earlier="default",
    )
    quantiles: str = option(
        "0.1,0.5,0.9", "quantiles to forecast, separated by commas; must include 0.5", metavar="LIST", earlier="default"
    )
    head: str = option(
        "direct",
        "forecast all steps ahead at once (direct), or one after the other from the model's own forecasts",
        choices=("direct", "autoregressive"),
        earlier="default",
    )
    scale: str = option(
        "window",
        "scale by the latest steps, which suits any series (window), or by each series' statistics in training (fixed)",
        choices=("window", "fixed"),
        earlier="kept",
    )
    lookback: int | None = option(
        None,
        "number of steps that a forecast is made from (window), or that precede each row in training (fixed); default: "
        "by the data",
        least=1,
        most=1_000_000,
        earlier="default",
        search=Multiples((0.5, 1, 2)),
    )
    segment: int | None = option(
        None,
        "number of steps of a window that the recurrent layers read at once; default: by the look-back",
        least=1,
        most=100_000,
        earlier="default",
    )
    season: int | None = option(
        None,
        "length of the season in steps, which is subtracted in a window, 0: none; default: detected in the data",
        least=0,
        most=1_000_000,
        earlier="default",
    )
    centre: str = option(
        "last", "value to subtract from a window: its last one, or its mean", choices=CENTRES, earlier="default"
    )
    spread: str | None = option(
        None,
        "what to divide a window by: the deviation in the training data, or its own (window); default: training for "
        "one series, window for several",
        choices=SPREADS,
        earlier="default",
    )
    hidden: int | None = option(
        None,
        "width of the recurrent layers",
        least=1,
        most=4096,
        earlier="kept",
        presets={"tiny": 32, "small": 128, "base": 128},  # on held-out steps, no larger one was better
        search=Multiples((0.5, 1, 2)),
    )
    drop_pool: float | None = option(
        None,
        "dropout before the last layer",
        least=0.0,
        most=0.95,
        presets={"tiny": 0.3, "small": 0.3, "base": 0.3},
        search=Numbers(0.0, 0.6),
    )
    windows_per_epoch: int = option(
        8192, "maximum number of windows per epoch, drawn anew for each", least=1, old_name="windows"
    )
    hold_out: float | None = option(
        None,
        "share of each series, its end, held out to select the best weights; default: 0.15, or more to cover twice the "
        "horizon, at most 0.4",
        least=0.001,
        most=0.9,
    )
    refit_epochs: int | None = option(
        None,
        "further epochs at the end that also train on the held-out end; default: a quarter of the epochs, or 0 with "
        "--valid",
        least=0,
    )

    def __post_init__(self) -> None:
        check_options(self)
        cells.parse_dialect(self.dialect)
        self.columns()
        self.levels()
        self.roles()
        self.periods()
        if self.scale == "fixed" and (self.segment, self.spread, self.centre) != (None, None, "last"):
            raise OptionError(
                "segment, spread and centre are for --scale window; with --scale fixed every step is standardised by "
                "the mean and deviation of its series in training; leave them out"
            )
        if self.missing == "drop" and self.known:
            raise OptionError(
                "known columns are read a fixed number of steps ahead, and --missing drop leaves steps out; choose "
                "--missing ffill or mask"
            )
        if self.scale == "window" and self.lookback == 1:
            raise OptionError("lookback is 1, and a centred window of one step is always 0; choose 2 or more")
        if self.lookback and self.segment and self.lookback % self.segment:
            raise OptionError(
                f"lookback is {self.lookback}, which is not a multiple of segment ({self.segment}); choose one that is"
            )

    def levels(self) -> tuple[float, ...]:
        """Return the quantiles. Raises OptionError unless they ascend between 0 and 1 with 0.5 among them."""
        try:
            levels = tuple(float(word) for word in _series.split_names("quantiles", self.quantiles))
        except ValueError:
            levels = ()
        if len(levels) > MAX_QUANTILES:
            raise OptionError(f"quantiles has {len(levels)} entries; at most {MAX_QUANTILES} are possible")
        if not levels or any(not 0 < q < 1 for q in levels) or list(levels) != sorted(set(levels)) or 0.5 not in levels:
            raise OptionError(
                f"quantiles is {self.quantiles!r}; expected ascending numbers between 0 and 1 with 0.5 among them, "
                "such as 0.1,0.5,0.9"
            )
        return levels

    def roles(self) -> dict[str, str]:
        """Return the role of each column that the options name. Raises OptionError for a column named twice."""
        roles: dict[str, str] = {}
        for role, text in (("target", self.targets), ("known", self.known), ("static", self.static)):
            for name in _series.split_names(role, text) if text else []:
                if name in roles:
                    raise OptionError(f"column {name!r} is named as {roles[name]} and as {role}; choose one")
                roles[name] = role
        return roles
