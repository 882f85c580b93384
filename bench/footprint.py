"""What importing tidegate and a first prediction cost over `import numpy` alone, without torch.

    python bench/footprint.py [--runs 7] [--json]

Each case runs in fresh processes, in turn; medians of CPU seconds and of resident memory at the end.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile

from common import record

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
    "numpy, tidegate": "import numpy, tidegate; tidegate.load",
    "first prediction": "import tidegate; tidegate.load({path!r}).predict(['where is my card?'])",
    "first stream": "import tidegate; tidegate.load({path!r}).stream().push('where is my card?')",
}


def measured(code: str) -> tuple[float, float]:
    """CPU seconds and megabytes of a fresh process."""
    # byte code is cached, as in any installed package: without it every process would compile the sources anew
    cached = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run([sys.executable, "-c", code + END], capture_output=True, text=True, check=True, env=cached)
    cpu, memory, torch = run.stdout.split()
    if torch == "True":
        raise SystemExit("torch was imported; the runtime must not need it")
    return float(cpu), float(memory)


def module_bytes() -> int:
    from tidegate import _native

    return os.path.getsize(_native.__file__)


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from tidegate.verify.samples import sample

    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        sample(size=64, over=("last", "mean", "max"), outputs=77, check=True).save(path)
        for _ in range(options.runs + 1):
            for name, code in CASES.items():
                found[name].append(measured(code.format(path=path)))
    rows = {n: tuple(map(statistics.median, zip(*v[1:], strict=True))) for n, v in found.items()}
    cases = {n: {"cpu_s": c, "resident_mb": m} for n, (c, m) in rows.items()}
    figures = {"runs": options.runs, "cases": cases, "module_bytes": module_bytes()}
    record.write(options.out, "footprint", record.made(figures))
    if options.json:
        print(json.dumps(figures))
    else:
        report(rows)


def report(rows: dict[str, tuple[float, ...]]) -> None:
    base_cpu, base_memory = rows["numpy"]
    print(f"{'':24} {'CPU s':>7} {'MB':>7} {'over numpy':>16}")
    for name, (cpu, memory) in rows.items():
        print(f"{name:24} {cpu:7.3f} {memory:7.1f} {cpu - base_cpu:+9.3f} {memory - base_memory:+6.1f}")
    print(f"native module: {module_bytes() / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
