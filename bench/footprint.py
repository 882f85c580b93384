"""Measure CPU time and memory of importing tidegate and of a first output, compared with other libraries with a GRU.

    python bench/footprint.py [--runs 7] [--peers torch onnxruntime]

Each case runs in fresh processes, one after the other; figures are medians of CPU seconds and of resident memory at the
end. A first step: import the library, load a GRU of 64 inputs and 64 units, and run one step. A first message: classify
one text.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import forward, ours, peers, record
from common.cases import parse
from common.gru_peers import Weights

END = """
import resource, sys
own = resource.getrusage(resource.RUSAGE_SELF)
pages = int(open("/proc/self/statm").read().split()[1]) if sys.platform == "linux" else 0
print(own.ru_utime + own.ru_stime, pages * resource.getpagesize() / 1e6, "torch" in sys.modules)
"""
CASES = {
    "python": "",
    "numpy": "import numpy",
    "tidegate, nothing used": "import tidegate",
    "tidegate, imported": "import numpy, tidegate; tidegate.load",
    "tidegate, first step": "import tidegate; tidegate.load('gru.safetensors').stream().push([0.5] * 64)",
    "tidegate, first message": "import tidegate; tidegate.load('text.safetensors').predict(['where is my card?'])",
    "tidegate, first stream": "import tidegate; tidegate.load('text.safetensors').stream().push('where is my card?')",
}
PEERS = {
    "torch": """
import torch
gru = torch.nn.GRU(64, 64)
gru.load_state_dict(torch.load('gru.pt'))
with torch.inference_mode():
    gru(torch.full((1, 1, 64), 0.5))
""",
    "onnxruntime": """
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession('gru.onnx', providers=['CPUExecutionProvider'])
session.run(None, {'x': np.full((1, 1, 64), 0.5, np.float32), 'h': np.zeros((1, 1, 64), np.float32)})
""",
    "openvino": """
import numpy as np, openvino
model = openvino.Core().compile_model('gru.onnx', 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
model({'x': np.full((1, 1, 64), 0.5, np.float32), 'h': np.zeros((1, 1, 64), np.float32)})
""",
    "jax": """
import numpy as np, jax
from jax import numpy as jnp
W, R, b, c = (jnp.asarray(value) for value in np.load('gru.npz').values())
def step(h, x):
    (xr, xz, xn), (hr, hz, hn) = jnp.split(x @ W.T + b, 3), jnp.split(h @ R.T + c, 3)
    r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
    n = jnp.tanh(xn + r * hn)
    return n + z * (h - n)
jax.jit(step)(jnp.zeros(64), jnp.full(64, 0.5)).block_until_ready()
""",
    "ai-edge-litert": """
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path='gru.tflite', num_threads=1)
model.allocate_tensors()
for place, value in zip(model.get_input_details(), (0.5, 0.0)):
    model.set_tensor(place['index'], np.full((1, 64), value, np.float32))
model.invoke()
""",
}


def measure(code: str, folder: str, name: str) -> tuple[float, float]:
    """Run code in a fresh process, and return its CPU seconds and megabytes."""
    # byte code is cached, as in any installed package: otherwise every process would compile the sources again
    cached = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", code + END], capture_output=True, text=True, check=True, env=cached, cwd=folder
    )
    cpu, memory, torch = run.stdout.splitlines()[-1].split()
    if torch == "True" and name.startswith("tidegate"):
        raise SystemExit("torch was imported; the runtime must not need it")
    return float(cpu), float(memory)


def module_bytes() -> int:
    from tidegate import _native

    return os.path.getsize(_native.__file__)


def write_files(folder: Path, here: list[str]) -> None:
    """Write the files that the cases read: the same GRU for every library."""
    from tidegate.verify import attach
    from tidegate.verify.samples import sample

    sample(size=64, over=("last", "mean", "max"), outputs=77, check=True).save(folder / "text.safetensors")
    gru = ours.make_model(parse("step", "64x64"))
    attach(gru).save(folder / "gru.safetensors")
    weights = Weights(*(gru.tensors[f"layers.0.{role}"] for role in "WRbc"))
    if "torch" in here:
        import torch

        import tidegate

        torch.save(tidegate.to_torch(gru).state_dict(), folder / "gru.pt")
    if {"onnxruntime", "openvino"} & {*here}:
        from common.gru_peers import make_graph

        (folder / "gru.onnx").write_bytes(make_graph(weights))
    if "jax" in here:
        import numpy as np

        np.savez(folder / "gru.npz", **weights._asdict())
    if "ai-edge-litert" in here:
        from common import gru_litert

        (folder / "gru.tflite").write_bytes(gru_litert.make_graph(weights, 1))


def main() -> None:
    parser = record.make_speed_parser(__doc__)
    peers.add_flag(parser)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    here = peers.find_installed(options.peers)
    cases = {**CASES, **{f"{name}, first step": PEERS[name] for name in here}}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), here)
        for _ in range(options.runs + 1):
            for name, code in cases.items():
                times[name].append(measure(code, folder, name))
    rows = {n: tuple(map(statistics.median, zip(*v[1:], strict=True))) for n, v in times.items()}
    by_case = {n: {"cpu_s": c, "resident_mb": m} for n, (c, m) in rows.items()}
    figures = {
        "runs": options.runs,
        "absent": forward.absent(options.peers, here),
        "cases": by_case,
        "module_bytes": module_bytes(),
    }
    record.write(options.out, "footprint", record.with_provenance(figures, *here))
    report(rows)


def report(rows: dict[str, tuple[float, ...]]) -> None:
    base_cpu, base_memory = rows["numpy"]
    print(f"{'':28} {'CPU s':>7} {'MB':>7} {'over numpy':>16}")
    for name, (cpu, memory) in rows.items():
        print(f"{name:28} {cpu:7.3f} {memory:7.1f} {cpu - base_cpu:+9.3f} {memory - base_memory:+6.1f}")
    print(f"native module: {module_bytes() / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
