"""Pictures of confusions and calibration, read back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.errors import MissingExtra, OptionError
from tidegate.plots import label_scores
from tidegate.plots.label_scores import plot_confusions, plot_labels

BINS = [
    {"low": 0.4, "high": 0.6, "decisions": 12, "probability": 0.55, "accuracy": 0.5},
    {"low": 0.8, "high": 1.0, "decisions": 4000, "probability": 0.9, "accuracy": 0.97},
]


def make_matrix(size: int) -> tuple[Any, list[str]]:
    """Make a confusion matrix of which one label has no row."""
    rng = np.random.default_rng(0)
    matrix = rng.poisson(0.05, (size, size)) + np.diag(rng.poisson(30, size) + 1)
    matrix[-1] = 0
    return matrix, [f"label ${i}$" for i in range(size)]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the figures that are saved."""
    pytest.importorskip("matplotlib")
    figures: list[Any] = []
    save = label_scores.save
    monkeypatch.setattr(label_scores, "save", lambda figure, *rest: (figures.append(figure), save(figure, *rest)))
    return figures


def texts(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(
    ("size", "counted", "named"), [(2, True, 2), (20, True, 20), (40, False, 40), (150, False, 75)]
)
def test_numbers_up_to_20_labels_and_names_of_all_up_to_40(
    drawn: list[Any], tmp_path: Path, size: int, counted: bool, named: int
) -> None:
    matrix, names = make_matrix(size)
    plot_confusions(tmp_path / "a.png", matrix, names, names, BINS, "many rows, accuracy 0.9 (0.8 to 1.0)")
    (figure,) = drawn
    beside, below = figure.axes[2:]
    assert len(beside.get_yticklabels()) == len(beside.get_xticklabels()) == named
    assert (texts(beside) == [f"{n:,}" for n in matrix[matrix > 0]]) == counted
    assert bool(texts(below)) != counted
    box = beside.get_window_extent()
    assert 0.8 < box.width / box.height < 1.25
    width, height = figure.get_size_inches()
    assert 5 < height < width < 20
    for axes in figure.axes:
        extent = axes.get_tightbbox()
        assert min(extent.x0, extent.y0) >= 0  # no name is cut off
        assert (extent.x1 <= 100 * width, extent.y1 <= 100 * height) == (True, True)


def test_a_cell_is_right_where_its_labels_are_the_same(drawn: list[Any], tmp_path: Path) -> None:
    matrix = np.array([[8, 2, 0], [0, 9, 1], [0, 0, 1]])
    plot_confusions(tmp_path / "a.png", matrix, ["a", "b", "(unseen)"], ["a", "b", "(none)"], BINS)
    (image,) = drawn[0].axes[2].get_images()
    pixels = np.asarray(image.get_array())
    blue, orange = pixels[..., 2] > pixels[..., 0], pixels[..., 2] + 0.01 < pixels[..., 0]
    assert blue.tolist() == [[True, False, False], [False, True, False], [False, False, False]]
    assert orange.tolist() == [[False, True, False], [False, False, True], [False, False, True]]
    assert pixels[1, 1, 0] < pixels[0, 0, 0]  # 9 of 10 is darker than 8 of 10
    right = np.eye(3, dtype=bool)
    right[2, 2] = False
    assert label_scores.find_confusions(matrix, right) == [(0, 1, 2), (1, 2, 1), (2, 2, 1)]


def test_the_diagram_shows_each_bin(drawn: list[Any], tmp_path: Path) -> None:
    matrix, names = make_matrix(3)
    plot_confusions(tmp_path / "a.png", matrix, names, names, BINS, calibration="ECE 0.07")
    diagram, histogram = drawn[0].axes[:2]
    assert diagram.collections[-1].get_offsets().tolist() == [[0.55, 0.5], [0.9, 0.97]]
    assert [bar.get_height() for bar in histogram.patches] == [12, 4000]
    assert histogram.get_yscale() == "log"
    assert diagram.get_title(loc="left").startswith("ECE 0.07")


def test_of_many_labels_those_with_the_most_rows_are_drawn(drawn: list[Any], tmp_path: Path) -> None:
    support = np.arange(60)
    names = [f"l{i}" for i in support]
    plot_labels(tmp_path / "a.png", names, support / 60, 1 - support / 60, support, BINS)
    beside = drawn[0].axes[2]
    shown = [tick.get_text() for tick in beside.get_yticklabels()]
    assert (len(shown), shown[0], shown[-1]) == (40, "l59  59", "l20  20")
    assert beside.get_xlabel() == "(20 labels with fewer rows are not shown)"


def test_only_own_pictures_are_replaced(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    matrix, names = make_matrix(2)
    other = tmp_path / "b.png"
    other.write_bytes(b"\x89PNG\r\n\x1a\n of somebody else")
    for _ in range(2):
        plot_confusions(tmp_path / "a.png", matrix, names, names, BINS)
    with pytest.raises(OptionError, match="force"):
        plot_confusions(other, matrix, names, names, BINS)
    plot_confusions(other, matrix, names, names, BINS, force=True)
    assert other.read_bytes() == (tmp_path / "a.png").read_bytes()


def test_without_matplotlib_the_install_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    matrix, names = make_matrix(2)
    with pytest.raises(MissingExtra, match="plots need matplotlib"):
        plot_confusions(tmp_path / "a.png", matrix, names, names, BINS)
    assert list(tmp_path.iterdir()) == []
