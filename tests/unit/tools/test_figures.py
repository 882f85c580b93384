"""README.md and the pages of benchmarks hold what the files of results say, and nothing of files that are not there."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any

import pytest

MADE = {
    "command": "python bench/some.py",
    "date": "2026-01-02",
    "cpu": "A CPU",
    "cores": 2,
    "versions": {"python": "3.11.7", "tidegate": "0.1.0"},
}
TIMES = {"error": 2e-7, "us": 9.0, "ratio": 9.04, "quartiles": [8.51, 9.5]}
SHORT = {
    "case": "step I=64 H=32 float32",
    "plain": True,
    "ours": {"us": 1.516, "error": 3e-7, "share": 0.514},
    "peers": {"onnxruntime": {**TIMES, "ratio": 4.444}, "torch.nn.GRU": TIMES},
}
LONG = {
    "case": "step I=64 H=64 float32",
    "plain": True,
    "ours": {"us": 2512.0, "error": 3e-7, "share": None},
    "peers": {"torch.nn.GRU": TIMES, "tidegate gru": TIMES},
}
ACCURACY = {
    name: {
        **MADE,
        "date": "2026-02-03",
        "cpu": "Another CPU",
        "figures": {
            "published": ["accuracy, somebody: 96.09", "accuracy, measured on these files: nearest neighbour 90.87"],
            "runs": [{"accuracy": value, "cpu_seconds": 100.0, "bytes": 2_000_000} for value in (0.961, 0.965)],
        },
    }
    for name in ("trec", "sst2", "sst2 --direction both")
}


def store(bench: Path, name: str, content: Any) -> None:
    (bench / name).parent.mkdir(parents=True, exist_ok=True)
    (bench / name).write_text(json.dumps(content))


@pytest.fixture
def house(figures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of pages with a table each, and some results."""
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    tables = (
        *("summary", "speed", "accuracy", "leaks", "pairs", "threads", "tag", "forecast", "presets", "hard-text-few"),
    )
    for name, table in zip(figures.PAGES, tables, strict=True):
        (tmp_path / name).write_text(f"before\n<!-- figures: {table} -->\nold\n<!-- end of figures -->\nafter\n")
    store(tmp_path / "bench", "results/accuracy.json", ACCURACY)
    store(tmp_path / "bench", "runs/2026-01-02-a-cpu/step.json", {**MADE, "figures": {"rows": [SHORT, LONG]}})
    return tmp_path


def pages(figures: Any, root: Path) -> list[str]:
    return [(root / name).read_text("utf-8") for name in figures.PAGES]


def test_every_bench_has_a_table_and_every_table_its_place(figures: Any, root: Path) -> None:
    used = [name for page in pages(figures, root) for _, name, _ in figures.MARKED.findall(page)]
    assert sorted(used) == sorted(figures.TABLES)
    shown = {name for table in figures.TABLES.values() for name in table.results.split()}
    assert shown == {path.stem for path in (root / "bench").glob("*.py")}


def test_each_bench_keeps_runs_or_one_result(root: Path) -> None:
    runs, results = (
        {path.stem for path in (root / "bench").glob(pattern)} for pattern in ("runs/*/*.json", "results/*.json")
    )
    assert runs
    assert results
    assert not runs & results


def test_no_column_of_a_table_is_empty(figures: Any, root: Path) -> None:
    """A path that leads nowhere, as after a change of a bench, would be a column of dashes."""
    for name, table in figures.TABLES.items():
        head, _, *lines = (
            [text.strip() for text in line.strip("|").split("|")]
            for line in figures.render(table, root / "bench").splitlines()
            if line.startswith("|")
        )
        assert lines, name
        for title, column in zip(head, zip(*lines, strict=True), strict=True):
            assert set(column) - {"-", ""}, f"{name}: {title}"


def test_libraries_get_a_column_each_and_torch_is_first(figures: Any, house: Path) -> None:
    assert figures.main([]) == 0
    assert pages(figures, house)[1] == (
        "before\n<!-- figures: speed -->\n"
        "| case | time | error | peak | torch.nn.GRU | onnxruntime |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| step I=64 H=32 | 1.52 µs | 3e-07 | 51% | 9.04 | 4.44 |\n"
        "| step I=64 H=64 | 2.51 ms | 3e-07 | - | 9.04 | - |\n\n"
        "Measured on 2026-01-02 on A CPU (2 cores) by `python bench/some.py`, with python 3.11.7, tidegate 0.1.0.\n"
        "<!-- end of figures -->\nafter\n"
    )


def test_a_summary_names_few_lines_and_each_machine(figures: Any, house: Path) -> None:
    figures.main([])
    lines = pages(figures, house)[0].splitlines()
    assert lines[4:6] == [
        "| one step, 64 units | 2.51 ms | torch 9 µs |",
        "| sst2: sentiment of sentences | 96.30 % | nearest neighbour 90.87 % |",
    ]
    assert lines[7] == (
        "Measured on 2026-01-02 on A CPU (2 cores) by step; on 2026-02-03 on Another CPU (2 cores) by accuracy."
    )


def test_seeds_that_were_added_later_are_measured_elsewhere_and_both_are_named(figures: Any, house: Path) -> None:
    runs = [{"accuracy": 0.9}, {"accuracy": 0.92, "cpu_seconds": 50.0, "bytes": 2_000_000}]
    there = {**MADE, "cpu": "An older CPU"}
    entry = {**MADE, "earlier": [there], "figures": {"published": [], "runs": runs}}
    store(house / "bench", "results/accuracy.json", {"trec": entry})
    text = figures.render(figures.TABLES["accuracy"], house / "bench")
    assert "| trec | 91.00 % | 90.00, 92.00 | 50 | 2.0 MB |" in text
    assert [line[:42] for line in text.splitlines() if line.startswith("Measured")] == [
        "Measured on 2026-01-02 on An older CPU (2 ",
        "Measured on 2026-01-02 on A CPU (2 cores) ",
    ]


def test_of_runs_the_latest_counts(figures: Any, house: Path) -> None:
    for day, us in (("2025-12-31-z-cpu", 777.0), ("2026-01-03-a-cpu", 888.0)):
        row = {**SHORT, "ours": {"us": us, "error": None}}
        store(house / "bench", f"runs/{day}/step.json", {**MADE, "figures": {"rows": [row]}})
    figures.main([])
    text = pages(figures, house)[1]
    assert "| 888 µs | - |" in text
    assert "777" not in text


def test_published_figures_of_a_set_stand_there_once(figures: Any, house: Path) -> None:
    text = figures.render(figures.TABLES["accuracy-others"], house / "bench")
    assert text.count("| sst2 | accuracy, somebody: 96.09 |") == 1
    assert "both" not in text
    assert "Measured" not in text


def test_a_table_of_single_values_has_a_line_for_each(figures: Any, house: Path) -> None:
    store(house / "bench", "results/leaks.json", {**MADE, "figures": {"events": 10**6, "streams": 10, "differing": 0}})
    text = figures.render(figures.TABLES["leaks"], house / "bench")
    assert text.startswith("| | |\n| --- | --- |\n| events | 1,000,000 |\n")


def test_no_results(figures: Any, house: Path) -> None:
    assert figures.render(figures.TABLES["errors"], house / "bench") == "Not measured yet.\n"


def test_check_finds_a_page_that_is_stale(figures: Any, house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures.main(["--check"]) == 1
    assert "run make docs" in capsys.readouterr().err
    assert all("\nold\n" in page for page in pages(figures, house))
    for arguments in ([], ["--check"], [], ["--check"]):
        assert figures.main(arguments) == 0
    page = house / "docs" / "benchmarks.md"
    page.write_text(page.read_text("utf-8").replace("9.04", "9.05", 1), "utf-8")
    assert figures.main(["--check"]) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [("nothing to fill\n", "no markers"), ("<!-- figures: sped -->\n<!-- end of figures -->\n", "called 'sped'")],
)
def test_a_page_without_markers_of_tables_is_an_error(
    figures: Any, house: Path, capsys: pytest.CaptureFixture[str], text: str, found: str
) -> None:
    (house / "README.md").write_text(text)
    assert figures.main([]) == 1
    assert re.match(rf"README.md: .*{found}", capsys.readouterr().err)


def test_the_examples_of_the_tools_hold(figures: Any) -> None:
    import hard_text_tables
    import table_formats

    for module in (figures, table_formats, hard_text_tables):
        assert doctest.testmod(module).failed == 0


def test_this_repositorys_readme_is_not_stale(figures: Any) -> None:
    assert figures.main(["--check"]) == 0


def test_the_readme_is_short(root: Path) -> None:
    assert len((root / "README.md").read_bytes()) <= 7000


def test_the_readme_names_the_sets_on_which_a_linear_model_is_ahead(figures: Any, root: Path) -> None:
    text = " ".join((root / "README.md").read_text("utf-8").split())
    (said,) = re.findall(r"linear SVM on tf-idf is simpler, and ahead of us on ([\w, ]+)\.", text)
    ahead = set()
    for name, of in json.loads((root / "bench" / "results" / "accuracy.json").read_text("utf-8")).items():
        (own,) = (line for line in of["figures"]["published"] if "measured on these files" in line)
        runs = of["figures"]["runs"]
        if "linear SVM" in own and float(own.split()[-1]) > 100 * sum(run["accuracy"] for run in runs) / len(runs):
            ahead.add(name)
    assert set(re.findall(r"\w+", said)) - {"and"} == ahead
