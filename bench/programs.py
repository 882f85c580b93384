"""Compare layers run by their operations with their kernels, and windowed attention with torch, in interleaved rounds.

    python bench/programs.py [--width 128] [--rounds 31] [--only NAME ...]

Every layer is run with its kernel and without (`fused=False`), with the same bits: one step from Python, and a run of
50 steps of 32 rows. `attend` has no kernel: one step of it is compared with torch's scaled dot-product attention over
a cache of keys and values. One thread. Ratios of CPU time: median and quartiles.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from common import record
from interpreter import make_call, time_calls

from tidegate import _native, cells
from tidegate.document import state_schema
from tidegate.layers import Builder, Layer
from tidegate.runtime.engine import BoundLayer, EngineOptions, build_engine, resolve_target
from tidegate.tape import NumpyOps

STEPS: Final = 50
IDS: Final = 1000
WINDOW, HEADS = 128, 4
LAYERS: Final[dict[str, dict[str, Any]]] = {
    "embed": {"rows": IDS, "size": None},
    "dense": {"size": None, "activation": "tanh"},
    "conv": {"size": None, "width": 3, "centred": False, "activation": "none"},
    "norm": {"eps": 1e-5},
    "scale": {},
    "softmax": {},
    "pool": {"over": ["last", "mean", "max", "attention"]},
}


def make_layer(name: str, width: int) -> BoundLayer:
    """Make a layer of this kind, or a recurrence of this cell, with random weights."""
    builder = Builder(None if name == "embed" else width)
    if name in cells.names():
        builder.recurrence(cells.load(name), width)
    else:
        builder.add(name, **{key: width if v is None else v for key, v in LAYERS[name].items()})
    return draw(builder.layers[0])


def draw(layer: Layer) -> BoundLayer:
    random = np.random.default_rng(0)
    tensors = {role: layer.init(random, role, {}) for role in layer.shapes()}
    for role, values in tensors.items():
        if layer.use(role) == "vector":
            tensors[role] = random.uniform(-0.1, 0.1, values.shape).astype(np.float32)
    return BoundLayer(layer, tensors)


class Facts:
    """What `make_call` needs of a model."""

    def __init__(self, layer: Layer) -> None:
        self.state_bytes = state_schema([layer])["bytes"]


def make_ids_call(engine: _native.Engine, batch: int) -> tuple[Callable[[], Any], Callable[[], bytes]]:
    """Make a call of an engine that takes ids, and a function that returns the bits of its results."""
    x = np.random.default_rng(0).integers(0, IDS, (STEPS, batch)).astype(np.int32)
    state, out = np.zeros((batch, 8), np.uint8), np.zeros((batch, engine.outputs), np.float32)
    if batch == 1:
        return lambda: engine.step(x[0], state[0], out[0]), out.tobytes
    lengths = np.full(batch, STEPS, np.int32)
    return lambda: engine.run(x, lengths, state, np.empty_like(state), out, False, 1), out.tobytes


def measure_layer(name: str, width: int, batch: int, rounds: int) -> dict[str, Any]:
    """Compare a layer's kernel with its operations."""
    bound, target = make_layer(name, width), resolve_target(None)
    engines = [build_engine([bound], EngineOptions(target, fused)) for fused in (True, False)]
    assert [list(engine.fused_layers) for engine in engines] == [[0], []]
    calls = [make_ids_call(e, batch) if name == "embed" else make_call(e, Facts(bound.layer), batch) for e in engines]
    for call, _ in calls:
        call()
    same, count = calls[0][1]() == calls[1][1](), 3000 if batch == 1 else 30
    times = [[time_calls(call, count) for call, _ in calls] for _ in range(rounds)]
    low, middle, high = statistics.quantiles([b / a for a, b in times], n=4)
    return {
        "layer": name,
        "target": target,
        "width": width,
        "batch": batch,
        "same_bits": same,
        "kernel_us": statistics.median(a for a, _ in times) * 1e6,
        "ratio": middle,
        "quartiles": [low, high],
    }


def make_torch_step(bound: BoundLayer, x: Any) -> Callable[[], Any]:
    """Make one step of windowed attention in torch, with a cache of the last keys and values."""
    import torch

    torch.set_num_threads(1)
    t = {role: torch.from_numpy(values) for role, values in bound.tensors.items()}
    D, linear, attention = x.size, torch.nn.functional.linear, torch.nn.functional.scaled_dot_product_attention
    position = t["position"].T.reshape(1, HEADS, 1, WINDOW).contiguous()
    cache = {name: torch.zeros(1, HEADS, WINDOW, D // HEADS) for name in ("k", "v")}
    row = torch.from_numpy(x)[None]

    @torch.inference_mode()
    def step() -> Any:
        q, k, v = linear(row, t["weight"], t["bias"]).view(1, 3, HEADS, 1, D // HEADS).unbind(1)
        cache["k"] = torch.cat([cache["k"][:, :, 1:], k], 2)
        cache["v"] = torch.cat([cache["v"][:, :, 1:], v], 2)
        y = attention(q, cache["k"], cache["v"], attn_mask=position)
        return linear(y.reshape(1, D), t["out_weight"], t["out_bias"])

    return step


def measure_attention(width: int, rounds: int) -> dict[str, Any]:
    """Compare a step of windowed attention with torch's, after a window of equal steps; errors are against float64."""
    builder = Builder(width)
    bound = draw(builder.add("attend", heads=HEADS, window=WINDOW))
    layer, target = bound.layer, resolve_target(None)
    engine = build_engine([bound], EngineOptions(target))
    x = np.random.default_rng(1).standard_normal(width).astype(np.float32)
    state, out = np.zeros(state_schema([layer])["bytes"], np.uint8), np.zeros(width, np.float32)
    ours, theirs = (lambda: engine.step(x, state, out)), make_torch_step(bound, x)
    s, exact = layer.initial_state(1), np.zeros((1, width))
    weights = {role: values.astype(np.float64) for role, values in bound.tensors.items()}
    for k in range(WINDOW):
        ours()
        answer = theirs()
        exact, s = layer.step(NumpyOps, weights, s, x[None].astype(np.float64), np.full((1, 1), k + 1))
    errors = [float(abs(y - exact).max()) for y in (out, answer.numpy())]
    assert max(errors) < 1e-4, errors
    times = [(time_calls(ours, 300), time_calls(theirs, 300)) for _ in range(rounds)]
    low, middle, high = statistics.quantiles([b / a for a, b in times], n=4)
    return {
        "case": f"attend, width {width}, {HEADS} heads, window of {WINDOW}",
        "target": target,
        "us": statistics.median(a for a, _ in times) * 1e6,
        "torch_us": statistics.median(b for _, b in times) * 1e6,
        "ratio": middle,
        "quartiles": [low, high],
        "error": errors[0],
        "torch_error": errors[1],
    }


def main() -> None:
    parser = record.make_speed_parser(__doc__)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--only", nargs="*", metavar="NAME", help="layers and cells, such as norm gru attend")
    options = parser.parse_args()
    names = options.only or [*LAYERS, *cells.names(), "attend"]
    rows = [
        measure_layer(name, options.width, batch, options.rounds)
        for name in names
        if name != "attend"
        for batch in (1, 32)
    ]
    attention = [measure_attention(options.width, options.rounds)] if "attend" in names else []
    for r in rows:
        bits, (low, high) = "same bits" if r["same_bits"] else "BITS DIFFER", r["quartiles"]
        print(
            f"{r['layer']:9} {r['target']}, width {r['width']}, batch {r['batch']:2}: {bits}, kernel "
            f"{r['kernel_us']:8.2f} us, operations {r['ratio']:.2f} times that ({low:.2f} to {high:.2f})"
        )
    for r in attention:
        low, high = r["quartiles"]
        print(
            f"{r['case']}, {r['target']}: {r['us']:.1f} us a step; torch {r['torch_us']:.1f} us, "
            f"{r['ratio']:.2f} times that ({low:.2f} to {high:.2f}); errors {r['error']:.1e} and {r['torch_error']:.1e}"
        )
    figures = {"rounds": options.rounds, "rows": rows, "attention": attention}
    record.write(options.out, "programs", record.with_provenance(figures, "torch"))


if __name__ == "__main__":
    main()
