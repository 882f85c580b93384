"""What every bench does besides measuring: its --out, and a file that says how the figures in it came about."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tidegate.atomic import replace

BENCH = Path(__file__).resolve().parents[1]
RESULTS, RUNS = BENCH / "results", BENCH / "runs"


def make_parser(doc: str | None, out: Path = RESULTS) -> argparse.ArgumentParser:
    """A parser that knows --out; its help is the first line of `doc`."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", metavar="DIR", type=Path, default=out, help="folder of the file of figures")
    return parser


def make_speed_parser(doc: str | None) -> argparse.ArgumentParser:
    """The same of a question of speed, whose figures belong to a day and a CPU."""
    return make_parser(doc, RUNS / run_name())


def run_name() -> str:
    """The day and the CPU in small letters: what a run's folder is called."""
    plain = re.sub(r"\((R|TM|C)\)", "", processor(), flags=re.IGNORECASE)
    return f"{today()}-{'-'.join(re.findall('[a-z0-9]+', plain.lower()))}"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def with_provenance(figures: Any, *packages: str) -> dict[str, Any]:
    """The figures with the command, the versions of tidegate, NumPy and `packages`, the CPU and the day."""
    return {
        "command": command(sys.argv),
        "date": today(),
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
    """The CPU's model name, and where Linux tells them its family and model: a virtual machine may hide the name."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8").partition("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    said = dict(re.findall(r"^(.+?)\s*: (.*)$", text, re.MULTILINE))
    numbers = [f"{key} {said[of]}" for key, of in (("family", "cpu family"), ("model", "model")) if of in said]
    return ", ".join([said["model name"], *numbers]) if "model name" in said else platform.machine()
