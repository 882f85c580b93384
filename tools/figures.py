"""Write the tables of README.md and of pages in docs/ (PAGES) from bench/results/ and bench/runs/.

python tools/figures.py            write the tables
python tools/figures.py --check    exit 1 if a page does not hold what this would write

A table stands between `<!-- figures: NAME -->` and `<!-- end of figures -->`; NAME is one of those in `tables.py` and
`hard_text_tables.py`. The text around it is written by hand. A question of speed is shown as its latest run measured
it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import hard_text_tables
import tables
from table_formats import FORMATS, REDUCES, Record
from tables import Table

ROOT = Path(__file__).resolve().parents[1]
NAMED = "benchmarks", "conversations", "speed", "comparisons", "tag", "encode", "forecast", "training", "hard-text"
PAGES = ("README.md", *(f"docs/{name}.md" for name in NAMED))
TABLES = {**tables.TABLES, **hard_text_tables.TABLES}
MARKED = re.compile(r"(<!-- figures: (\S+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Write or check every page; return the exit code."""
    return max([update(ROOT / name, check="--check" in arguments) for name in PAGES])


def update(page: Path, *, check: bool) -> int:
    """Write the tables of a page, or check them; return the exit code."""
    before = page.read_text("utf-8")
    names = [name for _, name, _ in MARKED.findall(before)]
    if not names or (unknown := set(names) - set(TABLES)):
        found = f"a table called {min(unknown)!r}, which tools/ has not" if names else "no markers of tables"
        print(f"{page.name}: {found}", file=sys.stderr)
        return 1
    after = MARKED.sub(lambda match: match[1] + render(TABLES[match[2]], ROOT / "bench") + match[3], before)
    if before == after:
        return 0
    if check:
        print(f"{page.name} does not hold the figures of bench/; run make docs", file=sys.stderr)
        return 1
    page.write_text(after, "utf-8")
    return 0


def render(table: Table, bench: Path) -> str:
    """Return a table in Markdown and, below it, what was measured where and when."""
    lines: list[list[str]] = []
    measured: list[tuple[str, Record]] = []
    for part in (table, *table.more):
        results = [
            (name, json.loads(path.read_text("utf-8")))
            for name in part.results.split()
            if (path := latest(bench, name))
        ]
        rows = [row for _, result in results for row in records(result, part.rows) if part.where(row)]
        lines += layout(part, rows)[1 if lines else 0 :] if rows else []
        entries = [(name, one) for name, of in results for one in ([of] if "figures" in of else of.values())]
        measured += [(name, about) for name, one in entries for about in (*one.get("earlier", []), one)]
    if not lines:
        return "Not measured yet.\n"
    below = ["", *sources(measured, table.source == "day")] if table.source else []
    return "\n".join([*markdown(lines), *below, ""])


def latest(bench: Path, name: str) -> Path | None:
    """Return the file of a question: that of its latest run, where it keeps runs; their folders begin with the day."""
    runs, result = sorted((bench / "runs").glob(f"*/{name}.json")), bench / "results" / f"{name}.json"
    return runs[-1] if runs else result if result.exists() else None


def records(result: Record, path: str) -> list[Record]:
    """Return a record for each thing at a path such as `rows/peers`, with the values of all that encloses it.

    A thing in an object has its key as `name`, a plain value is `value`, and where a file has a result for each data
    set, `set` is its name.
    """
    whole = "figures" in result
    found = [result["figures"]] if whole else [{**of["figures"], "set": name} for name, of in result.items()]
    for key in path.split("/") if path else []:
        found = [
            {**outer, "name": name, **(inner if isinstance(inner, dict) else {"value": inner})}
            for outer in found
            for name, inner in (outer[key].items() if isinstance(outer[key], dict) else enumerate(outer[key]))
        ]
    return found


def layout(table: Table, rows: list[Record]) -> list[list[str]]:
    """Return the texts of a table, its head first."""
    columns = [column.partition(" = ")[::2] for column in table.columns.split(" | ") if column]
    if not table.by:
        return [["", ""], *([title, cell(column, rows)] for title, column in columns)]
    by = [column.partition(" = ")[::2] for column in table.by.split(" | ")]
    groups: dict[tuple[str, ...], list[Record]] = {}
    for row in rows:
        groups.setdefault(tuple(str(value(row, path)) for path, _ in by), []).append(row)
    if table.few:
        groups = {(name,): groups[name,] for name in table.names if (name,) in groups}
    spread = list(dict.fromkeys(value(row, table.across) for row in rows)) if table.across else []
    spread.sort(key=lambda of: not str(of).startswith("torch.nn"))
    lines = [[title for _, title in by] + [title for title, _ in columns] + [f"{table.prefix}{of}" for of in spread]]
    for key, group in groups.items():
        across = [[row for row in group if value(row, table.across) == of] for of in spread]
        names = [renamed(part, table.names) for part in key]
        lines.append(names + [cell(column, group) for _, column in columns] + [cell(table.fill, of) for of in across])
    return lines


def renamed(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        name = name.replace(old, new)
    return name


def cell(column: str, rows: list[Record]) -> str:
    """Return the text of `PATH FORMAT REDUCE` over records; "-" where none has a value."""
    path, form, reduce, *_ = [*column.split(), *("", "str", "first")[len(column.split()) :]]
    values = [found for row in rows if (found := value(row, path)) is not None]
    if not values:
        return "-"
    one = REDUCES[reduce](values)
    return FORMATS[form](one) if form in FORMATS else format(one, form.removeprefix("str"))


def value(record: Record, path: str) -> Any:
    """Return the value at a path such as `ours/us`, None where there is none; the record itself for `.`.

    >>> value({"ours": {"us": 3.5}}, "ours/us"), value({"ours": {}}, "ours/us")
    (3.5, None)
    """
    found: Any = record
    for key in path.split("/") if path != "." else []:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def markdown(lines: list[list[str]]) -> list[str]:
    lines = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return ["|" + "".join(f" {text} |" if text else " |" for text in line) for line in lines]


def sources(measured: list[tuple[str, Record]], brief: bool) -> list[str]:
    """Return a line for each day and machine, with the commands and the versions they ran with, or the files only."""
    places: dict[str, list[str]] = {}
    versions: dict[str, dict[str, str]] = {}
    for name, of in measured:
        place = f"{of['date']} on {of['cpu']} ({of['cores']} cores)"
        places.setdefault(place, []).append(name if brief else f"`{of['command']}`")
        versions.setdefault(place, {}).update(of["versions"])
    lines = [f"{place} by {', '.join(dict.fromkeys(names))}" for place, names in places.items()]
    if brief:
        return [f"Measured on {'; on '.join(lines)}."]
    used = (", ".join(f"{name} {number}" for name, number in of.items()) for of in versions.values())
    return [f"Measured on {line}, with {numbers}." for line, numbers in zip(lines, used, strict=True)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
