"""Check that `verify` is sound: right models are within their bounds on every target, and wrong ones are not.

    python bench/sound.py [--sets trec load ...] [--epochs 1] [--random 200] [--seed 0]

sets: the default model of each set of the catalogue, fitted on its training split with all defaults unless --epochs is
given. random: models of random layers, cells, dialects, directions, pools, widths and weights, up to recurrent weights
that make them chaotic. Each model is replayed in float32 on all targets of this machine, and models that stream also in
bfloat16. over: runs that exceed a bound, or whose chunks differ; must be 0. open: runs that cannot be checked, because
no bound holds. mutants: models with one mistake each, which must exceed a bound on the best native target; mutants with
the same bits as the right model are not counted. missed: mutants that do not exceed it; must be 0. All of it takes
about 20 minutes on one core; `--sets ecg5000 --epochs 1 --random 20` is a part of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import fits, record

from tidegate import _native, cells
from tidegate.data import catalogue
from tidegate.errors import ModelFileError
from tidegate.model import Model
from tidegate.runtime.offline import make_runner
from tidegate.runtime.precision import COMPUTE_BF16, WEIGHTS_BF16, to_arguments
from tidegate.text_tables import format_table
from tidegate.verify import attach, verify
from tidegate.verify.mutants import recurrences, wrong_variants
from tidegate.verify.native_target import run_cases, verify_engine
from tidegate.verify.replay import Replay, Result, to_bytes
from tidegate.verify.samples import sample

POOLS = ("last", "mean", "max", "attention")
GAINS = (0.3, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # of recurrent weights; at 1 R neither forgets nor grows
WIDTHS = (1, 2, 3, 5, 8, 16, 24, 32, 48, 64, 96)


def fit_models(sets: list[str], epochs: int | None) -> Iterator[tuple[str, Model]]:
    """Fit and yield the default model of each set."""
    options = {} if epochs is None else {"epochs": epochs}
    for name in sets:
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "model.safetensors")
            fits.fit_set(name, catalogue.fetch(name)["train"], out, **options)
            yield name, Model.load(out)


def random_models(count: int, seed: int) -> Iterator[tuple[str, Model]]:
    """Yield models of random weights with their checks."""
    for k in range(seed, seed + count):
        draw = np.random.default_rng([k, 0x50])
        cell = str(draw.choice([*cells.names(), "none"], p=[0.9 / len(cells.names())] * len(cells.names()) + [0.1]))
        dialect = dict(draw.choice(cells.list_dialects(cell))) if cell != "none" else None
        gain, both = float(draw.choice(GAINS)), bool(draw.random() < 0.2)
        pools = tuple(str(p) for p in POOLS if draw.random() < 0.4)
        model = sample(
            seed=k,
            cell=None if cell == "none" else cell,
            dialect=dialect,
            size=int(draw.choice(WIDTHS)),
            features=None if draw.random() < 0.3 else int(draw.integers(1, 17)),
            scale=bool(draw.random() < 0.5),
            conv=(width := int(draw.choice([0, 0, 1, 2, 5, 9]))),
            centred=bool(draw.random() < 0.15) and width > 1,
            direction="both" if both else "causal",
            depth=int(draw.choice([1, 1, 1, 2, 3])),
            over=pools,
            norm=bool(draw.random() < 0.3),
            dense=draw.choice([None, None, "relu", "tanh", "sigmoid"]),
            outputs=int(draw.integers(1, 9)),
            softmax=bool(draw.random() < 0.7),
        )
        length = int(draw.choice([2, 15, 37, 37, 37, 80]))
        yield f"{k}: {cell} gain {gain:g}, {length} steps", attach(scale_recurrent(model, gain), lengths=(1, length))


def scale_recurrent(model: Model, gain: float) -> Model:
    """Return the model with its recurrent matrices multiplied by `gain`."""
    names = {name for layer in model.layers for role, name in layer.tensors.items() if role.split(".")[-1] == "R"}
    tensors = {n: (v * np.float32(gain) if n in names else v) for n, v in model.tensors.items()}
    return Model(model.document, tensors)


def measure(name: str, model: Model) -> dict[str, Any]:
    """Verify one model and its mutants, and return the figures."""
    begun, results = time.perf_counter(), list[Result](verify(model))
    elapsed = time.perf_counter() - begun
    for precision in () if model.whole_window else (WEIGHTS_BF16, COMPUTE_BF16):
        results += verify(model, **to_arguments(precision))
    ran = [result for result in results if result.ran]
    ratios = [max(r.ratio or 0.0, r.step_ratio or 0.0) for r in ran if r.target != "oracle" and r.ok is not None]
    wrong = [(r.target, r.path, r.verdict) for r in results if r.ok is False]
    mutants, missed = count_missed(model)
    return {
        "model": name,
        "verify_seconds": round(elapsed, 2),
        "runs": len(ran),
        "over": len(wrong),
        "wrong": wrong,
        "open": sorted({f"{r.target}, {r.path}" for r in ran if r.ok is None}),
        "by_steps": sum(r.verdict != "ok" and r.ok is True for r in ran),
        "worst_ratio": max(ratios, default=0.0),
        "mutants": mutants,
        "missed": missed,
    }


def count_missed(model: Model) -> tuple[int, list[str]]:
    """Count the mutants, and list those that no bound tells from the right model."""
    if not recurrences(model):
        return 0, []
    replay, target, count, missed = Replay(model), _native.targets()[0], 0, []
    own = [to_bytes(pair) for pair in run_cases(replay, make_runner(model, target))]
    for what, mutant in wrong_variants(model).items():
        try:
            engine = make_runner(mutant, target)
        except ModelFileError:
            continue
        whole = run_cases(replay, engine)
        if [to_bytes(pair) for pair in whole] == own:
            continue
        count += 1
        if verify_engine(replay, engine, target, "", whole).ok is not False:
            missed.append(what)
    return count, missed


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("--sets", nargs="*", default=catalogue.list_names(), help="data sets (default: all)")
    parser.add_argument("--epochs", type=int, help="of each fit (default: the task's own)")
    parser.add_argument("--random", type=int, default=200, metavar="COUNT", help="random models (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the first random model (default 0)")
    args = parser.parse_args()
    rows = []
    for of in (fit_models(args.sets, args.epochs), random_models(args.random, args.seed)):
        for name, model in of:
            rows.append(measure(name, model))
            print(format_line(rows[-1]), flush=True)
    totals = {
        "models": len(rows),
        "runs": sum(row["runs"] for row in rows),
        "over": sum(row["over"] for row in rows),
        "models_with_open_runs": sum(bool(row["open"]) for row in rows),
        "worst_ratio": max((row["worst_ratio"] for row in rows), default=0.0),
        "mutants": sum(row["mutants"] for row in rows),
        "missed": sum(len(row["missed"]) for row in rows),
    }
    record.write(args.out, "sound", record.with_provenance({**totals, "rows": rows}, "torch"))
    print(
        format_table(
            ["", ""], [[name, f"{value:.3f}" if isinstance(value, float) else value] for name, value in totals.items()]
        )
    )
    if totals["over"] or totals["missed"]:
        raise SystemExit("not sound: " + "; ".join(format_line(row) for row in rows if row["over"] or row["missed"]))


def format_line(row: dict[str, Any]) -> str:
    text = f"{row['model']}: {row['runs']} runs, {row['over']} over, worst {row['worst_ratio']:.2f} of its bound"
    text += f", {row['mutants'] - len(row['missed'])} of {row['mutants']} mutants caught"
    text += f", not checkable: {'; '.join(row['open'])}" if row["open"] else ""
    text += f", missed {', '.join(row['missed'])}" if row["missed"] else ""
    return f"{text} ({row['verify_seconds']:.1f} s)"


if __name__ == "__main__":
    main()
