"""Whether `verify` is sound: models that are right are within their bounds on every target, and wrong ones are not.

    python bench/sound.py [--sets trec load ...] [--epochs 1] [--random 200] [--seed 0]

sets: the default model of each set of the catalogue, fitted on its train split, with all of the defaults unless
--epochs is given; random: models of random layers, cells, dialects, directions, pools, widths and weights, recurrent
weights up to chaotic ones. Each is replayed in float32, and those that stream with bfloat16 too, on all that there is
here. over: runs that are over a bound, or whose pieces differ: must be 0. open: runs of which nothing can be told, as
no bound holds. mutants: models with one mistake each, which must be over a bound on the best native target; missed must
be 0. Those that change no bit of an answer are not counted. All of it takes about 20 minutes on one core; `--sets
ecg5000 --epochs 1 --random 20` is a part of it.
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
from tidegate.cli._table import table
from tidegate.data import catalogue
from tidegate.errors import ModelFileError
from tidegate.model import Model
from tidegate.runtime.offline import runner
from tidegate.runtime.precision import COMPUTE_BF16, WEIGHTS_BF16, arguments
from tidegate.verify import attach, verify
from tidegate.verify.mutants import wrong_variants
from tidegate.verify.native_target import run_cases, verify_engine
from tidegate.verify.replay import Replay, Result, to_bytes
from tidegate.verify.samples import sample

POOLS = ("last", "mean", "max", "attention")
GAINS = (0.3, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # of recurrent weights; at 1 R neither forgets nor grows
WIDTHS = (1, 2, 3, 5, 8, 16, 24, 32, 48, 64, 96)


def fitted(sets: list[str], epochs: int | None) -> Iterator[tuple[str, Model]]:
    """The default model of each set."""
    given = {} if epochs is None else {"epochs": epochs}
    for name in sets:
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "model.safetensors")
            fits.fitted(name, catalogue.fetch(name)["train"], out, **given)
            yield name, Model.load(out)


def random_models(count: int, seed: int) -> Iterator[tuple[str, Model]]:
    """Models of random weights with their checks."""
    for k in range(seed, seed + count):
        draw = np.random.default_rng([k, 0x50])
        cell = str(draw.choice([*cells.names(), "none"], p=[0.9 / len(cells.names())] * len(cells.names()) + [0.1]))
        dialect = dict(draw.choice(cells.dialects_of(cell))) if cell != "none" else None
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
        yield f"{k}: {cell} gain {gain:g}, {length} steps", attach(scaled(model, gain), lengths=(1, length))


def scaled(model: Model, gain: float) -> Model:
    """The model with its recurrent matrices times `gain`."""
    names = {name for layer in model.layers for role, name in layer["tensors"].items() if role.split(".")[-1] == "R"}
    tensors = {n: (v * np.float32(gain) if n in names else v) for n, v in model.tensors.items()}
    return Model(model.document, tensors)


def measured(name: str, model: Model) -> dict[str, Any]:
    """One model's figures."""
    begun, results = time.perf_counter(), list[Result](verify(model))
    took = time.perf_counter() - begun
    for precision in () if model.whole_window else (WEIGHTS_BF16, COMPUTE_BF16):
        results += verify(model, **arguments(precision))
    ran = [result for result in results if result.ran]
    ratios = [max(r.ratio or 0.0, r.step_ratio or 0.0) for r in ran if r.target != "oracle" and r.ok is not None]
    wrong = [(r.target, r.path, r.verdict) for r in results if r.ok is False]
    mutants, missed = wrong_ones(model)
    return {
        "model": name,
        "verify_seconds": round(took, 2),
        "runs": len(ran),
        "over": len(wrong),
        "wrong": wrong,
        "open": sorted({f"{r.target}, {r.path}" for r in ran if r.ok is None}),
        "by_steps": sum(r.verdict != "ok" and r.ok is True for r in ran),
        "worst_ratio": max(ratios, default=0.0),
        "mutants": mutants,
        "missed": missed,
    }


def wrong_ones(model: Model) -> tuple[int, list[str]]:
    """How many mistaken models there are, and which of them no bound tells from the right one."""
    if not any(layer["kind"] == "recurrent" for layer in model.layers):
        return 0, []
    replay, target, count, missed = Replay(model), _native.targets()[0], 0, []
    own = [to_bytes(pair) for pair in run_cases(replay, runner(model, target))]
    for what, mutant in wrong_variants(model).items():
        try:
            engine = runner(mutant, target)
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
    parser = record.arguments(__doc__)
    parser.add_argument("--sets", nargs="*", default=catalogue.names(), help="data sets (default: all)")
    parser.add_argument("--epochs", type=int, help="of each fit (default: the task's own)")
    parser.add_argument("--random", type=int, default=200, metavar="COUNT", help="random models (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the first random model (default 0)")
    args = parser.parse_args()
    rows = []
    for of in (fitted(args.sets, args.epochs), random_models(args.random, args.seed)):
        for name, model in of:
            rows.append(measured(name, model))
            print(line(rows[-1]), flush=True)
    totals = {
        "models": len(rows),
        "runs": sum(row["runs"] for row in rows),
        "over": sum(row["over"] for row in rows),
        "models_with_open_runs": sum(bool(row["open"]) for row in rows),
        "worst_ratio": max((row["worst_ratio"] for row in rows), default=0.0),
        "mutants": sum(row["mutants"] for row in rows),
        "missed": sum(len(row["missed"]) for row in rows),
    }
    record.write(args.out, "sound", record.made({**totals, "rows": rows}, "torch"))
    print(
        table(
            ["", ""], [[name, f"{value:.3f}" if isinstance(value, float) else value] for name, value in totals.items()]
        )
    )
    if totals["over"] or totals["missed"]:
        raise SystemExit("not sound: " + "; ".join(line(row) for row in rows if row["over"] or row["missed"]))


def line(row: dict[str, Any]) -> str:
    said = f"{row['model']}: {row['runs']} runs, {row['over']} over, worst {row['worst_ratio']:.2f} of its bound"
    said += f", {row['mutants'] - len(row['missed'])} of {row['mutants']} mutants caught"
    said += f", nothing told of {'; '.join(row['open'])}" if row["open"] else ""
    said += f", missed {', '.join(row['missed'])}" if row["missed"] else ""
    return f"{said} ({row['verify_seconds']:.1f} s)"


if __name__ == "__main__":
    main()
