"""PNG plots, read back and checked pixel by pixel."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError, MissingExtra, OptionError, TidegateError
from tidegate.plots import png
from tidegate.plots.panel import make_panels

Floats = np.ndarray[Any, Any]
LEVELS = [0.1, 0.5, 0.9]
HISTORY = np.sin(np.arange(60) / 4)[:, None]
WIDENING = np.array([[[-h / 5, 0.0, h / 5]] for h in range(1, 21)])


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Floats]:
    """Return a function that plots and reads the picture back: float [600, 1200, 3]."""
    image = pytest.importorskip("matplotlib.image")

    def draw(*args: Any, **more: Any) -> Floats:
        png.plot_forecast(tmp_path / "a.png", *args, **more)
        assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
        return np.asarray(image.imread(tmp_path / "a.png"))[..., :3]

    return draw


def like(pixels: Floats, colour: str) -> Floats:
    """Return where a picture has this colour, bool [600, 1200], without legend and axes."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    found = np.abs(pixels - wanted).max(2) < 0.02
    found[:40] = found[545:] = found[:, :70] = False
    return found


def pale(colour: str, alpha: float) -> str:
    """Return a colour blended with white."""
    parts = [round(alpha * int(colour[i : i + 2], 16) + (1 - alpha) * 255) for i in (1, 3, 5)]
    return "#" + "".join(f"{p:02x}" for p in parts)


BAND = pale(png.FORECAST, 0.2)


def test_history_is_left_of_the_forecast_and_its_band(picture: Callable[..., Floats]) -> None:
    pixels = picture(HISTORY, WIDENING, LEVELS)
    assert pixels.shape == (600, 1200, 3)
    past, band, median = (np.flatnonzero(like(pixels, c).any(0)) for c in (png.HISTORY, BAND, png.FORECAST))
    assert len(band) > 200
    assert band.min() >= 700
    assert median.min() >= 700
    assert past.max() <= band.min() + 5
    assert like(pixels, png.TRUTH).sum() == 0


def test_the_band_is_as_high_as_its_quantiles_are_apart(picture: Callable[..., Floats]) -> None:
    blue = like(picture(HISTORY, WIDENING, LEVELS), BAND)
    columns = np.flatnonzero(blue.any(0))[10:-10]
    high = np.array([np.ptp(np.flatnonzero(blue[:, x])) for x in columns])
    assert np.corrcoef(columns, high)[0, 1] > 0.999
    assert high[-1] > 4 * high[20]


def test_the_median_lies_where_it_was_forecast(picture: Callable[..., Floats]) -> None:
    steps = np.repeat(np.array([[[-2.0, 1.0, 2.0]]]), 20, 0)
    pixels = picture(HISTORY, steps, LEVELS)
    line, band = like(pixels, png.FORECAST), like(pixels, BAND)
    x = 1100
    top, bottom = np.flatnonzero(band[:, x])[[0, -1]]
    share = (np.flatnonzero(line[:, x]).mean() - top) / (bottom - top)
    assert share == pytest.approx(0.25, abs=0.01)


def test_truth_is_drawn_where_it_is_known(picture: Callable[..., Floats]) -> None:
    truth = np.zeros((20, 1)) + 3
    truth[10:] = np.nan
    found = np.flatnonzero(like(picture(HISTORY, WIDENING, LEVELS, truth=truth), png.TRUTH).any(0))
    assert found.min() > 700
    assert found.max() < 1000


def test_nested_bands_are_darker_inside(picture: Callable[..., Floats]) -> None:
    five = np.repeat(np.array([[[-4.0, -2, 0, 2, 4]]]), 10, 0)
    pixels = picture(np.zeros((30, 1)), five, [0.05, 0.25, 0.5, 0.75, 0.95])
    column = pixels[:, 1000].sum(1)
    outer = np.flatnonzero(like(pixels, BAND)[:, 1000])
    inner = np.setdiff1d(np.arange(outer[0], outer[-1]), outer)
    assert np.median(column[inner]) < np.median(column[outer]) < 3
    assert outer[0] + 20 < inner.min() < inner.max() < outer[-1] - 20


@pytest.mark.parametrize(
    ("history", "steps"),
    [
        (np.full((30, 1), 42.0), np.full((1, 1, 3), 42.0)),
        (np.full((1, 1), 3.0), np.array([[[1.0, 2.0, 3.0]]])),
        (np.full((5, 1), np.nan), np.array([[[1.0, 2.0, 3.0]]])),
        (np.zeros((0, 1)), np.array([[[1.0, 2.0, 3.0]]])),
    ],
)
def test_odd_series_have_a_picture(picture: Callable[..., Floats], history: Floats, steps: Floats) -> None:
    pixels = picture(history, steps, LEVELS)
    assert like(pixels, png.FORECAST).sum() > 20


def test_each_of_four_targets_has_a_panel(picture: Callable[..., Floats]) -> None:
    pixels = picture(np.zeros((30, 7)), np.full((9, 7, 3), [-1.0, 0.0, 1.0]), LEVELS, title="all")
    medians = np.flatnonzero(like(pixels, png.FORECAST)[:, 1000])
    assert 1 + (np.diff(medians) > 20).sum() == 4


def test_targets_that_are_not_drawn_are_counted() -> None:
    found = make_panels(np.zeros((30, 7)), np.zeros((9, 7, 3)), LEVELS)
    figure = png.make_figure(found[:4], np.arange(-23, 1), np.arange(1, 10), "all $ 7", "3 of 7 targets are not shown")
    assert figure.get_suptitle() == "all \\$ 7\n(3 of 7 targets are not shown)"
    assert [ax.get_ylabel() for ax in figure.axes] == [f"target {k}" for k in (1, 2, 3, 4)]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["history", "median", "0.1 to 0.9"]
    assert figure.axes[-1].get_xlabel() == "steps from now"


def test_moments_are_those_given_for_the_steps_ahead() -> None:
    times = np.datetime64("2024-02-28T22") + np.array([0, 1, 2, 3, 8]) * np.timedelta64(1, "h")
    past, ahead = png.time_axis(times, 4, 1, 3)
    assert past.astype("M8[h]").tolist() == times[1:4].tolist()
    assert [str(t)[:16] for t in ahead] == ["2024-02-29T06:00"]
    assert png.time_axis(None, 4, 2, 3)[0].tolist() == [-2, -1, 0]


def test_moments_are_written_along_the_axis(picture: Callable[..., Floats]) -> None:
    times = np.datetime64("2024-02-28") + np.arange(80) * np.timedelta64(1, "D")
    plain, dated = picture(HISTORY, WIDENING, LEVELS), picture(HISTORY, WIDENING, LEVELS, times=times)
    assert (plain[560:580] != dated[560:580]).any()
    assert np.flatnonzero(like(dated, BAND).any(0)).min() >= 700


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            np.arange(80),
            r"times are int64 \[80\]; expected datetime64 without NaT, one for each of 60 steps of history and 20",
        ),
        (np.zeros(60, "M8[s]"), r"times are datetime64\[s\] \[60\]"),
        (np.full(80, "NaT", "M8[s]"), "expected datetime64 without NaT"),
    ],
)
def test_times_that_do_not_fit_are_refused(tmp_path: Path, times: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        png.plot_forecast(tmp_path / "a.png", HISTORY, WIDENING, LEVELS, times=times)
    assert list(tmp_path.iterdir()) == []


def test_truth_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"truth has shape \[19, 1\]; expected \[20, 1\], like the forecast"):
        png.plot_forecast(tmp_path / "a.png", HISTORY, WIDENING, LEVELS, truth=np.zeros((19, 1)))


def test_a_picture_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    old = tmp_path / "a.png"
    png.plot_forecast(old, HISTORY, WIDENING, LEVELS)
    before = old.read_bytes()
    with pytest.raises(DataError):
        png.plot_forecast(old, HISTORY, WIDENING * np.nan, LEVELS)
    with pytest.raises(TidegateError, match="its folder does not exist"):
        png.plot_forecast(tmp_path / "no" / "a.png", HISTORY, WIDENING, LEVELS)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [before]


def test_a_picture_replaces_a_picture_of_ours_and_no_other_file(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    out, photo = tmp_path / "a.png", tmp_path / "photo.png"
    for _ in range(2):
        png.plot_forecast(out, HISTORY, WIDENING, LEVELS)
    Figure(figsize=(1, 1)).savefig(photo)
    before = photo.read_bytes()
    with pytest.raises(OptionError, match="is not a picture that tidegate drew"):
        png.plot_forecast(photo, HISTORY, WIDENING, LEVELS)
    with pytest.raises(OptionError, match="an input of this command"):
        png.check_path(photo, [str(photo)], force=True)
    assert photo.read_bytes() == before
    png.plot_forecast(photo, HISTORY, WIDENING, LEVELS, force=True)
    assert photo.read_bytes() == out.read_bytes()


def test_the_same_forecast_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        png.plot_forecast(tmp_path / name, HISTORY, WIDENING, LEVELS)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_without_matplotlib_the_install_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra) as caught:
        png.plot_forecast(tmp_path / "a.png", HISTORY, WIDENING, LEVELS)
    assert str(caught.value) == 'plots need matplotlib, which is not installed; pip install "tidegate[plot]"'
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_waits_for_a_picture_and_pyplot_is_never_asked(
    python: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    code = f"""
import sys, numpy as np
from tidegate.plots import png, terminal
assert not [m for m in sys.modules if m.startswith("matplotlib")]
png.plot_forecast({str(tmp_path / "a.png")!r}, np.zeros((9, 1)), np.zeros((3, 1, 1)), [0.5])
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    done = python("-W", "error", "-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_of_another_kind_of_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"ends with '.jpg', but plots are PNG files; name it .png"):
        png.plot_forecast(tmp_path / "a.jpg", HISTORY, WIDENING, LEVELS)
    for name in ("a", "b.PNG"):
        png.plot_forecast(tmp_path / name, HISTORY, WIDENING, LEVELS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b.PNG"]
