"""Plots a forecast into a PNG file: history, median, nested intervals, and the truth if known."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from .. import atomic
from ..atomic import FileKind, replace
from ..errors import DataError, MissingExtra, OptionError
from .panel import MAX_PANELS, Floats, Panel, hidden_targets_note, make_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES, DPI = (12.0, 6.0), 100
# Wong 2011, Points of view: Color blindness, Nature Methods 8: colours that colour-blind readers can tell apart.
FORECAST, TRUTH, HISTORY = "#0072B2", "#D55E00", "#333333"
PALE_GREY: Final = "#888888"
SIGNATURE, TEXT_CHUNK = b"\x89PNG\r\n\x1a\n", b"tEXtSoftware\0tidegate"
LARGE, SMALL = 15, 11  # points
MAX_MARKED_STEPS: Final = 32  # up to here every step has a marker, so that a step between two gaps is visible


def plot_forecast(
    path: str | os.PathLike[str],
    history: npt.NDArray[Any],
    forecast: npt.NDArray[Any],
    quantiles: Sequence[float],
    times: npt.NDArray[np.datetime64] | None = None,
    truth: npt.NDArray[Any] | None = None,
    title: str = "",
    names: Sequence[str] | None = None,
    force: bool = False,
) -> None:
    """Plot a forecast as a PNG picture of 1200 x 600 pixels, with a panel for each of the first four targets.

    history: float [T, targets]; the last step is the origin, NaN marks missing values. forecast: float [horizon,
    targets, quantiles]. quantiles: ascending, including 0.5. times: datetime64 [T + horizon] of the history and of the
    steps ahead; without it, the axis counts steps from now. truth: float [horizon, targets], NaN where unknown. names:
    one for each target. The file is written under a temporary name and then renamed. It replaces a picture that this
    function made, and any other file only with force=True.

    Raises: OptionError if the path has another suffix than .png, or another kind of file is there; MissingExtra
    without matplotlib; DataError if the arrays do not match or cannot be plotted; TidegateError if the path cannot be
    written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plot_forecast(folder + "/a.png", np.arange(24.0)[:, None], np.full((6, 1, 1), 24.0), [0.5])
    ...     os.listdir(folder)
    ['a.png']
    """
    check_path(path, force=force)
    panels = make_panels(history, forecast, quantiles, truth, names)
    past, ahead = time_axis(times, len(history), len(forecast), len(panels[0].history))
    for panel in panels[:MAX_PANELS]:
        _ = panel.extent  # raises before anything is drawn
    figure = make_figure(panels[:MAX_PANELS], past, ahead, title, hidden_targets_note(len(panels)))
    with replace(path, OWN_PICTURE, force) as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": "tidegate"})


def check_path(path: str | os.PathLike[str], inputs: Iterable[str] = (), force: bool = False) -> None:
    """Check early that a picture can be written to a path; see `atomic.check`.

    Raises: OptionError if the path has another suffix than .png, is one of `inputs`, or holds another kind of file;
    TidegateError if it cannot be written.
    """
    suffix = os.path.splitext(path)[1]
    if suffix.lower() not in (".png", ""):
        raise OptionError(f"{os.fspath(path)} ends with {suffix!r}, but plots are PNG files; name it .png")
    atomic.check(path, OWN_PICTURE, inputs, force)


def check_matplotlib() -> None:
    """Raise MissingExtra where matplotlib is not installed, before the work whose result is to be plotted."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtra('plots need matplotlib, which is not installed; pip install "tidegate[plot]"') from error


def is_own_picture(file: IO[bytes]) -> bool:
    """Check whether a file is a PNG that `plot_forecast` wrote."""
    start = file.read(1024)
    return start.startswith(SIGNATURE) and TEXT_CHUNK in start


OWN_PICTURE: Final = FileKind("a picture that tidegate drew", is_own_picture)


def time_axis(
    times: npt.NDArray[np.datetime64] | None, steps: int, horizon: int, steps_shown: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the time axis of the shown history and of the steps ahead: datetime64, or steps counted from now."""
    if times is None:
        return np.arange(1 - steps_shown, 1), np.arange(1, horizon + 1)
    moments = np.asarray(times)
    if moments.dtype.kind != "M" or moments.shape != (steps + horizon,) or np.isnat(moments).any():
        raise DataError(
            f"times are {moments.dtype} {list(moments.shape)}; expected datetime64 without NaT, one for each of "
            f"{steps} steps of history and {horizon} steps ahead"
        )
    moments = moments.astype("M8[us]")
    return moments[steps - steps_shown : steps], moments[steps:]


def make_figure(
    panels: Sequence[Panel], past: npt.NDArray[Any], ahead: npt.NDArray[Any], title: str, note: str | None
) -> Figure:
    """Make the figure with a panel for each target."""
    figure = new_figure(INCHES)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for panel, ax in zip(panels, axes, strict=True):
        draw_panel(ax, panel, past, ahead)
        style_axes(ax, panel.name)
    axes[-1].set_xlabel("time" if past.dtype.kind == "M" else "steps from now", fontsize=SMALL, color=HISTORY)
    heading = "\n".join(text for text in (title, note and f"({note})") if text)
    if heading:
        figure.suptitle(heading.replace("$", r"\$"), fontsize=LARGE, color=HISTORY, x=0.01, ha="left")
    figure.align_ylabels()
    handles, labels = axes[0].get_legend_handles_labels()
    lines, bands = slice(len(panels[0].bands), None), slice(len(panels[0].bands))  # lines first
    handles, labels = handles[lines] + handles[bands], labels[lines] + labels[bands]
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False, fontsize=SMALL)
    return figure


def new_figure(inches: tuple[float, float]) -> Figure:
    """Make an empty figure without pyplot, so that a caller's own figures are not affected. Raises MissingExtra."""
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def draw_panel(ax: Axes, panel: Panel, past: npt.NDArray[Any], ahead: npt.NDArray[Any]) -> None:
    """Draw history and forecast of one target; if the value at the origin is known, forecast lines start there."""

    def from_origin(values: Floats) -> Floats:
        return values if panel.anchor is None else np.concatenate([[panel.anchor], values])

    x = ahead if panel.anchor is None else np.concatenate([past[-1:], ahead])
    lone_marker = "o" if len(x) == 1 else None  # a line through a single point would be invisible
    for i, band in enumerate(panel.bands):
        edge = 6 if len(x) == 1 else 0
        ax.fill_between(
            x,
            from_origin(band.low),
            from_origin(band.high),
            color=FORECAST,
            alpha=min(0.2 + 0.12 * i, 0.6),
            lw=edge,
            label=band.name,
        )
    marker = "." if len(panel.history) <= MAX_MARKED_STEPS else None
    ax.plot(past, panel.history, color=HISTORY, lw=1.6, marker=marker, label="history")
    ax.plot(x, from_origin(panel.median), color=FORECAST, lw=2.2, marker=lone_marker, label="median")
    if panel.truth is not None:
        marker = "." if len(ahead) <= MAX_MARKED_STEPS else None
        ax.plot(ahead, panel.truth, color=TRUTH, lw=1.6, ls=(0, (4, 1.5)), marker=marker, label="truth")
    if len(past):
        ax.axvline(past[-1], color=PALE_GREY, lw=1, ls=":")
        at: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "ha": "right", "va": "top"}
        ax.annotate("now ", (past[-1], 1), color=PALE_GREY, fontsize=SMALL, **at)
    ends = np.concatenate([past, ahead])
    if len(ends) > 1:
        padding = (ends[-1] - ends[0]) * 0.01  # so that markers at the ends are not cut off
        ax.set_xlim(ends[0] - padding, ends[-1] + padding)


def style_axes(ax: Axes, name: str) -> None:
    """Style the axes: few lines, large labels."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    ax.set_ylabel((name or "value").replace("$", r"\$"), fontsize=SMALL, color=HISTORY)
    ax.grid(axis="y", color="#DDDDDD", lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=HISTORY, labelsize=SMALL, length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(PALE_GREY)
    ax.margins(y=0.08)
    locator = ax.xaxis.get_major_locator()
    if isinstance(locator, AutoDateLocator):
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    else:
        ax.xaxis.set_major_locator(MaxNLocator(10, integer=True))
