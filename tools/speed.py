"""The sections of what is timed beside others: kernels in one table, threads, whole fits, and what a process costs."""

from __future__ import annotations

from collections.abc import Iterator

from sections import Found, made, section, span, table, unique

COSTS = {"cpu_s": 3, "resident_mb": 1}  # of a process: how many digits are shown
BESIDE = ("numpy", "python", "tidegate, nothing used")  # what the others are compared with, or cost nothing


def kernels(results: dict[str, Found]) -> str:
    """A GRU's steps, cold steps, sequences, pools and training beside the libraries, as far as they were run."""
    rows = [row for row in every(results) if row["plain"]]
    libraries = sorted(unique(name for row in rows for name in others(row)), key=order)
    missing = unique(name for of in results.values() for name in of["figures"]["absent"])
    cold = results.get("step_cold")
    places = unique(of["cpu"] for of in results.values())
    return section(
        "Speed",
        f"A GRU on one thread of {' and of '.join(places)}, float32 where nothing else is said: the median time of a "
        "call from Python, and how many times as long the same takes in other libraries, which run by turns with it "
        "(above 1: tidegate is faster). error: the largest against float64 with unrounded weights, of training over "
        "the gradient's largest number. peak: the share of the core's most multiply-adds in float32 that the products "
        "reach; in bfloat16 it may be over 100%. I inputs, H units; a sequence and a training step (forward, backward, "
        "all gradients): rows x steps x I x H; a pool: one step of streams x I x H."
        + (f" cold: {cold['figures']['megabytes']} MB went through the caches since the last step." if cold else "")
        + (f" Not installed: {', '.join(missing)}." if missing else "")
        + " Quartiles, threads, other cells and dialects: [docs/speed.md](docs/speed.md).",
        table(
            ["", "time", *libraries, "error", "peak"],
            [[short(row), time(row["ours"]), *(ratio(row, name) for name in libraries), *held(row)] for row in rows],
        ),
        made(*results.values()),
    )


def every(results: dict[str, Found]) -> list[Found]:
    return [row for of in results.values() for row in of["figures"]["rows"]]


def pairs(results: dict[str, Found]) -> str:
    """Every case beside everything that it was timed with, other cells and dialects too."""
    return section(
        "One layer",
        "A case a line and peer, on one thread, float32 where nothing else is said: both medians; the median and "
        "quartiles of the peer's time over tidegate's in the same round; the error of tidegate's own and of the peer's "
        "answer. `tidegate gru` (or another cell) is tidegate's own in the default dialect, `tidegate float32` in that "
        "precision.",
        table(
            ["", "time", "beside", "its time", "as long", "errors"],
            [
                [short(row), time(row["ours"]), name, time(of), spread(of), f"{told(row['ours'])}, {told(of)}"]
                for row in every(results)
                for name, of in row["peers"].items()
            ],
        ),
        made(*results.values()),
    )


def short(row: Found) -> str:
    return str(row["case"]).replace(" float32", "")


def told(of: Found) -> str:
    return "-" if of["error"] is None else f"{of['error']:.0e}"


def order(name: str) -> tuple[bool, str]:
    """torch's modules first."""
    return not name.startswith("torch.nn"), name


def others(row: Found) -> list[str]:
    return [name for name in row["peers"] if not name.startswith("tidegate")]


def time(of: Found) -> str:
    us = of["us"]
    return f"{digits(us)} us" if us < 1e3 else f"{digits(us / 1e3)} ms"


def digits(value: float) -> str:
    """Three of them, more of large numbers."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def ratio(row: Found, name: str) -> str:
    return digits(row["peers"][name]["ratio"]) if name in row["peers"] else "-"


def spread(of: Found) -> str:
    return f"{of['ratio']:.2f} ({span(of['quartiles'], 2)})"


def held(row: Found) -> Iterator[str]:
    """The error, and the share of the peak."""
    share = row["ours"].get("share")
    yield told(row["ours"])
    yield "-" if share is None else f"{share:.0%}"


def threads(result: Found) -> str:
    return section(
        "Threads",
        "Times of the wall, medians and quartiles: how many times as long torch.nn.GRU takes with as many threads, and "
        f"tidegate itself with fewer; {result['cores']} cores. Its bits are the same with any number of threads.",
        table(
            ["", "time", "beside", "takes so many times as long"],
            [
                [
                    short(row),
                    time(row["ours"]),
                    name,
                    f"{of['ratio']:.2f} ({span(of['quartiles'], 2)})",
                ]
                for row in result["figures"]["rows"]
                for name, of in row["peers"].items()
            ],
        ),
        made(result),
    )


def fits(result: Found) -> str:
    found = result["figures"]
    rows = [
        [
            row["engine"],
            f"{100 * run['accuracy']:.2f} %",
            str(run["epochs"]),
            f"{run['cpu_s']:.1f}",
            f"{run['wall_s']:.1f}",
            f"{row['cpu_ratio']:.2f}",
        ]
        for row in found["rows"]
        for run in row["runs"][-1:]
    ]
    return section(
        "A whole fit",
        f"`tidegate fit` on {found['set']}, the whole process with the defaults, beside the same model, loop and seed "
        "with its recurrences on torch.nn.GRU.",
        table(
            ["recurrences on", "accuracy", "epochs", "CPU seconds", "on the wall", "times the CPU of the first"], rows
        ),
        made(result),
    )


def footprint(result: Found) -> str:
    found = result["figures"]
    base = found["cases"]["numpy"]
    names = [name for name in found["cases"] if name not in BESIDE]
    rows = [
        [name, *(f"{found['cases'][name][key] - base[key]:+.{digits}f}" for key, digits in COSTS.items())]
        for name in names
    ]
    return section(
        "Footprint",
        f"A fresh process over one that only imports NumPy ({base['cpu_s']:.3f} s, {base['resident_mb']:.1f} MB), "
        f"medians of {found['runs']}: the library, the file of a GRU of 64 units and one step, or a first message. The "
        f"native module is a file of {found['module_bytes'] / 1e3:.0f} kB.",
        table(["", "CPU seconds", "resident MB"], rows),
        made(result),
    )
