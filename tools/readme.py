"""Put the figures of bench/results/ and bench/runs/ into README.md and docs/speed.md; nobody types them.

python tools/readme.py            write
python tools/readme.py --check    exit 1 if they are not what this would write

They stand between markers. Of a question of speed the latest run counts. A section whose file is missing is left out.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from outcomes import accuracy, forecast
from sections import Found, listed, made, section, span, table, unique
from speed import fits, footprint, kernels, pairs, threads

ROOT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"(<!-- figures: made by tools/readme\.py -->\n).*?(<!-- end of figures -->)", re.DOTALL)
Sections = list[tuple[tuple[str, ...], Callable[..., str]]]


def main(arguments: Sequence[str]) -> int:
    return max(page(ROOT / name, sections, "--check" in arguments) for name, sections in PAGES.items())


def page(path: Path, sections: Sections, check: bool) -> int:
    """Writes one page, or checks it; the exit code."""
    before, own = path.read_text("utf-8"), figures(ROOT / "bench", sections)
    after, count = MARKED.subn(lambda found: found[1] + own + found[2], before)
    if count != 1:
        print(f"{path.name}: the markers of the figures stand there {count} times, not once", file=sys.stderr)
        return 1
    if check:
        if before != after:
            print(f"{path.name} does not hold the figures of bench/; run make docs", file=sys.stderr)
        return int(before != after)
    path.write_text(after, "utf-8")
    return 0


def figures(bench: Path, sections: Sections) -> str:
    """The sections in Markdown, as far as there are results."""
    parts = []
    for names, written in sections:
        found = {name: json.loads(file.read_text("utf-8")) for name in names if (file := latest(bench, name))}
        if found and len(names) > 1:
            parts.append(written(found))
        elif found:
            parts.append(written(*found.values()))
    return "\n".join(parts) if parts else "No results are stored yet.\n"


def latest(bench: Path, name: str) -> Path | None:
    """A question's file: of the latest run, where runs are kept, whose folders begin with the day."""
    runs = sorted((bench / "runs").glob(f"*/{name}.json"))
    kept = bench / "results" / f"{name}.json"
    return runs[-1] if runs else kept if kept.exists() else None


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


def sound(result: Found) -> str:
    found = result["figures"]
    return section(
        "Verify itself",
        f"The default model of every public set and random models up to chaotic ones, {found['models']} in all, on "
        f"everything that `tidegate verify` runs: of {found['runs']:,} runs {found['over']} are over a bound, the "
        f"worst at {found['worst_ratio']:.3f} of it; {found['models_with_open_runs']} models have a run of which "
        f"nothing can be told, as no bound holds. Of {found['mutants']:,} models that are wrong in one way "
        f"{found['missed']} are missed.",
        made(result),
    )


def dialects(result: Found) -> str:
    found = result["figures"]
    rows = [row for row in found["rows"] if row["ok"] is not None]
    unbounded = len(found["rows"]) - len(rows)
    targets, cells = unique(row["target"] for row in rows), unique(row["cell"] for row in rows)
    least = min(row["mistaken"] for row in rows if row["mistaken"] is not None)
    return section(
        "Every recurrence",
        f"Cells of {found['size']} units in every dialect (reset, update, peepholes, projection, activation, norm) "
        f"after T = {listed(unique(row['steps'] for row in rows))} steps: the worst error of outputs and states "
        "against float64, divided by its derived bound, and the largest error. The same weights in another dialect, "
        f"with two gates swapped or without a bias are at least {least:,.0f} times over the bound."
        + f" Of {unbounded} of {len(found['rows'])} runs no bound holds."
        * bool(unbounded),
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
    rows = {
        name: [row for of in found["models"] if of["model"] == name for row in of["rows"]]
        for name in unique(of["model"] for of in found["models"])
    }
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
            "engine of its choice" if of["way"] == "chosen" else "tape alone",
            of["dtype"],
            str(of["cases"]),
            f"{of['values']:.1e} ({of['torch_values']:.1e})",
            f"{of['gradients']:.1e} ({of['torch_gradients']:.1e})",
        ]
        for of in found["parity"]
    ]
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


SPEED = ("step", "step_cold", "sequence", "pool", "training")
PAGES: dict[str, Sections] = {
    "README.md": [
        (SPEED, kernels),
        (("end_to_end",), fits),
        (("footprint",), footprint),
        (("accuracy",), accuracy),
        (("forecast",), forecast),
        (("errors",), errors),
        (("sound",), sound),
        (("dialects",), dialects),
        (("nn_parity",), modules),
        (("from_torch",), brought),
        (("c_export",), c),
        (("onnx_export",), onnx),
        (("leaks",), leaks),
        (("clone",), clone),
    ],
    "docs/speed.md": [
        (SPEED, pairs),
        (("threads",), threads),
        (("series_stream",), pushes),
        (("interpreter",), interpreter),
    ],
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
