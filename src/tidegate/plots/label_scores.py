"""Plots how good the labels of a classifier are into a PNG file: what is confused, and how well probabilities hold."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ..atomic import replace
from ..text_tables import escape_breaks, shorten
from .png import DPI, FORECAST, HISTORY, LARGE, OWN_PICTURE, PALE_GREY, SMALL, TRUTH, check_path, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG = FORECAST, TRUTH  # colours that colour-blind readers can tell apart
MAX_COUNTED: Final = 20  # labels up to which the numbers stand in the cells
MAX_NAMED: Final = 40  # labels up to which each has its name, and up to which bars are drawn
MAX_LISTED: Final = 10  # confusions beside a matrix without numbers
MAX_NAME: Final = 28  # characters of a name
SIDES: Final = (5.0, 10.5)  # inches of the least and the largest matrix or list of labels
NARROW, MIDDLE, WIDE = 0.07, 0.26, 0.46  # inches for each label: without names of all, with names, with numbers
BESIDE: Final = 5.2  # inches of what stands beside it
MIN_LINE: Final = 0.13  # inches that a name needs
SMALLEST: Final = 7  # points

Reliability = Sequence[Mapping[str, float]]


def plot_confusions(
    path: str | os.PathLike[str],
    matrix: npt.NDArray[np.int64],
    truths: Sequence[str],
    predicted: Sequence[str],
    reliability: Reliability,
    title: str = "",
    calibration: str = "",
    force: bool = False,
) -> None:
    """Plot a confusion matrix and the reliability diagram beside it as a PNG picture.

    matrix: int [truths, predicted], how many rows of each label are predicted to have each. A cell is darker, the
    larger its share of the rows of its label: blue where it is right, because both labels are the same, otherwise
    orange. Up to 20 labels the numbers stand in the cells, beyond that the most frequent confusions beside them.
    reliability: of each bin of probabilities `low`, `high`, `decisions`, `probability` (their mean) and `accuracy`.
    title, calibration: above the picture, and above the diagram. The file is written under a temporary name and then
    renamed. It replaces a picture that tidegate drew, and any other file only with force=True.

    Raises: OptionError if the path has another suffix than .png, or another kind of file is there; MissingExtra
    without matplotlib; TidegateError if the path cannot be written.

    >>> import tempfile
    >>> bins = [{"low": 0.8, "high": 1.0, "decisions": 10, "probability": 0.9, "accuracy": 0.8}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plot_confusions(folder + "/a.png", np.array([[5, 1], [1, 3]]), ["no", "yes"], ["no", "yes"], bins)
    ...     os.listdir(folder)
    ['a.png']
    """
    check_path(path, force=force)
    size, right = max(matrix.shape), np.array(truths)[:, None] == np.array(predicted)
    listed = find_confusions(matrix, right) if size > MAX_COUNTED else []
    of_label = WIDE if size <= MAX_COUNTED else MIDDLE if size <= MAX_NAMED else NARROW
    side = float(np.clip(size * of_label, *SIDES))
    names = 0.085 * max(len(tidy(name)) for name in (*truths, *predicted)) + 0.3
    figure, ax, below = make_axes((side + names, side + names), title, reliability, calibration, "accuracy")
    draw_matrix(ax, matrix, right, [tidy(name) for name in truths], [tidy(name) for name in predicted])
    if listed:
        list_confusions(below, [(tidy(truths[i]), tidy(predicted[j]), n) for i, j, n in listed])
    save(figure, path, force)


def plot_labels(
    path: str | os.PathLike[str],
    names: Sequence[str],
    precision: npt.NDArray[np.float64],
    recall: npt.NDArray[np.float64],
    support: npt.NDArray[np.int64],
    reliability: Reliability,
    title: str = "",
    calibration: str = "",
    force: bool = False,
) -> None:
    """Plot the precision and recall of labels, of which a row may have several, and the reliability diagram beside it.

    precision, recall: [labels]. support: int [labels], the rows that have each label; the 40 labels with the most rows
    are drawn. For the rest see `plot_confusions`; `accuracy` of a bin is the share of its decisions in which the label
    applies.

    >>> import tempfile
    >>> bins = [{"low": 0.8, "high": 1.0, "decisions": 10, "probability": 0.9, "accuracy": 0.8}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plot_labels(folder + "/a.png", ["rain"], np.array([0.9]), np.array([0.5]), np.array([8]), bins)
    ...     os.listdir(folder)
    ['a.png']
    """
    check_path(path, force=force)
    order = np.argsort(-np.asarray(support), kind="stable")[:MAX_NAMED]
    inches = 7.0, float(np.clip(len(order) * 0.24 + 1, *SIDES))
    figure, ax, _ = make_axes(inches, title, reliability, calibration, "share in which the label applies")
    y, x = np.arange(len(order)), np.column_stack([precision, recall])[order]
    ax.hlines(y, x.min(1), x.max(1), color="#CCCCCC", lw=2, zorder=1)
    ax.scatter(x[:, 0], y, color=RIGHT, s=36, label="precision", zorder=2)
    ax.scatter(x[:, 1], y, color=WRONG, s=36, marker="D", label="recall", zorder=3)
    ax.set_yticks(y, [f"{tidy(names[i])}  {support[i]:,}" for i in order], fontsize=SMALL if len(order) < 25 else 8)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set_xlim(-0.02, 1.02)
    style(ax, "x")
    left_out = len(support) - len(order)
    ax.set_xlabel(f"({left_out} labels with fewer rows are not shown)" if left_out else "", fontsize=SMALL)
    ax.set_title("labels, and how many rows have them", fontsize=SMALL, color=HISTORY, loc="left", pad=24)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=SMALL, borderaxespad=0)
    save(figure, path, force)


def make_axes(
    inches: tuple[float, float], title: str, reliability: Reliability, calibration: str, right: str
) -> tuple[Figure, Axes, Axes]:
    """Make the figure and draw the reliability diagram; return the axes beside it, and the empty ones below it.

    inches: of the axes beside it, with their names.
    """
    width, height = inches
    figure = new_figure((width + BESIDE, height + 0.6 * bool(title)))
    heights = [BESIDE - 0.6, 1.2, max(0.01, height - BESIDE - 1.2)]
    grid = figure.add_gridspec(3, 2, width_ratios=[width, BESIDE], height_ratios=heights)
    diagram = figure.add_subplot(grid[0, 1])
    histogram = figure.add_subplot(grid[1, 1], sharex=diagram)
    draw_reliability(diagram, histogram, reliability, calibration, right)
    if title:
        figure.suptitle(tidy(title, 200), fontsize=LARGE, color=HISTORY, x=0.01, ha="left")
    beside, below = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[2, 1])
    below.axis("off")
    return figure, beside, below


def draw_matrix(
    ax: Axes, matrix: npt.NDArray[np.int64], right: npt.NDArray[np.bool_], truths: list[str], predicted: list[str]
) -> None:
    """Draw the matrix, a row for each label of the truth."""
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    ax.imshow(paint(share, right), interpolation="nearest", aspect="auto")
    size = max(matrix.shape)
    if size <= MAX_COUNTED:
        small = 11 if size <= 12 else 8
        for i, j in np.argwhere(matrix):
            colour = "white" if share[i, j] > 0.35 else HISTORY
            ax.text(j, i, f"{matrix[i, j]:,}", ha="center", va="center", color=colour, fontsize=small)
    every = 1 if size <= MAX_NAMED else math.ceil(MIN_LINE * size / SIDES[1])
    small = SMALL if size <= MAX_COUNTED else 9 if size <= MAX_NAMED else SMALLEST
    shown = np.arange(0, len(predicted), every)
    ax.set_xticks(shown, [predicted[j] for j in shown], fontsize=small, rotation=90 if size > 8 else 30)
    if size <= 8:
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    shown = np.arange(0, len(truths), every)
    ax.set_yticks(shown, [truths[i] for i in shown], fontsize=small)
    if size <= MAX_NAMED:
        ax.set_xticks(np.arange(len(predicted) + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(len(truths) + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", lw=1)
    ax.tick_params(which="both", length=0, colors=HISTORY)
    for spine in ax.spines.values():
        spine.set_visible(size > MAX_NAMED)
        spine.set_color(PALE_GREY)
    named = "" if every == 1 else f", every {every}{'nd' if every == 2 else 'rd' if every == 3 else 'th'} named"
    ax.set_xlabel(f"predicted label{named}", fontsize=SMALL, color=HISTORY)
    ax.set_ylabel(f"true label{named}", fontsize=SMALL, color=HISTORY)
    ax.set_title(
        "blue: right, orange: wrong\ndarker: a larger share of the label's rows",
        fontsize=SMALL,
        color=HISTORY,
        loc="left",
    )


def paint(share: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the colour of each cell, float64 [rows, columns, 3]: from pale to full with the root of its share.

    The root makes a confusion of a few percent visible beside a diagonal of nearly 1.
    """
    from matplotlib.colors import to_rgb

    depth = np.sqrt(share)[..., None]
    pale = np.array(to_rgb("#F4F4F4"))
    painted: npt.NDArray[np.float64] = pale + depth * (np.where(right[..., None], to_rgb(RIGHT), to_rgb(WRONG)) - pale)
    return painted


def find_confusions(matrix: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return the most frequent confusions as label, predicted label, rows.

    >>> find_confusions(np.array([[5, 1, 0], [0, 3, 0], [2, 0, 4]]), np.eye(3) > 0)
    [(2, 0, 2), (0, 1, 1)]
    """
    wrong = np.where(right, 0, matrix)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MAX_LISTED]
    cells = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, matrix.shape), strict=True)]
    return [(i, j, int(wrong[i, j])) for i, j in cells if wrong[i, j]]


def list_confusions(ax: Axes, found: list[tuple[str, str, int]]) -> None:
    """Write the most frequent confusions."""
    lines = [f"{n:,}  {truth} \N{RIGHTWARDS ARROW} {predicted}" for truth, predicted, n in found]
    text = "\n".join(["most frequent confusions: rows, true \N{RIGHTWARDS ARROW} predicted", *lines])
    ax.text(0, 0.98, text, fontsize=SMALL - 1, color=HISTORY, va="top", linespacing=1.6, transform=ax.transAxes)


def draw_reliability(diagram: Axes, histogram: Axes, table: Reliability, calibration: str, right: str) -> None:
    """Draw the reliability diagram (of decisions that are about as probable, how many are right), and their number."""
    count = np.array([one["decisions"] for one in table])
    x, y = np.array([one["probability"] for one in table]), np.array([one["accuracy"] for one in table])
    diagram.plot([0, 1], [0, 1], color=PALE_GREY, lw=1, ls=":")
    diagram.vlines(x, np.minimum(x, y), np.maximum(x, y), color=WRONG, lw=2, alpha=0.6)
    diagram.plot(x, y, color=RIGHT, lw=1.6)
    diagram.scatter(x, y, s=20 + 160 * count / max(count.max(initial=0), 1), color=RIGHT, zorder=3, clip_on=False)
    diagram.set_xlim(-0.02, 1.02)
    diagram.set_ylim(-0.02, 1.02)
    diagram.set_ylabel(right, fontsize=SMALL, color=HISTORY)
    diagram.set_title(f"{calibration}\ndotted: probabilities that hold", fontsize=SMALL, color=HISTORY, loc="left")
    diagram.tick_params(labelbottom=False)
    style(diagram, "both")
    low, high = np.array([one["low"] for one in table]), np.array([one["high"] for one in table])
    histogram.bar(low, count, width=(high - low) * 0.92, align="edge", color=PALE_GREY)
    if count.size and count.max() > 100 * count.min():
        histogram.set_yscale("log")
        histogram.minorticks_off()
    histogram.yaxis.set_major_formatter("{x:,.0f}")
    histogram.set_ylabel("decisions", fontsize=SMALL, color=HISTORY)
    histogram.set_xlabel("probability", fontsize=SMALL, color=HISTORY)
    style(histogram, "y")


def style(ax: Axes, grid: Any) -> None:
    """Style the axes: few lines, large labels."""
    ax.grid(axis=grid, color="#DDDDDD", lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=HISTORY, length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(PALE_GREY)


def tidy(name: str, width: int = MAX_NAME) -> str:
    """Shorten a name to one line, of which no part is read as a formula."""
    return shorten(escape_breaks(name), width).replace("$", r"\$")


def save(figure: Figure, path: str | os.PathLike[str], force: bool) -> None:
    with replace(path, OWN_PICTURE, force) as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": "tidegate"})
