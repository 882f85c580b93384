"""What every bench does besides measuring: its --out, and a file that says how the figures in it came about."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tidegate.atomic import replace

RESULTS = Path(__file__).resolve().parents[1] / "results"


def arguments(doc: str | None, **more: Any) -> argparse.ArgumentParser:
    """A parser that knows --out; its help is the first line of `doc`."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0], allow_abbrev=False, **more)
    parser.add_argument("--out", metavar="DIR", type=Path, default=RESULTS, help="folder of the file of figures")
    return parser


def made(figures: Any, *packages: str) -> dict[str, Any]:
    """The figures with the command, the versions of tidegate, NumPy and `packages`, the CPU and the day."""
    return {
        "command": command(sys.argv),
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "versions": versions(("tidegate", "numpy", *packages)),
        "figures": figures,
    }


def write(folder: Path, name: str, content: dict[str, Any]) -> None:
    """`folder`/`name`.json; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    with replace(folder / f"{name}.json") as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def read(folder: Path, name: str) -> dict[str, Any]:
    """What `write` has left there; empty if nothing."""
    path = folder / f"{name}.json"
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def command(argv: list[str]) -> str:
    """What to type in the repository's root for the same figures; --out is left out, it changes none of them."""
    kept, rest = [], iter(argv[1:])
    for word in rest:
        if word == "--out":
            next(rest, None)
        elif not word.startswith("--out="):
            kept.append(word)
    target = os.environ.get("TIDEGATE_TARGET")
    front = [f"TIDEGATE_TARGET={target}"] if target else []
    return shlex.join([*front, "python", f"bench/{Path(argv[0]).name}", *kept])


def versions(packages: Iterable[str]) -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def processor() -> str:
    """The CPU's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
