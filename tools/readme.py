"""Put the figures of bench/results/ into README.md, between its markers; nobody types them.

python tools/readme.py            write
python tools/readme.py --check    exit 1 if README.md is not what this would write

A section whose file is missing is left out.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from outcomes import accuracy, forecast
from sections import Found, listed, made, section, span, table, unique

ROOT = Path(__file__).resolve().parents[1]
RESULTS, README = ROOT / "bench" / "results", ROOT / "README.md"
MARKED = re.compile(r"(<!-- figures: made by tools/readme\.py -->\n).*?(<!-- end of figures -->)", re.DOTALL)
COSTS = {"cpu_s": 3, "resident_mb": 1}  # of a process: how many digits are shown


def main(arguments: Sequence[str]) -> int:
    before = README.read_text("utf-8")
    section = figures(RESULTS)
    after, count = MARKED.subn(lambda found: found[1] + section + found[2], before)
    if count != 1:
        print(f"{README.name}: the markers of the figures stand there {count} times, not once", file=sys.stderr)
        return 1
    if "--check" in arguments:
        if before != after:
            print(f"{README.name} does not hold the figures of bench/results/; run make docs", file=sys.stderr)
        return int(before != after)
    README.write_text(after, "utf-8")
    return 0


def figures(results: Path) -> str:
    """The sections in Markdown, as far as there are results."""
    files = [(results / f"{name}.json", section) for name, section in SECTIONS.items()]
    parts = [section(json.loads(file.read_text("utf-8"))) for file, section in files if file.exists()]
    return "\n".join(parts) if parts else "No results are stored yet.\n"


def step(result: Found) -> str:
    found = result["figures"]
    rows = found["rows"].items()
    return section(
        "One step",
        f"One GRU step of one stream from Python, {found['inputs']} inputs, {found['size']} units, one thread: CPU "
        f"time over the native engine's in the same round, median and quartiles of {found['rounds']} rounds; largest "
        "error against float64.",
        table(
            ["", "times the native engine's", "quartiles", "error"],
            [[name, f"{of['ratio']:.1f}", span(of["quartiles"], 1), f"{of['error']:.1e}"] for name, of in rows],
        ),
        made(result),
    )


def pushes(result: Found) -> str:
    found = result["figures"]
    rows = found["rows"]
    return section(
        "A sample of a series",
        f"CPU microseconds of one push of a sample from Python, median and 99 % of {found['pushes']:,}, and how many "
        "times the native run alone right after it (of one step, or of a window); in a pool of "
        f"{found['streams']:,} streams that step together; one thread, models of the sizes of the defaults. Largest "
        f"error against float64 {max(row['error'] for row in rows):.1e}; {sum(row['compared'] for row in rows):,} "
        "answers of streams and pools have the bits of whole series.",
        table(
            ["", "us a push", "99 %", "times native", "us in the pool", "bytes of a state", "origins a second"],
            [[row["case"], *pushed(row)] for row in rows],
        ),
        made(result),
    )


def pushed(row: Found) -> list[str]:
    """Times, and the bytes that the layers and the input's memory keep."""
    times = [f"{row[key]:.1f}" for key in ("us", "us_99", "ratio", "pool_us")]
    rolling = row["origins_a_second"]
    kept = f"{row['layers_bytes']:,} + {row['memory_bytes']:,}"
    return [*times, kept, "-" if rolling is None else f"{rolling:,.0f}"]


def kernels(result: Found) -> str:
    found = result["figures"]
    names = unique(name for of in found["cases"] for name in of["peers"])
    rows = [
        [shape(of), *(against(of["peers"].get(name)) for name in names[1:]), errors_of(of), part(of["share"])]
        for of in found["cases"]
    ]
    absent = f" Not installed: {', '.join(found['absent'])}." if found["absent"] else ""
    return section(
        "Kernels",
        f"A GRU on one thread, {names[0]}: CPU time of others over the native engine's in the same round, median and "
        f"quartiles of {found['rounds']} rounds; the largest error against float64, its own and the least of the "
        "others; and the share of the core's most multiply-adds that the products reach. A step is one stream's, from "
        "Python; a sequence is batch x steps; a pool is one step of all streams. The last two numbers are inputs x "
        f"units.{absent}",
        table(["", *names[1:], "error", "of the peak"], rows),
        made(result),
    )


def shape(of: Found) -> str:
    sizes = f"{of['inputs']}x{of['size']}"
    batch = {"step": "", "pool": f" {of['rows']:,},", "sequence": f" {of['rows']}x{of['steps']},"}[of["kind"]]
    return f"{of['kind']}{batch} {sizes}"


def against(row: Found | None) -> str:
    return f"{row['ratio']:.2f} ({span(row['quartiles'], 2)})" if row else "-"


def errors_of(of: Found) -> str:
    own, *others = (row["error"] for row in of["peers"].values())
    return f"{own:.0e} ({min(others):.0e})" if others else f"{own:.0e}"


def part(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def interpreter(result: Found) -> str:
    found = result["figures"]
    batches = unique(row["batch"] for row in found["rows"])
    cell = {(row["target"], row["batch"]): slower(row) for row in found["rows"]}
    targets = unique(row["target"] for row in found["rows"])
    wrong = {row["target"] for row in found["rows"] if not row["same_bits"]}
    same = {target: "NO" if target in wrong else "yes" for target in targets}
    return section(
        "A cell of your own",
        "Time of the interpreter, which runs any cell, over that of the GRU's fused kernel, "
        f"{found['rows'][0]['size']} units, one thread: median and quartiles of {found['rounds']} rounds.",
        table(
            ["target", *(f"batch {batch}" for batch in batches), "same bits"],
            [[target, *(cell[target, batch] for batch in batches), same[target]] for target in targets],
        ),
        made(result),
    )


def slower(row: Found) -> str:
    return f"{row['ratio']:.2f} ({span(row['quartiles'], 2)})"


def footprint(result: Found) -> str:
    found = result["figures"]
    base = found["cases"]["numpy"]
    names = [name for name in found["cases"] if name not in ("python", "numpy", "tidegate, nothing used")]
    rows = [
        [name, *(f"{found['cases'][name][key] - base[key]:+.{digits}f}" for key, digits in COSTS.items())]
        for name in names
    ]
    return section(
        "Footprint",
        f"A fresh process over one that only imports NumPy ({base['cpu_s']:.3f} s, {base['resident_mb']:.1f} MB), "
        f"medians of {found['runs']}; torch is not imported. The native module is a file of "
        f"{found['module_bytes'] / 1e3:.0f} kB.",
        table(["", "CPU seconds", "resident MB"], rows),
        made(result),
    )


def errors(result: Found) -> str:
    found = result["figures"]
    rows = found["rows"]
    lengths = unique(row["steps"] for row in rows)
    return section(
        "Errors",
        f"A GRU of {found['size']} units and its classifier: the worst error of outputs and states against float64, "
        "divided by its derived bound, after T steps; and how many models that are wrong in one way (a bias dropped, "
        "the reset moved, ...) exceed that bound, over all T.",
        table(
            ["target", *(f"T = {length}" for length in lengths), "wrong models caught"],
            [judged(target, lengths, rows) for target in unique(row["target"] for row in rows)],
        ),
        made(result),
    )


def judged(target: str, lengths: list[int], rows: list[Found]) -> list[str]:
    own = {row["steps"]: row for row in rows if row["target"] == target}
    caught, mutants = (sum(row[key] for row in own.values()) for key in ("caught", "mutants"))
    return [target, *(f"{own[length]['ratio']:.3f}" for length in lengths), f"{caught} of {mutants}"]


def dialects(result: Found) -> str:
    found = result["figures"]
    rows = found["rows"]
    targets, cells = unique(row["target"] for row in rows), unique(row["cell"] for row in rows)
    least = min(row["mistaken"] for row in rows if row["mistaken"] is not None)
    return section(
        "Every recurrence",
        f"Cells of {found['size']} units in every dialect (reset, update, peepholes, projection, activation, norm) "
        f"after T = {listed(unique(row['steps'] for row in rows))} steps: the worst error of outputs and states "
        "against float64, divided by its derived bound, and the largest error. The same weights in another dialect, "
        f"with two gates swapped or without a bias are at least {least:,.0f} times over the bound.",
        table(
            ["cell", "dialects", *targets],
            [
                [cell, str(len(unique(row["dialect"] for row in rows if row["cell"] == cell)))]
                + [worst([row for row in rows if (row["cell"], row["target"]) == (cell, target)]) for target in targets]
                for cell in cells
            ],
        ),
        made(result),
    )


def worst(rows: list[Found]) -> str:
    return f"{max(row['ratio'] for row in rows):.3f} ({max(row['error'] for row in rows):.0e})"


def onnx(result: Found) -> str:
    found = result["figures"]
    rows = {name: [row for of in found["models"] if of["model"] == name for row in of["rows"]] for name in
            unique(of["model"] for of in found["models"])}  # fmt: skip
    return section(
        "ONNX",
        f"The graphs in onnxruntime at batches of {listed(found['batches'])} and T = {listed(found['lengths'])} steps, "
        "of a sequence at once and of single steps: the worst error divided by its bound, and the largest error; every "
        "dialect of a cell.",
        table(["model", "sequence", "step"], [[name, *graphs(of)] for name, of in rows.items()]),
        made(result),
    )


def graphs(rows: list[Found]) -> list[str]:
    parts = [[row for row in rows if row["graph"] == graph] for graph in ("sequence", "step")]
    return [worst(part) if part else "-" for part in parts]


def modules(result: Found) -> str:
    found = result["figures"]
    rows = [
        [
            "engine of its choice" if of["way"] == "chosen" else "tape alone", of["dtype"], str(of["cases"]),
            f"{of['values']:.1e} ({of['torch_values']:.1e})", f"{of['gradients']:.1e} ({of['torch_gradients']:.1e})",
        ]
        for of in found["parity"]
    ]  # fmt: skip
    long = max(found["scan"], key=lambda of: (of["steps"], -of["rows"]))
    return section(
        "In place of torch.nn",
        "Random GRU, LSTM and RNN modules of tidegate.nn against those of torch.nn with the same state_dict: the "
        "largest error of values and of gradients against torch.nn in float64, beside torch.nn's own in brackets. "
        f"{sum(of['gradients_hold'] for of in found['dialects'])} of {len(found['dialects'])} cells and dialects pass "
        f"finite differences. Over {long['steps']:,} steps a minimal GRU's scan takes 1/{long['times_faster']:.0f} of "
        f"the loop's time, with an error of {long['error']:.0e}.",
        table(["runs", "dtype", "modules", "values", "gradients"], rows),
        made(result),
    )


def training(result: Found) -> str:
    found = result["figures"]
    rows = [
        [
            of["cell"], of["shape"], peer, f"{ratios[1]:.1f}", span([ratios[0], ratios[2]], 1),
            ", ".join(f"{error:.1e}" for error in of["errors"].values()),
        ]
        for of in found["rows"]
        for peer, ratios in of["ratios"].items()
    ]  # fmt: skip
    return section(
        "Training",
        "Forward, backward and all gradients of one layer of tidegate.nn, float32, one thread: CPU time of torch.nn's "
        f"over its own in the same round, median and quartiles of {found['rounds']} rounds; the largest error of a "
        "gradient against float64, its own and torch.nn's. Shapes are rows x steps x inputs x units.",
        table(["cell", "shape", "against", "times as fast", "quartiles", "errors"], rows),
        made(result),
    )


def brought(result: Found) -> str:
    found = result["figures"]
    return section(
        "From torch",
        f"{found['modules']} random models of torch modules: a stream's answer equals torch's whole sequence within "
        f"the bound for {found['within']}; largest error {found['largest_error']:.1e}, at most "
        f"{found['worst']['ratio']:.3f} of its bound. Back in torch {found['back_equal']} of them answer with the same "
        "bits.",
        made(result),
    )


def c(result: Found) -> str:
    found = result["figures"]
    large = found["large"]
    kinds = unique((row["compiler"], row["level"]) for row in found["summary"])
    rows = {kind: [row for row in found["summary"] if (row["compiler"], row["level"]) == kind] for kind in kinds}
    lengths = listed(unique(row["steps"] for row in found["summary"]))
    return section(
        "C",
        f"The C99 of every cell in every dialect, {found['models']} in all, after T = {lengths} steps: the worst error "
        "divided by its bound, the largest error, and how many runs have the bits of the native base target. "
        f"{found['sanitized_ok']} of {found['models']} self-tests pass under the sanitizers of addresses and undefined "
        f"behaviour. A model of {large['weights']:,} weights is written in {large['write_s']:.0f} s and compiled in "
        f"{max(v for k, v in large.items() if k in ('gcc_s', 'clang_s')):.0f} s.",
        table(
            ["compiler", "options", "error", "bits of base"],
            [
                [name, f"`{level}`", worst(of), f"{sum(r['same_bits'] for r in of)} of {sum(r['models'] for r in of)}"]
                for (name, level), of in rows.items()
            ],
        ),
        made(result),
    )


def leaks(result: Found) -> str:
    found = result["figures"]
    return section(
        "Streams apart",
        f"{found['events']:,} shuffled events over {found['streams']:,} streams of one pool, each score compared with "
        f"that of an isolated stream, bit for bit: {found['differing']:,} differ.",
        made(result),
    )


def clone(result: Found) -> str:
    found = result["figures"]
    spent = [
        f"`make {goal}` {of['seconds']:.0f} s ({of['install_seconds']:.0f} s of it installation)"
        for goal, of in found.items()
    ]
    return section(
        "From nothing",
        f"In a fresh clone, one after the other: {', '.join(spent)}; {result['cores']} cores.",
        made(result),
    )


SECTIONS: dict[str, Callable[[Found], str]] = {
    "accuracy": accuracy,
    "forecast": forecast,
    "native_step": step,
    "series_stream": pushes,
    "kernels": kernels,
    "interpreter": interpreter,
    "footprint": footprint,
    "errors": errors,
    "dialects": dialects,
    "nn_parity": modules,
    "training": training,
    "from_torch": brought,
    "c_export": c,
    "onnx_export": onnx,
    "leaks": leaks,
    "clone": clone,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
