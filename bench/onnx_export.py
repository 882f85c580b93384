"""Check the ONNX graphs of every cell, dialect and stack in onnxruntime against the float64 reference.

    python bench/onnx_export.py [--size 8] [--batches 1 2 33] [--lengths 1 2 500] [--json]

ratio: the largest ratio of an error of outputs or states to its own bound, for the sequence graph (rows of unequal
lengths) and for the step graph, which is fed its own states. The rows of a batch repeat three sequences of T, T and
2 T / 3 steps.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from common import record

from tidegate import cells
from tidegate.formats.onnx.standard import find_standard_node
from tidegate.verify import onnx_target as target
from tidegate.verify.error_propagation import bound_sequence, flatten_state, run_reference
from tidegate.verify.samples import sample

SEQUENCES = 3
ALL_POOLS = ("last", "mean", "max", "attention")
STACKS: dict[str, dict[str, Any]] = {
    "text, every pool": {"over": ALL_POOLS, "norm": True, "dense": "tanh"},
    "two residual layers": {"features": 4, "depth": 2, "over": ("max", "attention")},
    "conv, every pool": {"features": 4, "conv": 3, "over": ALL_POOLS},
    "conv centred, every pool": {"features": 4, "conv": 4, "centred": True, "over": ALL_POOLS},
    "bidirectional GRU": {"features": 4, "direction": "both", "over": ALL_POOLS},
    "bidirectional minGRU": {"features": 4, "direction": "both", "cell": "mingru", "over": ALL_POOLS},
}


class ExactRuns:
    """Sequences of T steps for a model: inputs, and exact outputs and states at the end of each, with their bounds."""

    def __init__(self, model: Any, T: int) -> None:
        random, entry = np.random.default_rng(T), model.document["inputs"]["x"]
        self.model, self.T, shape = model, T, (T, SEQUENCES)
        self.x = (
            random.standard_normal((*shape, entry["features"])).astype(np.float32)
            if entry["kind"] == "array"
            else random.integers(0, entry["size"], shape, dtype=np.int32)
        )
        self.lengths = np.array([T, T, max(1, 2 * T // 3)], np.int32)
        same = target.rewrite_grus(model)
        runs = [run_reference(same, self.x[:n, k]) for k, n in enumerate(self.lengths)]
        limits = [bound_sequence(same, run, target.activation_errors(model)) for run in runs]
        self.names = [] if model.whole_window else list(runs[0].last)
        self.exact = [np.concatenate([run.outputs[-1], flatten_state(run.last)]) for run in runs]
        self.limits = [np.concatenate([bound.output, bound.state]) for bound in limits]

    def ratio(self, row: int, output: Any, state: dict[str, Any]) -> tuple[float, float]:
        """Return the largest ratio of error to bound, and the largest error, of a row's last output and state."""
        k = row % SEQUENCES
        error = abs(np.concatenate([output, flatten_state({n: state[n] for n in self.names})]) - self.exact[k])
        return float(np.divide(error, self.limits[k], where=error > 0, out=np.zeros_like(error)).max()), float(
            error.max()
        )

    def sequence(self, session: Any, B: int) -> tuple[float, float]:
        rows = np.arange(B) % SEQUENCES
        outputs, state = session.run(self.x[:, rows], session.initial_state(B), self.lengths[rows])
        return worst(self.ratio(b, outputs["output"][b], {n: v[b] for n, v in state.items()}) for b in range(B))

    def step(self, session: Any, B: int) -> tuple[float, float]:
        """Run every row through all steps; compare each one after its own length."""
        rows, state, ratios = np.arange(B) % SEQUENCES, session.initial_state(B), []
        for t in range(self.T):
            outputs, state = session.run(self.x[t, rows], state)
            for b in np.flatnonzero(self.lengths[rows] == t + 1):
                ratios.append(self.ratio(b, outputs["output"][b], {n: v[b] for n, v in state.items()}))
        return worst(ratios)


def worst(ratios: Any) -> tuple[float, float]:
    ratio, error = zip(*ratios, strict=True)
    return max(ratio), max(error)


def make_cases(size: int) -> Any:
    """Yield (name, dialect, model)."""
    for cell in cells.names():
        for dialect in cells.list_dialects(cell):
            choices = ", ".join(f"{k} {v}" for k, v in dialect.items() if k != "bias")
            yield cell, choices, sample(1, 4, size, cell, dialect, over=(), outputs=3, softmax=False)
    for name, options in STACKS.items():
        yield name, "", sample(1, size=size, outputs=3, **options)


def measure(name: str, dialect: str, model: Any, batches: list[int], lengths: list[int]) -> dict[str, Any]:
    nodes = [form.op if (form := find_standard_node(tape)) else "Scan" for tape in model.tapes.values()]
    sessions = {
        mode: target.OnnxSession(model, mode)
        for mode in (("sequence",) if model.whole_window else ("sequence", "step"))
    }
    rows = []
    for T in lengths:
        truth = ExactRuns(model, T)
        for mode, session in sessions.items():
            for B in batches:
                ratio, error = getattr(truth, mode)(session, B)
                rows.append({"graph": mode, "batch": B, "steps": T, "ratio": ratio, "error": error})
    most = {mode: max(r["ratio"] for r in rows if r["graph"] == mode) for mode in sessions}
    return {"model": name, "dialect": dialect, "node": ", ".join(nodes), "ratio": most, "rows": rows}


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 33])
    parser.add_argument("--lengths", type=int, nargs="+", default=[1, 2, 500])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    models = [measure(*case, options.batches, options.lengths) for case in make_cases(options.size)]
    over = [f"{f['model']} {f['dialect']}" for f in models if max(f["ratio"].values()) > 1]
    figures = {
        "size": options.size,
        "batches": options.batches,
        "lengths": options.lengths,
        "over": over,
        "models": models,
    }
    record.write(options.out, "onnx_export", record.with_provenance(figures, "onnxruntime"))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'model':26} {'dialect':46} {'node':5} {'sequence':>9} {'step':>9}   error over bound")
    for f in models:
        ratios = [f"{f['ratio'][mode]:9.3f}" if mode in f["ratio"] else f"{'-':>9}" for mode in ("sequence", "step")]
        print(f"{f['model']:26} {f['dialect']:46} {f['node']:5} {' '.join(ratios)}")
    print(f"{len(models) - len(over)} of {len(models)} within their bounds")


if __name__ == "__main__":
    main()
