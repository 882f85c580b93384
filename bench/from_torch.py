"""Convert random torch modules to models, and compare a stream's outputs with torch's whole sequence and the bound.

    python bench/from_torch.py [--count 200] [--seed 0] [--json]

Each model may start with an Embedding. One or two recurrent modules follow (GRU, LSTM, RNN of one to three layers, with
or without bias and projection, tanh or relu; some of tidegate.nn in other dialects), then possibly a LayerNorm, a
Linear with or without activation, and a Softmax. error: the largest difference of the output after the last step,
between single steps of a stream and one call of the modules. ratio: the largest ratio of a difference to the sum of
both bounds.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import torch
from common import record

import tidegate
from tidegate import nn
from tidegate.verify.error_propagation import bound_sequence, run_reference
from tidegate.verify.replay import target_errors
from tidegate.verify.torch_target import TORCH_ERRORS

Random = np.random.Generator


def random_recurrence(random: Random, width: int) -> torch.nn.Module:
    """Make a recurrent module of random kind and options."""
    kind = str(random.choice(["GRU", "LSTM", "RNN", "own GRU", "own LSTM", "own RNN", "MinGRU"]))
    H, layers, bias = int(random.integers(1, 33)), int(random.integers(1, 4)), bool(random.random() < 0.7)
    options: dict[str, Any] = {"bias": bias}
    if kind.endswith("RNN"):
        options["nonlinearity"] = str(random.choice(["tanh", "relu"]))
    if kind.endswith("LSTM") and H > 1 and random.random() < 0.4:
        options["proj_size"] = int(random.integers(1, H))
    if kind in ("GRU", "LSTM", "RNN"):
        return getattr(torch.nn, kind)(width, H, layers, **options)
    options |= {"norm": bool(random.random() < 0.5), "residual": layers > 1 and bool(random.random() < 0.5)}
    if kind == "own GRU":
        options |= {"reset": str(random.choice(["after", "before"])), "update": str(random.choice(["keep", "replace"]))}
    if kind == "own LSTM":
        options["peepholes"] = bool(random.random() < 0.5)
    return getattr(nn, kind.removeprefix("own "))(width, H, layers, **options)


def random_modules(random: Random) -> list[torch.nn.Module]:
    """Make a chain of modules with random weights."""
    width = int(random.integers(1, 17))
    chain: list[torch.nn.Module] = (
        [torch.nn.Embedding(int(random.integers(2, 40)), width)] if random.random() < 0.3 else []
    )
    for _ in range(int(random.integers(1, 3))):
        chain.append(random_recurrence(random, width))
        width = int(getattr(chain[-1], "proj_size", 0) or chain[-1].hidden_size)
    if random.random() < 0.3:
        chain.append(torch.nn.LayerNorm(width, bias=bool(random.random() < 0.7)))
    if random.random() < 0.6:
        outputs = int(random.integers(1, 9))
        chain.append(torch.nn.Linear(width, outputs, bias=bool(random.random() < 0.7)))
        chain += [torch.nn.Tanh()] if random.random() < 0.3 else []
        chain += [torch.nn.Softmax(-1)] if random.random() < 0.5 else []
    return chain


def measure(seed: int) -> dict[str, Any]:
    """Measure one random model: its modules, its steps, and the difference between a stream and torch."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    chain, steps = random_modules(random), int(random.integers(1, 41))
    predictor = tidegate.from_torch(*chain)
    if isinstance(chain[0], torch.nn.Embedding):
        x: Any = random.integers(0, chain[0].num_embeddings, steps)
    else:
        x = random.standard_normal((steps, chain[0].input_size)).astype(np.float32)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections")
        inputs = torch.from_numpy(x)[:, None]
        whole = nn.Sequential(*chain).eval()(inputs)[-1, 0].numpy()
        converted = tidegate.to_torch(predictor)(inputs)
    stream = predictor.stream()
    for step in x:
        scores = stream.push(step)
    run = run_reference(predictor.model, x)
    functions = (target_errors(predictor.target), TORCH_ERRORS)
    bound = sum(bound_sequence(predictor.model, run, errors).output for errors in functions)
    error = abs(scores.values.astype(np.float64) - whole)
    back = (converted[0] if isinstance(converted, tuple) else converted)[-1, 0].detach().numpy()
    return {
        "modules": [str(m).replace("\n", " ") for m in chain],
        "steps": steps,
        "error": float(error.max()),
        "bound": float(bound[error.argmax()]),
        "ratio": float(np.where(error == 0, 0, error / np.where(bound == 0, np.inf, bound)).max()),
        "back_equal": bool(np.array_equal(back, whole)),
    }


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(options.seed + i) for i in range(options.count)]
    worst = max(rows, key=lambda row: row["ratio"])
    figures = {
        "modules": len(rows),
        "within": sum(row["ratio"] <= 1 for row in rows),
        "back_equal": sum(row["back_equal"] for row in rows),
        "largest_error": max(row["error"] for row in rows),
        "worst": worst,
    }
    record.write(options.out, "from_torch", record.with_provenance(figures, "torch"))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{figures['within']} of {figures['modules']} within the bound; largest error {figures['largest_error']:.1e}")
    print(f"worst over its bound: {worst['ratio']:.3f} (error {worst['error']:.1e}, bound {worst['bound']:.1e})")
    print(f"back in torch: {figures['back_equal']} of {figures['modules']} answer with the same bits")


if __name__ == "__main__":
    main()
