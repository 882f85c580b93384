"""How the values of tables are written, by the name of a format, and how those of several records become one."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean
from typing import Any

Record = dict[str, Any]


def three(value: float) -> str:
    """Format a number with three digits, more of large numbers.

    >>> three(9.094), three(1285.3)
    ('9.09', '1285')
    """
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def time(us: float) -> str:
    """Format microseconds.

    >>> time(3.76), time(7937.8)
    ('3.76 µs', '7.94 ms')
    """
    return f"{three(us)} µs" if us < 1e3 else f"{three(us / 1e3)} ms"


def quartiles(row: Record) -> str:
    return f"{row['ratio']:.2f} ({row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f})"


def bounded(rows: list[Record]) -> str:
    """Return the largest error as a share of its bound and, in brackets, the largest error, of runs with a bound."""
    held = [row for row in rows if row.get("ok", True) is not None]
    return f"{max(row['ratio'] for row in held):.3f} ({max(row['error'] for row in held):.0e})"


def least_mistake(rows: list[Record]) -> float:
    """Return the least error of wrong cells as a multiple of the bound, of runs with a bound."""
    return min(row["mistaken"] for row in rows if row["ok"] is not None and row["mistaken"] is not None)


def over_numpy(key: str, digits: int) -> Callable[[Record], str]:
    """Return a format of what a process costs beyond one that only imports NumPy."""
    return lambda row: f"{row[key] - row['cases']['numpy'][key]:+.{digits}f}"


def forecasts(row: Record) -> list[str]:
    """Return the mean over the seeds, each seed, and the baselines, with the figure's own number of digits."""
    texts = [f"{value:,.{row['digits']}f}" for value in (mean(row["values"]), *row["values"], *row["beside"].values())]
    seeds = len(row["values"]) + 1
    beside = (f"{name} {text}" for name, text in zip(row["beside"], texts[seeds:], strict=True))
    return [texts[0], " ".join(texts[1:seeds]), "; ".join(beside)]


def quality(row: Record) -> str:
    """Return what a figure is and how much: a share in percent, or a ratio of errors.

    >>> quality({"figure": "accuracy", "value": 0.914}), quality({"figure": "error over ridge's", "value": 0.97})
    ('accuracy 91.40 %', "error over ridge's 0.970")
    """
    is_ratio = " over " in row["figure"]
    return f"{row['figure']} {row['value']:.3f}" if is_ratio else f"{row['figure']} {100 * row['value']:.2f} %"


def size(count: float) -> str:
    """Format bytes in thousands, or in millions from one on.

    >>> size(93_412), size(14_968_854)
    ('93 kB', '15.0 MB')
    """
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def baseline(published: list[str]) -> str:
    """Return the baseline that was measured on the same files, in few words.

    >>> baseline(["accuracy, measured on these files: linear SVM on tf-idf of words and characters 90.60"])
    'linear SVM on tf-idf 90.60 %'
    """
    own = next(line for line in published if "measured on these files" in line).rpartition(": ")[2]
    short = own.replace(" of words and characters", "").replace(" under dynamic time warping of all channels", " (DTW)")
    return f"{short} %"


def peers(row: Record) -> str:
    names = {"torch.nn.GRU": "torch", "onnxruntime": "onnxruntime"}
    return ", ".join(f"{short} {time(row[name]['us'])}" for name, short in names.items() if name in row)


FORMATS: dict[str, Callable[[Any], str]] = {
    "three": three,
    "time": time,
    "quartiles": quartiles,
    "baseline": baseline,
    "peers": peers,
    "quality": quality,
    "size": size,
    "list": ", ".join,
    "percent": lambda value: f"{100 * value:.2f} %",
    "MB": lambda size: f"{size / 1e6:.1f} MB",
    "yes": lambda value: "yes" if value else "NO",
    "cpu": over_numpy("cpu_s", 3),
    "mb": over_numpy("resident_mb", 1),
    "mean": lambda row: forecasts(row)[0],
    "seeds": lambda row: forecasts(row)[1],
    "beside": lambda row: forecasts(row)[2],
}
REDUCES: dict[str, Callable[[list[Any]], Any]] = {
    "first": lambda values: values[0],
    "mean": mean,
    "min": min,
    "sum": sum,
    "len": len,
    "all": all,
    "distinct": lambda values: len(set(values)),
    "hundredths": lambda values: [f"{100 * value:.2f}" for value in values],
    "signed": lambda values: [f"{value:+.2f}" for value in values[0]],
    "bounded": bounded,
    "unbounded": lambda rows: sum(row["ok"] is None for row in rows),
    "least_mistake": least_mistake,
    "caught": lambda rows: f"{sum(row['caught'] for row in rows)} of {sum(row['mutants'] for row in rows)}",
    "same_bits": lambda rows: f"{sum(row['same_bits'] for row in rows)} of {sum(row['models'] for row in rows)}",
}
