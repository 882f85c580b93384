"""Put the figures of bench/results/ into README.md, between its markers; nobody types them.

python tools/readme.py            write
python tools/readme.py --check    exit 1 if README.md is not what this would write
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS, README = ROOT / "bench" / "results", ROOT / "README.md"
MARKED = re.compile(r"(<!-- figures: made by tools/readme\.py -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def main() -> int:
    before = README.read_text("utf-8")
    after = MARKED.sub(lambda found: found[1] + figures() + found[2], before)
    if "--check" in sys.argv:
        return int(before != after)
    README.write_text(after, "utf-8")
    return 0


def figures() -> str:
    """The tables in Markdown, as far as there are results."""
    file = RESULTS / "accuracy.json"
    return accuracy(json.loads(file.read_text("utf-8"))) if file.exists() else "No results are stored yet.\n"


def accuracy(results: dict[str, Any]) -> str:
    head = "| set | accuracy on the official test | seeds | seconds a fit | file |\n" + "| --- " * 5 + "|\n"
    rows = "".join(f"| {' | '.join(row(name, found))} |\n" for name, found in sorted(results.items()))
    machine = next(iter(results.values()))["machine"]
    where = f"{machine['cpu']}, torch {machine['torch']}, one thread, defaults and no option"
    return f"{head}{rows}\n{where}; made by `bench/accuracy.py`.\n"


def row(name: str, found: dict[str, Any]) -> list[str]:
    runs = found["runs"]
    values = [run["accuracy"] * 100 for run in runs]
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    seconds = statistics.mean(run["wall_seconds"] for run in runs)
    return [
        name,
        f"{statistics.mean(values):.2f} %{spread}",
        str(len(runs)),
        f"{seconds:.0f}",
        f"{runs[0]['bytes'] / 1e6:.1f} MB",
    ]


if __name__ == "__main__":
    sys.exit(main())
