"""Time streams of series of numbers, sample by sample from Python: pushes, pools, rolling origins, size of a state.

    python bench/series_stream.py [CASES] [--pushes 3000] [--streams 1000]

A push is compared with its native run alone. Models have the default sizes on public sets; they are fitted for one
short epoch, which does not change their speed. First come each model's largest error against float64, in the units of
its outputs, and a check that streams and pools give the bits of whole series. Times are CPU times of one thread.
`waves` is an artificial series that needs no data set.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import fits, record

from tidegate.data import catalogue
from tidegate.features.series import SeriesTransform
from tidegate.layers.recurrent import Recurrent
from tidegate.runtime import Predictor, Stream, make_runner
from tidegate.runtime import load as loaded
from tidegate.tasks import load
from tidegate.text_tables import format_table
from tidegate.train import fit
from tidegate.verify.error_propagation import run_reference

Floats = npt.NDArray[np.float64]
CHECKED = 200  # pushes whose outputs are compared with those of whole series
POOL_ROUNDS = 15
ORIGINS = 500
SHORT = {"epochs": 1, "refit_epochs": 0}


@dataclass(frozen=True)
class Case:
    """A set, the split whose series are pushed, and options other than the defaults."""

    set: str
    split: str
    options: dict[str, Any]


CASES = {
    "load": Case("load", "all", {"windows_per_epoch": 256}),
    "load --scale fixed": Case("load", "all", {"windows_per_epoch": 256, "scale": "fixed"}),
    "etth1": Case("etth1", "all", {"windows_per_epoch": 256}),
    "japanese_vowels": Case("japanese_vowels", "test", {}),
    "uci_har_subset": Case("uci_har_subset", "test", {}),
    "ecg5000": Case("ecg5000", "test", {}),
}


def main() -> None:
    parser = record.make_speed_parser(__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"default {', '.join(CASES)}; also waves")
    parser.add_argument("--pushes", type=int, default=3000)
    parser.add_argument("--streams", type=int, default=1000, help="of the pool")
    options = parser.parse_args()
    if unknown := [name for name in options.cases if name not in (*CASES, "waves")]:
        parser.error(f"no case {unknown[0]!r}; choose of {', '.join(CASES)}, waves")
    rows = []
    for name in options.cases:
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"case": name, **measure(*fit_model(name, Path(folder)), options.pushes, options.streams)})
            print(format_checks(rows[-1]), flush=True)
    figures = {"pushes": options.pushes, "streams": options.streams, "rows": rows}
    record.write(options.out, "series_stream", record.with_provenance(figures, "torch"))
    print(report(rows, options.streams))


# ---- models, and the series that are pushed


def fit_model(name: str, folder: Path) -> tuple[Predictor, list[Floats]]:
    """Fit a model of the default sizes, and return it with series [T, columns] as its streams take them."""
    out = str(folder / "model.safetensors")
    if name == "waves":
        task, path = load("forecast"), write_waves(folder)
        options = task.Options(horizon=4, windows_per_epoch=64, **SHORT)
        fit("forecast", str(path), options, out)
    else:
        case = CASES[name]
        files = catalogue.fetch(case.set)
        task, path = load(catalogue.get(case.set).task), files[case.split]
        options = fits.options(case.set, **case.options, **SHORT)
        fit(catalogue.get(case.set).task, str(files["train"]), options, out)
    predictor = loaded(out, threads=1)
    source = task.read(str(path), options, predictor.model.inputs["x"].to_json()["columns"])
    return predictor, [series.values for series in source.series]


def write_waves(folder: Path) -> Path:
    """Write a file with an artificial series whose season is 24 steps."""
    t = np.arange(600)
    values = 5 + np.sin(t * np.pi / 12) + 0.1 * np.random.default_rng(0).standard_normal(len(t))
    path = folder / "waves.csv"
    path.write_text("\n".join(["x", *(f"{value:.4f}" for value in values)]) + "\n")
    return path


# ---- measurements


def measure(predictor: Predictor, series: list[Floats], pushes: int, streams: int) -> dict[str, Any]:
    """Measure one model; error and bits first."""
    transform = load("forecast").restore(predictor.model)[1]
    reach = transform.window.reach if transform.window else 0
    x = np.concatenate(series)[: reach + 20_000]
    checks = {"error": largest_error(predictor, transform, x), **check_bits(predictor, transform, series, x)}
    stream, state = warm_stream(predictor, x, reach), warm_stream(predictor, x, reach).state
    own, alone = time_pushes(stream, make_native_run(predictor, transform, x), x, pushes)
    cuts = statistics.quantiles(own, n=100)
    return {
        **checks,
        "hidden": next(layer.size for layer in predictor.model.layers if isinstance(layer, Recurrent)),
        "columns": x.shape[1],
        "reach": reach,
        "window": transform.window and transform.window.to_json(),
        "us": 1e6 * statistics.median(own),
        "us_99": 1e6 * cuts[98],
        "native_us": 1e6 * statistics.median(alone),
        "ratio": statistics.median(a / b for a, b in zip(own, alone, strict=True)),
        "pool_us": 1e6 * time_pool_step(predictor, x, reach, streams) / streams,
        "layers_bytes": state.block.nbytes,
        "memory_bytes": len(state.input_state),
        "origins_a_second": origins_per_second(predictor, x, reach) if transform.forecast else None,
    }


def warm_stream(predictor: Predictor, x: Floats, reach: int) -> Stream:
    """Make a stream that has seen enough steps for an output."""
    stream = predictor.stream()
    stream.push(x[: max(1, reach)])
    return stream


def largest_error(predictor: Predictor, transform: SeriesTransform, x: Floats) -> float:
    """Return the largest difference of a stream's output from float64, in the units of the layers' outputs."""
    reach = transform.window.reach if transform.window else min(len(x), CHECKED)
    output = warm_stream(predictor, x, reach).scores
    steps = transform.impute(x[:reach], None)[0]
    if transform.window:
        rows, scaling = transform.make_windows(steps, np.array([reach - 1]))
        rows = rows[0]
    else:
        rows, scaling = transform.scale_fixed(steps, 0), transform.fixed_scaling(0) if transform.forecast else None
    exact = run_reference(predictor.model, rows).outputs[-1]
    if scaling is None or transform.forecast is None:
        return float(np.abs(output.values - exact).max())
    restored = np.sort(scaling.invert(exact[None], len(transform.forecast.quantiles))[0], axis=-1)
    return float((np.abs(output.values - restored) / scaling.spread[0][:, None]).max())


def check_bits(predictor: Predictor, transform: SeriesTransform, series: list[Floats], x: Floats) -> dict[str, int]:
    """Compare outputs of streams and pools with those of whole series, and count them.

    Ends the benchmark where bits differ.
    """
    reach = transform.window.reach if transform.window else 0
    begin, end = max(1, reach), min(len(x), max(1, reach) + CHECKED)
    pool, stream = predictor.pool(), warm_stream(predictor, x, begin)
    pool.push([("a", x[:begin])])
    steps = [(stream.push(row).values, pool.step(["a"], row[None])[0]) for row in x[begin:end]]
    if transform.forecast:
        whole = predictor.forecasts(x, np.arange(begin, end))
    else:
        whole = np.stack([predictor.predict([x[: t + 1]])[0] for t in range(begin, end)])
    alone = (
        [(final_output(predictor, one), predictor.predict([one])[0]) for one in series[:20]]
        if not transform.forecast
        else []
    )
    pairs = [(mine, wanted) for both, wanted in zip(steps, whole, strict=True) for mine in both] + alone
    if wrong := sum(mine.tobytes() != wanted.tobytes() for mine, wanted in pairs):
        raise SystemExit(f"{wrong} of {len(pairs)} outputs differ in their bits from those of whole series")
    return {"compared": len(pairs)}


def final_output(predictor: Predictor, one: Floats) -> npt.NDArray[Any]:
    """Return a stream's last output for a series that is pushed step by step."""
    stream = predictor.stream()
    for row in one[:-1]:
        stream.push(row)
    return np.asarray(stream.push(one[-1], end=True).values)


def make_native_run(predictor: Predictor, transform: SeriesTransform, x: Floats) -> Callable[[], None]:
    """Make the native run that a push needs: of one step, or of a window."""
    model = predictor.model
    engine = make_runner(model, predictor.target)
    steps = transform.impute(x[: max(1, transform.window.reach if transform.window else 1)], None)[0]
    if transform.window:
        rows = np.ascontiguousarray(transform.make_windows(steps, np.array([len(steps) - 1]))[0].swapaxes(0, 1))
        first = predictor.stream().state.block[None].copy()
        states, last, out = first.copy(), first.copy(), np.empty((1, engine.outputs), np.float32)
        lengths = np.array([len(rows)], np.int32)
        return lambda: engine.run(rows, lengths, states, last, out, False, 1)
    row, state = transform.scale_fixed(steps, 0)[-1].copy(), predictor.stream().state.block.copy()
    one = np.empty(engine.outputs, np.float32)
    return lambda: engine.step(row, state, one)


def time_pushes(stream: Stream, alone: Callable[[], None], x: Floats, pushes: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of every push, and of the native run alone right after it."""
    own, native_alone = [], []
    for row in samples(x, pushes + 20):
        start = time.thread_time()
        stream.push(row)
        between = time.thread_time()
        alone()
        own.append(between - start)
        native_alone.append(time.thread_time() - between)
    return own[20:], native_alone[20:]


def samples(x: Floats, count: int) -> Iterator[Floats]:
    """Yield `count` rows of x, starting again at its end."""
    for k in range(count):
        yield x[k % len(x)]


def time_pool_step(predictor: Predictor, x: Floats, reach: int, streams: int) -> float:
    """Return the median seconds of a step of all streams of a pool at once, each at another position of x."""
    pool, ids = predictor.pool(), list(range(streams))
    places = np.arange(streams) * 7
    for at in range(0, streams, 100):
        some = [(i, x[(places[i] + np.arange(max(1, reach))) % len(x)]) for i in ids[at : at + 100]]
        pool.push(some)
    spent = []
    for k in range(POOL_ROUNDS):
        rows = x[(places + max(1, reach) + k) % len(x)]
        start = time.thread_time()
        pool.step(ids, rows)
        spent.append(time.thread_time() - start)
    return statistics.median(spent[2:])


def origins_per_second(predictor: Predictor, x: Floats, reach: int) -> float:
    """Return the number of forecasts per second from rolling origins of one series."""
    origins = np.arange(max(1, reach), len(x))[:ORIGINS]
    predictor.forecasts(x, origins[:2])
    spent = []
    for _ in range(5):
        start = time.thread_time()
        predictor.forecasts(x, origins)
        spent.append(time.thread_time() - start)
    return len(origins) / statistics.median(spent)


# ---- output


def format_checks(row: dict[str, Any]) -> str:
    return f"{row['case']}: error {row['error']:.1e}; {row['compared']} outputs have the bits of whole series"


def report(rows: list[dict[str, Any]], streams: int) -> str:
    head = ["", "us a push", "99 %", "native alone", "ratio", f"us in a pool of {streams}", "state", "origins a second"]
    lines = [
        [
            row["case"],
            *(f"{row[key]:.1f}" for key in ("us", "us_99", "native_us", "ratio", "pool_us")),
            f"{row['layers_bytes']} + {row['memory_bytes']}",
            f"{row['origins_a_second']:,.0f}" if row["origins_a_second"] else "-",
        ]
        for row in rows
    ]
    return format_table(head, lines)


if __name__ == "__main__":
    main()
