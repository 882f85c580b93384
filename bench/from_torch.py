"""Random torch modules brought into models: a stream's answers against torch's whole sequence, beside the bound.

    python bench/from_torch.py [--count 200] [--seed 0] [--json]

Each module: perhaps an Embedding, one or two recurrences (GRU, LSTM, RNN of one to three layers with or without bias,
projection, tanh or relu; some of tidegate.nn in other dialects), perhaps a LayerNorm, a Linear with or without
activation, a Softmax. error: the largest difference of an answer after the last step, single steps of a stream against
one call of the modules. ratio: the worst difference over the sum of what both may stray from the reference.
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


def recurrence(random: Random, width: int) -> torch.nn.Module:
    """A recurrent module of random kind and options."""
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


def modules(random: Random) -> list[torch.nn.Module]:
    """Modules that go one after the other, with random weights."""
    width = int(random.integers(1, 17))
    made: list[torch.nn.Module] = (
        [torch.nn.Embedding(int(random.integers(2, 40)), width)] if random.random() < 0.3 else []
    )
    for _ in range(int(random.integers(1, 3))):
        made.append(recurrence(random, width))
        width = int(getattr(made[-1], "proj_size", 0) or made[-1].hidden_size)
    if random.random() < 0.3:
        made.append(torch.nn.LayerNorm(width, bias=bool(random.random() < 0.7)))
    if random.random() < 0.6:
        outputs = int(random.integers(1, 9))
        made.append(torch.nn.Linear(width, outputs, bias=bool(random.random() < 0.7)))
        made += [torch.nn.Tanh()] if random.random() < 0.3 else []
        made += [torch.nn.Softmax(-1)] if random.random() < 0.5 else []
    return made


def measured(seed: int) -> dict[str, Any]:
    """One random model: its modules, the steps, and how far a stream is from torch."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    made, steps = modules(random), int(random.integers(1, 41))
    predictor = tidegate.from_torch(*made)
    if isinstance(made[0], torch.nn.Embedding):
        x: Any = random.integers(0, made[0].num_embeddings, steps)
    else:
        x = random.standard_normal((steps, made[0].input_size)).astype(np.float32)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections")
        given = torch.from_numpy(x)[:, None]
        whole = nn.Sequential(*made).eval()(given)[-1, 0].numpy()
        again = tidegate.to_torch(predictor)(given)
    stream = predictor.stream()
    for step in x:
        scores = stream.push(step)
    run = run_reference(predictor.model, x)
    functions = (target_errors(predictor.target), TORCH_ERRORS)
    bound = sum(bound_sequence(predictor.model, run, errors).output for errors in functions)
    error = abs(scores.values.astype(np.float64) - whole)
    back = (again[0] if isinstance(again, tuple) else again)[-1, 0].detach().numpy()
    return {
        "modules": [str(m).replace("\n", " ") for m in made],
        "steps": steps,
        "error": float(error.max()),
        "bound": float(bound[error.argmax()]),
        "ratio": float(np.where(error == 0, 0, error / np.where(bound == 0, np.inf, bound)).max()),
        "back_equal": bool(np.array_equal(back, whole)),
    }


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measured(options.seed + i) for i in range(options.count)]
    worst = max(rows, key=lambda row: row["ratio"])
    found = {
        "modules": len(rows),
        "within": sum(row["ratio"] <= 1 for row in rows),
        "back_equal": sum(row["back_equal"] for row in rows),
        "largest_error": max(row["error"] for row in rows),
        "worst": worst,
    }
    record.write(options.out, "from_torch", record.made(found, "torch"))
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['within']} of {found['modules']} within the bound; largest error {found['largest_error']:.1e}")
    print(f"worst over its bound: {worst['ratio']:.3f} (error {worst['error']:.1e}, bound {worst['bound']:.1e})")
    print(f"back in torch: {found['back_equal']} of {found['modules']} answer with the same bits")


if __name__ == "__main__":
    main()
