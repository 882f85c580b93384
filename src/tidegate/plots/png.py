"""A forecast as a PNG file: history, median, nested intervals, and truth where it is known."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from .. import atomic
from ..atomic import Kind, replace
from ..errors import DataError, MissingExtra, OptionError
from .panel import MOST, Floats, Panel, left_out, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES, DPI = (12.0, 6.0), 100
# Wong 2011, Points of view: Color blindness, Nature Methods 8: told apart with every kind of colour vision.
FORECAST, TRUTH, HISTORY = "#0072B2", "#D55E00", "#333333"
PALE: Final = "#888888"
SIGNATURE, MADE = b"\x89PNG\r\n\x1a\n", b"tEXtSoftware\0tidegate"
LARGE, SMALL = 15, 11  # points
FEW: Final = 32  # steps; each has a mark, so that one between two gaps is seen


def forecast(
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
    """Writes a picture of 1200 x 600 pixels, with a panel for each of the first four targets.

    history: float [T, targets], the last step being the origin, NaN where missing. forecast: float [horizon, targets,
    quantiles]. quantiles: ascending, with 0.5. times: datetime64 of the history and of the steps ahead [T + horizon];
    without, steps are counted from now. truth: float [horizon, targets], NaN where unknown. names: of the targets. The
    file is written aside and renamed; it replaces a picture that this function drew, and any other file only with
    force=True.

    Raises: OptionError for a name that ends as another kind of file, or a file of another kind at the path;
    MissingExtra without matplotlib; DataError for arrays that do not fit or that no plot can show; TidegateError for a
    path that cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     forecast(folder + "/a.png", np.arange(24.0)[:, None], np.full((6, 1, 1), 24.0), [0.5])
    ...     os.listdir(folder)
    ['a.png']
    """
    check(path, force=force)
    found = panels(history, forecast, quantiles, truth, names)
    past, ahead = stamps(times, len(history), len(forecast), len(found[0].history))
    for panel in found[:MOST]:
        _ = panel.extent  # refused before anything is drawn
    figure = drawn(found[:MOST], past, ahead, title, left_out(len(found)))
    with replace(path, KIND, force) as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": "tidegate"})


def check(path: str | os.PathLike[str], inputs: Iterable[str] = (), force: bool = False) -> None:
    """Refuse a path now that a picture could not be written to in the end: see `atomic.check`.

    Raises: OptionError for another suffix than .png, an input, or a file of another kind; TidegateError for a path
    that cannot be written.
    """
    suffix = os.path.splitext(path)[1]
    if suffix.lower() not in (".png", ""):
        raise OptionError(f"{os.fspath(path)} ends in {suffix!r}, but a plot is written as PNG; name it .png")
    atomic.check(path, KIND, inputs, force)


def ours(file: IO[bytes]) -> bool:
    start = file.read(1024)
    return start.startswith(SIGNATURE) and MADE in start


KIND: Final = Kind("a picture that tidegate drew", ours)


def stamps(
    times: npt.NDArray[np.datetime64] | None, steps: int, horizon: int, shown: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Where the shown steps of history and those ahead lie: moments, or steps from now."""
    if times is None:
        return np.arange(1 - shown, 1), np.arange(1, horizon + 1)
    known = np.asarray(times)
    if known.dtype.kind != "M" or known.shape != (steps + horizon,) or np.isnat(known).any():
        raise DataError(
            f"times are {known.dtype} {list(known.shape)}; expected a known datetime64 for each of {steps} steps and "
            f"of {horizon} ahead"
        )
    known = known.astype("M8[us]")
    return known[steps - shown : steps], known[steps:]


def drawn(
    found: Sequence[Panel], past: npt.NDArray[Any], ahead: npt.NDArray[Any], title: str, left: str | None
) -> Figure:
    """The figure, made without pyplot, so that nothing of a caller's own plots changes."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra('plots need matplotlib, which is not installed; pip install "tidegate[plot]"') from error

    figure = Figure(figsize=INCHES, dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for panel, ax in zip(found, axes, strict=True):
        fill(ax, panel, past, ahead)
        style(ax, panel.name)
    axes[-1].set_xlabel("time" if past.dtype.kind == "M" else "steps from now", fontsize=SMALL, color=HISTORY)
    said = "\n".join(text for text in (title, left and f"({left})") if text)
    if said:
        figure.suptitle(said.replace("$", r"\$"), fontsize=LARGE, color=HISTORY, x=0.01, ha="left")
    figure.align_ylabels()
    handles, labels = axes[0].get_legend_handles_labels()
    lines, bands = slice(len(found[0].bands), None), slice(len(found[0].bands))  # lines first
    handles, labels = handles[lines] + handles[bands], labels[lines] + labels[bands]
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False, fontsize=SMALL)
    return figure


def fill(ax: Axes, panel: Panel, past: npt.NDArray[Any], ahead: npt.NDArray[Any]) -> None:
    """History and forecast of one target; lines ahead start at the origin, where its value is known."""

    def joined(values: Floats) -> Floats:
        return values if panel.anchor is None else np.concatenate([[panel.anchor], values])

    x = ahead if panel.anchor is None else np.concatenate([past[-1:], ahead])
    alone = "o" if len(x) == 1 else None  # a line of one point is none
    for i, band in enumerate(panel.bands):
        edge = 6 if len(x) == 1 else 0
        ax.fill_between(
            x,
            joined(band.low),
            joined(band.high),
            color=FORECAST,
            alpha=min(0.2 + 0.12 * i, 0.6),
            lw=edge,
            label=band.name,
        )
    mark = "." if len(panel.history) <= FEW else None
    ax.plot(past, panel.history, color=HISTORY, lw=1.6, marker=mark, label="history")
    ax.plot(x, joined(panel.median), color=FORECAST, lw=2.2, marker=alone, label="median")
    if panel.truth is not None:
        mark = "." if len(ahead) <= FEW else None
        ax.plot(ahead, panel.truth, color=TRUTH, lw=1.6, ls=(0, (4, 1.5)), marker=mark, label="truth")
    if len(past):
        ax.axvline(past[-1], color=PALE, lw=1, ls=":")
        ax.annotate(
            "now ", (past[-1], 1), xycoords=("data", "axes fraction"), ha="right", va="top", color=PALE, fontsize=SMALL
        )
    ends = np.concatenate([past, ahead])
    if len(ends) > 1:
        aside = (ends[-1] - ends[0]) * 0.01  # so that no mark at an end is cut
        ax.set_xlim(ends[0] - aside, ends[-1] + aside)


def style(ax: Axes, name: str) -> None:
    """Few lines, large figures."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    ax.set_ylabel((name or "value").replace("$", r"\$"), fontsize=SMALL, color=HISTORY)
    ax.grid(axis="y", color="#DDDDDD", lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=HISTORY, labelsize=SMALL, length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(PALE)
    ax.margins(y=0.08)
    locator = ax.xaxis.get_major_locator()
    if isinstance(locator, AutoDateLocator):
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    else:
        ax.xaxis.set_major_locator(MaxNLocator(10, integer=True))
