"""Series of numbers, sample by sample from Python: time of a push beside its native run alone, of a pool's step, of
rolling origins, and the bytes of a state.

    python bench/series_stream.py [CASES] [--pushes 3000] [--streams 1000]

Models have the sizes of the defaults on public sets; one short epoch fits them, which changes no time. First each
one's largest error against float64, in the units of its outputs, and that streams and pools answer with the bits of
whole series. One thread, whose CPU time is taken. `waves` is made up, and needs no data set.
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

from tidegate.cli._table import table
from tidegate.data import catalogue
from tidegate.features.series import SeriesTransform
from tidegate.runtime import Predictor, Stream, runner
from tidegate.runtime import load as loaded
from tidegate.tasks import load
from tidegate.train import fit
from tidegate.verify.error_propagation import run_reference

Floats = npt.NDArray[np.float64]
CHECKED = 200  # pushes whose answers are compared with those of whole series
POOL_ROUNDS = 15
ORIGINS = 500
SHORT = {"epochs": 1, "refit_epochs": 0}


@dataclass(frozen=True)
class Case:
    """A set, the split whose series are pushed, and options that are not the defaults."""

    set: str
    split: str
    given: dict[str, Any]


CASES = {
    "load": Case("load", "all", {"windows_per_epoch": 256}),
    "load --scale fixed": Case("load", "all", {"windows_per_epoch": 256, "scale": "fixed"}),
    "etth1": Case("etth1", "all", {"windows_per_epoch": 256}),
    "japanese_vowels": Case("japanese_vowels", "test", {}),
    "uci_har_subset": Case("uci_har_subset", "test", {}),
    "ecg5000": Case("ecg5000", "test", {}),
}


def main() -> None:
    parser = record.timed_arguments(__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"default {', '.join(CASES)}; also waves")
    parser.add_argument("--pushes", type=int, default=3000)
    parser.add_argument("--streams", type=int, default=1000, help="of the pool")
    options = parser.parse_args()
    if unknown := [name for name in options.cases if name not in (*CASES, "waves")]:
        parser.error(f"no case {unknown[0]!r}; choose of {', '.join(CASES)}, waves")
    rows = []
    for name in options.cases:
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"case": name, **measured(*fitted(name, Path(folder)), options.pushes, options.streams)})
            print(checked_line(rows[-1]), flush=True)
    figures = {"pushes": options.pushes, "streams": options.streams, "rows": rows}
    record.write(options.out, "series_stream", record.made(figures, "torch"))
    print(report(rows, options.streams))

    # ---- models, and the series that are pushed


def fitted(name: str, folder: Path) -> tuple[Predictor, list[Floats]]:
    """A model of the sizes of the defaults, and series [T, columns] as its streams take them."""
    out = str(folder / "model.safetensors")
    if name == "waves":
        task, path = load("forecast"), waves(folder)
        chosen = task.Options(horizon=4, windows_per_epoch=64, **SHORT)
        fit("forecast", str(path), chosen, out)
    else:
        case = CASES[name]
        files = catalogue.fetch(case.set)
        task, path = load(catalogue.get(case.set).task), files[case.split]
        chosen = fits.options(case.set, **case.given, **SHORT)
        fit(catalogue.get(case.set).task, str(files["train"]), chosen, out)
    predictor = loaded(out, threads=1)
    source = task.rows(str(path), chosen, predictor.model.document["input"]["columns"])
    return predictor, [series.values for series in source.series]


def waves(folder: Path) -> Path:
    """A file of a made-up series, whose season is 24 steps."""
    t = np.arange(600)
    values = 5 + np.sin(t * np.pi / 12) + 0.1 * np.random.default_rng(0).standard_normal(len(t))
    path = folder / "waves.csv"
    path.write_text("\n".join(["x", *(f"{value:.4f}" for value in values)]) + "\n")
    return path

    # ---- what is measured


def measured(predictor: Predictor, series: list[Floats], pushes: int, streams: int) -> dict[str, Any]:
    """The figures of one model; error and bits first."""
    transform = SeriesTransform.from_json(predictor.model.document["input"], predictor.model.tensors)
    reach = transform.window.reach if transform.window else 0
    x = np.concatenate(series)[: reach + 20_000]
    found = {"error": error(predictor, transform, x), **same_bits(predictor, transform, series, x)}
    stream, state = warmed(predictor, x, reach), warmed(predictor, x, reach).state
    own, alone = pushed(stream, native(predictor, transform, x), x, pushes)
    cuts = statistics.quantiles(own, n=100)
    return {
        **found,
        "hidden": next(layer["size"] for layer in predictor.model.layers if layer["kind"] == "recurrent"),
        "columns": x.shape[1],
        "reach": reach,
        "window": transform.window and transform.window.to_json(),
        "us": 1e6 * statistics.median(own),
        "us_99": 1e6 * cuts[98],
        "native_us": 1e6 * statistics.median(alone),
        "ratio": statistics.median(a / b for a, b in zip(own, alone, strict=True)),
        "pool_us": 1e6 * pooled(predictor, x, reach, streams) / streams,
        "layers_bytes": state.block.nbytes,
        "memory_bytes": len(state.input_state),
        "origins_a_second": rolling(predictor, x, reach) if transform.forecast else None,
    }


def warmed(predictor: Predictor, x: Floats, reach: int) -> Stream:
    """A stream that has seen enough for an answer."""
    stream = predictor.stream()
    stream.push(x[: max(1, reach)])
    return stream


def error(predictor: Predictor, transform: SeriesTransform, x: Floats) -> float:
    """The largest difference of a stream's answer from float64, in the units of the chain's outputs."""
    reach = transform.window.reach if transform.window else min(len(x), CHECKED)
    answer = warmed(predictor, x, reach).scores
    steps = transform.impute(x[:reach], None)[0]
    if transform.window:
        rows, frame = transform.windows(steps, np.array([reach - 1]))
        rows = rows[0]
    else:
        rows, frame = transform.scale_fixed(steps, 0), transform.fixed_scaling(0) if transform.forecast else None
    exact = run_reference(predictor.model, rows).outputs[-1]
    if frame is None or transform.forecast is None:
        return float(np.abs(answer.values - exact).max())
    restored = np.sort(frame.invert(exact[None], len(transform.forecast.quantiles))[0], axis=-1)
    return float((np.abs(answer.values - restored) / frame.spread[0][:, None]).max())


def same_bits(predictor: Predictor, transform: SeriesTransform, series: list[Floats], x: Floats) -> dict[str, int]:
    """How many answers of streams and pools were compared with whole series. Ends the bench where bits differ."""
    reach = transform.window.reach if transform.window else 0
    begin, end = max(1, reach), min(len(x), max(1, reach) + CHECKED)
    pool, stream = predictor.pool(), warmed(predictor, x, begin)
    pool.push([("a", x[:begin])])
    steps = [(stream.push(row).values, pool.step(["a"], row[None])[0]) for row in x[begin:end]]
    if transform.forecast:
        whole = predictor.forecasts(x, np.arange(begin, end))
    else:
        whole = np.stack([predictor.predict([x[: t + 1]])[0] for t in range(begin, end)])
    alone = (
        [(last_of(predictor, one), predictor.predict([one])[0]) for one in series[:20]]
        if not transform.forecast
        else []
    )
    pairs = [(mine, wanted) for both, wanted in zip(steps, whole, strict=True) for mine in both] + alone
    if wrong := sum(mine.tobytes() != wanted.tobytes() for mine, wanted in pairs):
        raise SystemExit(f"{wrong} of {len(pairs)} answers have other bits than those of whole series")
    return {"compared": len(pairs)}


def last_of(predictor: Predictor, one: Floats) -> npt.NDArray[Any]:
    """A stream's final answer to a series that is pushed step by step."""
    stream = predictor.stream()
    for row in one[:-1]:
        stream.push(row)
    return np.asarray(stream.push(one[-1], end=True).values)


def native(predictor: Predictor, transform: SeriesTransform, x: Floats) -> Callable[[], None]:
    """The run of the chain alone that a push asks for: of one step, or of a window."""
    model = predictor.model
    engine = runner(model, predictor.target)
    steps = transform.impute(x[: max(1, transform.window.reach if transform.window else 1)], None)[0]
    if transform.window:
        rows = np.ascontiguousarray(transform.windows(steps, np.array([len(steps) - 1]))[0].swapaxes(0, 1))
        first = predictor.stream().state.block[None].copy()
        states, last, out = first.copy(), first.copy(), np.empty((1, engine.outputs), np.float32)
        lengths = np.array([len(rows)], np.int32)
        return lambda: engine.run(rows, lengths, states, last, out, False, 1)
    row, state = transform.scale_fixed(steps, 0)[-1].copy(), predictor.stream().state.block.copy()
    one = np.empty(engine.outputs, np.float32)
    return lambda: engine.step(row, state, one)


def pushed(stream: Stream, alone: Callable[[], None], x: Floats, pushes: int) -> tuple[list[float], list[float]]:
    """CPU seconds of every push, and of the native run alone right after it."""
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
    """So many rows of x, from its start again where it ends."""
    for k in range(count):
        yield x[k % len(x)]


def pooled(predictor: Predictor, x: Floats, reach: int, streams: int) -> float:
    """Median seconds of a step of all streams of a pool at once; each stands elsewhere in x."""
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


def rolling(predictor: Predictor, x: Floats, reach: int) -> float:
    """Forecasts a second from rolling origins of one series."""
    origins = np.arange(max(1, reach), len(x))[:ORIGINS]
    predictor.forecasts(x, origins[:2])
    spent = []
    for _ in range(5):
        start = time.thread_time()
        predictor.forecasts(x, origins)
        spent.append(time.thread_time() - start)
    return len(origins) / statistics.median(spent)

    # ---- what is said


def checked_line(row: dict[str, Any]) -> str:
    return f"{row['case']}: error {row['error']:.1e}; {row['compared']} answers have the bits of whole series"


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
    return table(head, lines)


if __name__ == "__main__":
    main()
