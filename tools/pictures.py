"""Draw the pictures of README.md from real runs: docs/pictures/stream.svg and docs/pictures/forecast.svg.

python tools/pictures.py                  fit both models with the defaults and seed 0 (some minutes), and draw
python tools/pictures.py --models DIR     keep the models in DIR, and use those that are there already

The stream reads a message of clinc150's test split word by word. The forecast is that of a day of the test weeks of
`load`: of all of them, the one with the median error.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

import tidegate
from tidegate.backtest import backtest
from tidegate.data import catalogue

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
MESSAGE, TEST_STARTS, DAY, WEEK = "tell me what the meaning of life is", 2688, 48, 336
WIDTH, FONT = 760, "ui-sans-serif, system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
LIGHT = {"card": "#ffffff", "edge": "#d1d9e0", "text": "#1f2328", "quiet": "#59636e", "grid": "#e6eaef"}
DARK = {"card": "#151b23", "edge": "#3d444d", "text": "#f0f6fc", "quiet": "#9198a1", "grid": "#2a313c"}
LIGHT_LINES, DARK_LINES = ("#9a6700", "#bf3989", "#0969da", "#1a7f37"), ("#d4a72c", "#f778ba", "#58a6ff", "#4ac26b")
Floats = npt.NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--models", metavar="DIR", type=Path, help="folder in which the models are kept")
    folder = parser.parse_args().models
    with tempfile.TemporaryDirectory() as scratch:
        models = folder or Path(scratch)
        intents, load = models / "clinc150.safetensors", models / "load.safetensors"
        if not intents.exists():
            tidegate.fit("classify", catalogue.fetch("clinc150")["train"], out=intents)
        if not load.exists():
            options = {"time": "time", "values": "load", "horizon": DAY}
            tidegate.fit("forecast", catalogue.fetch("load")["train"], out=load, **options)
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / "stream.svg").write_text(stream(*read_words(intents, MESSAGE)), "utf-8")
        (PICTURES / "forecast.svg").write_text(forecast(*median_day(load)), "utf-8")


def read_words(path: Path, message: str) -> tuple[list[str], dict[str, Floats], int]:
    """Push a message word by word; return the words, the probabilities of the labels that lead, and how many there are.

    Each label's array is float64 [words]; a label is included if it leads after some word, with at least 0.15.
    """
    words, live = message.split(), tidegate.load(path).stream()
    rows = np.array([live.push(word + " " * (i < len(words) - 1)).values for i, word in enumerate(words)], np.float64)
    labels = tidegate.load(path).labels
    assert labels is not None
    leading = dict.fromkeys(int(row.argmax()) for row in rows if row.max() >= 0.15)
    return words, {labels[i]: rows[:, i] for i in leading}, len(labels)


def median_day(path: Path) -> tuple[str, Floats, Floats, Floats, Floats]:
    """Return the test day with the median error: its date, the day before it, truth, quantiles [48, 3], a week ago."""
    found = backtest(path, catalogue.fetch("load")["all"], start=TEST_STARTS, every=DAY).series[0]
    errors = np.abs(found.forecasts[:, :, 0, 1] - found.truth[:, :, 0]).mean(1)
    day = int(np.argsort(errors)[len(errors) // 2])
    begin, known = int(found.origins[day]) + 1, found.track.truth[:, 0]
    assert found.times is not None
    week_ago = known[begin - WEEK : begin - WEEK + DAY]
    return (
        str(found.times[begin].astype("datetime64[D]")),
        known[begin - DAY : begin],
        found.truth[day, :, 0],
        found.forecasts[day, :, 0],
        week_ago,
    )


def stream(words: Sequence[str], labels: dict[str, Floats], count: int) -> str:
    """Return a picture of the probabilities after each word; `count` is that of all labels."""
    left, right, top, bottom = 62.0, WIDTH - 148.0, 84.0, 264.0
    xs = np.linspace(left + 18, right, len(words))

    def y(value: float) -> float:
        return bottom - value * (bottom - top)

    parts = [
        text(24, 36, "One message, an answer after every word", "title"),
        text(24, 57, f"Probability of the leading intents, of {count}, as a test message of CLINC150 comes in"),
    ]
    for value in (0.0, 0.5, 1.0):
        parts += [
            line(left, y(value), right + 12, y(value)),
            text(left - 10, y(value) + 4, f"{value:.1f}", anchor="end"),
        ]
    for i, (name, row) in enumerate(labels.items()):
        peak = int(row.argmax())
        parts.append(curve(xs, [y(value) for value in row], f"line c{i % 4}"))
        parts += [
            f'<circle class="f{i % 4}" cx="{x:.1f}" cy="{y(v):.1f}" r="3.2"/>' for x, v in zip(xs, row, strict=True)
        ]
        place = (right + 12, y(row[-1]) + 4, "start") if row[-1] > 0.5 else (xs[peak] + 6, y(row[peak]) - 10, "end")
        parts.append(text(place[0], place[1], name, f"label f{i % 4}", place[2]))
    parts += [text(x, bottom + 27, word, "word", "middle") for x, word in zip(xs, words, strict=True)]
    spoken = f"Probabilities of {', '.join(labels)} after each word of '{' '.join(words)}'"
    return picture(308, spoken, parts)


def forecast(date: str, before: Floats, truth: Floats, quantiles: Floats, week_ago: Floats) -> str:
    """Return a picture of a day's forecast, its 80 % interval, what came, and the same day a week before."""
    left, right, top, bottom = 62.0, WIDTH - 24.0, 84.0, 264.0
    everything = np.concatenate([before, truth, quantiles.ravel(), week_ago]) / 1e3
    low, high = np.floor(everything.min()), np.ceil(everything.max())
    xs = np.linspace(left, right, len(before) + len(truth))
    ahead = xs[len(before) :]

    def y(values: Floats) -> list[float]:
        return [float(bottom - (value / 1e3 - low) / (high - low) * (bottom - top)) for value in np.atleast_1d(values)]

    parts = [
        text(24, 36, "A day of electricity demand, forecast at midnight", "title"),
        text(
            24,
            57,
            f"England and Wales, {date}, gigawatts every half hour: of all test days, the one with the median error",
        ),
    ]
    for value in np.arange(np.ceil(low / 5) * 5, high + 1, 5):
        at = y(np.float64(value * 1e3))[0]
        parts += [line(left, at, right, at), text(left - 10, at + 4, f"{value:.0f}", anchor="end")]
    band = [*zip(ahead, y(quantiles[:, 2]), strict=True), *reversed([*zip(ahead, y(quantiles[:, 0]), strict=True)])]
    parts.append(f'<polygon class="band" points="{points(band)}"/>')
    parts.append(line(ahead[0], top - 8, ahead[0], bottom, "now"))
    parts.append(curve(ahead, y(week_ago), "line c0 dashed"))
    parts.append(curve(xs, y(np.concatenate([before, truth])), "line truth"))
    parts.append(curve(ahead, y(quantiles[:, 1]), "line c2"))
    for i, name in enumerate(("the day before", "the day ahead")):
        parts.append(text(left + (i + 0.5) * (right - left) / 2, bottom + 22, name, "quiet", "middle"))
    keys = (
        ("line truth", "measured"),
        ("line c2", "forecast, with its 80 % interval"),
        ("line c0 dashed", "a week before"),
    )
    for x, (kind, name) in zip((62, 190, 452), keys, strict=True):
        parts += [line(x, bottom + 46, x + 26, bottom + 46, kind), text(x + 34, bottom + 50, name, "quiet")]
    return picture(330, f"Forecast of electricity demand on {date}, with what was measured", parts)


def picture(height: int, label: str, parts: Sequence[str]) -> str:
    """Return an SVG on a card of its own, light or dark by the reader's preference."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" aria-label="{escape(label, {chr(34): "&quot;"})}">',
            "<style>",
            f"text {{ font: 13px {FONT} }} .title {{ font-size: 17px; font-weight: 600 }} .word {{ font-size: 15px }}",
            ".label { font-weight: 600 } .line { fill: none; stroke-width: 2.4; stroke-linejoin: round }",
            ".grid { stroke-width: 1 } .now { stroke-dasharray: 2 3 } .truth { stroke-width: 1.6 }",
            ".dashed { stroke-dasharray: 5 4; stroke-width: 1.6 } .band { fill-opacity: 0.25 }",
            *colours(LIGHT, LIGHT_LINES),
            "@media (prefers-color-scheme: dark) {",
            *colours(DARK, DARK_LINES),
            "}",
            "</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>',
            *parts,
            "</svg>\n",
        ]
    )


def colours(theme: dict[str, str], lines: Sequence[str]) -> Iterator[str]:
    yield f".card {{ fill: {theme['card']}; stroke: {theme['edge']} }} .grid {{ stroke: {theme['grid']} }}"
    yield f"text {{ fill: {theme['quiet']} }} .title, .word {{ fill: {theme['text']} }}"
    yield f".truth {{ stroke: {theme['text']} }} .now {{ stroke: {theme['quiet']} }} .band {{ fill: {lines[2]} }}"
    for i, colour in enumerate(lines):
        yield f".c{i} {{ stroke: {colour} }} .f{i} {{ fill: {colour} }}"


def text(x: float, y: float, content: str, kind: str = "quiet", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def curve(xs: Floats, ys: Sequence[float], kind: str) -> str:
    return f'<polyline class="{kind}" points="{points(zip(xs, ys, strict=True))}"/>'


def points(pairs: Iterator[tuple[float, float]] | Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


if __name__ == "__main__":
    main()
