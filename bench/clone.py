"""Time a fresh start: clone this repository, run `make demo` and `make test`; wall seconds of each.

    python bench/clone.py

The last commit is cloned. The cache of data sets is empty, so that the demo fetches its set; pip's own cache is left as
it is. Installations are timed separately, and are also part of the totals.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import record

ROOT = Path(__file__).resolve().parents[1]
STAMPS = {"demo": ".venv/train.stamp", "test": ".venv/dev.stamp"}  # what `make` installs before each
OURS = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH", "VIRTUAL_ENV", "TIDEGATE_TARGET", "TIDEGATE_FUSED")
VERSIONS = """
import json
from importlib.metadata import version
print(json.dumps({name: version(name) for name in ("tidegate", "numpy", "torch")}))
"""


def main() -> None:
    options = record.make_parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "tidegate")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        figures = {goal: measure(goal, clone) for goal in STAMPS}
        content = record.with_provenance(figures)
        versions = subprocess.run([".venv/bin/python", "-c", VERSIONS], cwd=clone, check=True, capture_output=True)
        content["versions"].update(json.loads(versions.stdout))
    record.write(options.out, "clone", content)
    for goal, spent in figures.items():
        print(f"make {goal}: {spent['seconds']:.0f} s, of these {spent['install_seconds']:.0f} s to install")


def measure(goal: str, clone: Path) -> dict[str, float]:
    """Time the installation, and then all of a goal."""
    install = time_make(STAMPS[goal], clone)
    return {"seconds": install + time_make(goal, clone), "install_seconds": install}


def time_make(goal: str, clone: Path) -> float:
    """Time `make goal` in seconds, as run by somebody who has just cloned the repository."""
    env = {name: value for name, value in os.environ.items() if name not in OURS}
    env["TIDEGATE_CACHE"] = str(clone.parent / "cache")
    begun = time.perf_counter()
    done = subprocess.run(["make", f"PYTHON={sys.executable}", goal], cwd=clone, env=env)
    if done.returncode:
        raise SystemExit(f"make {goal} failed in a fresh clone (exit {done.returncode}), see above; nothing written")
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
