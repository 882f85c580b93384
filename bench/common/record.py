"""Flags and files of every benchmark: --out, and a JSON file of figures with their provenance."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tidegate.atomic import replace

BENCH = Path(__file__).resolve().parents[1]
RESULTS, RUNS = BENCH / "results", BENCH / "runs"
TIMES = re.compile("wall_seconds$|cpu_seconds$|us_")  # the keys of times in the figures of a run


def make_parser(doc: str | None, out: Path = RESULTS) -> argparse.ArgumentParser:
    """Make a parser with the flag --out; its description is the first line of `doc`."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", metavar="DIR", type=Path, default=out, help="folder for the file of figures")
    return parser


def make_speed_parser(doc: str | None) -> argparse.ArgumentParser:
    """Make the parser of a speed benchmark, whose figures belong to a date and a CPU."""
    return make_parser(doc, RUNS / run_name())


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """Add the flags --seeds and --add."""
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="one fit each (default 0 1 2)")
    parser.add_argument("--add", action="store_true", help="keep the runs that the file has, and make those it has not")


def with_earlier(
    entry: dict[str, Any], earlier: dict[str, Any], order: Callable[[dict[str, Any]], Any]
) -> dict[str, Any]:
    """Add the runs of an earlier entry of a file to a new one. order: what a run is sorted by.

    Runs of another CPU are kept without their times, as such times cannot be compared; `earlier` of the entry says
    where the runs that were there come from.
    """
    if not earlier:
        return entry
    runs, about = (
        earlier["figures"]["runs"],
        {key: earlier[key] for key in earlier if key not in ("figures", "earlier")},
    )
    if earlier["cpu"] != entry["cpu"]:
        runs = [{key: value for key, value in run.items() if not TIMES.match(key)} for run in runs]
    every = sorted(runs + entry["figures"]["runs"], key=order)
    before = [*earlier.get("earlier", []), about]
    return {**entry, "earlier": before, "figures": {**entry["figures"], "runs": every}}


def run_name() -> str:
    """Return the name of a run's folder: the date and the CPU in lower case."""
    plain = re.sub(r"\((R|TM|C)\)", "", processor(), flags=re.IGNORECASE)
    return f"{today()}-{'-'.join(re.findall('[a-z0-9]+', plain.lower()))}"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def with_provenance(figures: Any, *packages: str) -> dict[str, Any]:
    """Return the figures with the command, the versions of tidegate, NumPy and `packages`, the CPU and the date."""
    return {
        "command": command(sys.argv),
        "date": today(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "versions": versions(("tidegate", "numpy", *packages)),
        "figures": figures,
    }


def write(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write `folder`/`name`.json, and create the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with replace(folder / f"{name}.json") as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def read(folder: Path, name: str) -> dict[str, Any]:
    """Read what `write` has written; empty if there is nothing."""
    path = folder / f"{name}.json"
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def command(argv: list[str]) -> str:
    """Return the command for the same figures, to be run in the repository's root; without --out."""
    words, rest = [], iter(argv[1:])
    for word in rest:
        if word == "--out":
            next(rest, None)
        elif not word.startswith("--out="):
            words.append(word)
    front = [f"{name}={value}" for name in ("TIDEGATE_TARGET", "TIDEGATE_FUSED") if (value := os.environ.get(name))]
    return shlex.join([*front, "python", f"bench/{Path(argv[0]).name}", *words])


def versions(packages: Iterable[str]) -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def processor() -> str:
    """Return the CPU's model name, and on Linux its family and model, as a virtual machine may hide the name."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8").partition("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    info = dict(re.findall(r"^(.+?)\s*: (.*)$", text, re.MULTILINE))
    numbers = [f"{key} {info[of]}" for key, of in (("family", "cpu family"), ("model", "model")) if of in info]
    return ", ".join([info["model name"], *numbers]) if "model name" in info else platform.machine()
