"""README.md holds what the files of results say, and nothing of files that are not there."""

import copy
import importlib.util
import json

import pytest
from sample_figures import FIGURES, MADE, RUN

DAY = "2026-01-02-a-cpu"
TIMED = {
    "step",
    "step_cold",
    "sequence",
    "pool",
    "training",
    "threads",
    "end_to_end",
    "footprint",
    "series_stream",
    "interpreter",
}
EXPECTED = {
    "accuracy": "| reuters_r8 | 96.30 % | 96.10, 96.50 | 100 | 2.0 MB |",
    "forecast": "| load | MSE | 0.200 | 0.100 0.300 | ridge 0.377; day before 1,000.000 |",
    "step": "| step I=64 H=32 | 1.52 us | 9.04 | 4.44 | 3e-07 | 51% |",
    "step_cold": "| step I=64 H=32 cold | 2.51 ms | 9.04 | 3e-07 | - |",
    "sequence": "| sequence 1x2x3 rnn | 1.52 us | tidegate gru | 9 us | 0.91 (8.51 to 9.50) | 3e-07, 2e-07 |",
    "pool": "| pool 5x3x4 compute=bf16 | 1.52 us | 9.04 | 3e-07 | 51% |",
    "training": "| training 1x2x3x4 | 1.52 us | 9.04 | 3e-07 | 51% |",
    "threads": "| pool 5x3x4, 2 threads | 1.52 us | tidegate with 1 | 1.91 (8.51 to 9.50) |",
    "end_to_end": "| torch.nn.GRU | 97.31 % | 9 | 120.0 | 121.5 | 2.51 |",
    "series_stream": "| load | 81.0 | 130.0 | 2.6 | 36.8 | 520 + 2,064 | 42,653 |",
    "interpreter": "| base | 1.21 (1.11 to 1.31) | 1.22 (1.11 to 1.31) | NO |",
    "footprint": "| torch, first step | +0.070 | +4.5 |",
    "errors": "| base | 0.150 | 0.030 | 11 of 12 |",
    "dialects": "| gru | 2 | 0.150 (1e-08) | 0.110 (1e-08) |",
    "nn_parity": "| tape alone | float32 | 246 | 4.0e-07 (5.0e-07) | 6.0e-07 (1.3e-06) |",
    "from_torch": "within the bound for 199; largest error 9.5e-07, at most 0.073 of its bound.",
    "c_export": "| gcc | `-O0` | 0.200 (1e-08) | 42 of 44 |",
    "onnx_export": "| lstm | 0.100 (1e-07) | 0.090 (3e-07) |",
    "sound": "of 5,123 runs 0 are over a bound, the worst at 0.988 of it; 31 models have a run",
    "leaks": "1,000,000 shuffled events over 1,000 streams",
    "clone": "`make demo` 301 s (61 s of it installation)",
}


@pytest.fixture(scope="module")
def readme(root):
    spec = importlib.util.spec_from_file_location("readme_tool", root / "tools" / "readme.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root / "tools")  # as when it is started
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def house(readme, tmp_path, monkeypatch):
    """An empty repository: pages with markers, and no results."""
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    for folder in ("bench/results", f"bench/runs/{DAY}", "docs"):
        (tmp_path / folder).mkdir(parents=True)
    for name in readme.PAGES:
        (tmp_path / name).write_text(
            "before\n<!-- figures: made by tools/readme.py -->\nold\n<!-- end of figures -->\nafter\n"
        )
    return tmp_path


def pages(readme, house):
    return [(house / name).read_text() for name in readme.PAGES]


def shown(readme, house):
    """The figures of both pages."""
    return "".join(readme.figures(house / "bench", sections) for sections in readme.PAGES.values())


def result(name):
    if name == "accuracy":
        runs = [RUN, {**RUN, "seed": 1, "accuracy": 0.965}]
        return {"reuters_r8": {**MADE, "figures": {"published": ["accuracy, somebody: 96.09"], "runs": runs}}}
    if name == "forecast":
        row = {"figure": "MSE", "digits": 3, "values": [0.1, 0.3], "beside": {"ridge": 0.377, "day before": 1000.0}}
        rows = [row, {**row, "figure": "bytes of the file", "detail": True}]
        return {"load": {**MADE, "figures": {"published": ["MSE, somebody: 0.5"], "seeds": [0, 1], "rows": rows}}}
    return {**MADE, "figures": copy.deepcopy(FIGURES[name])}


def store(house, *names):
    for name in names:
        folder = house / "bench" / (f"runs/{DAY}" if name in TIMED else "results")
        (folder / f"{name}.json").write_text(json.dumps(result(name)))


def questions(readme):
    return sorted({name for sections in readme.PAGES.values() for names, _ in sections for name in names})


def test_every_section_has_its_test(readme):
    assert questions(readme) == sorted(EXPECTED)


def test_every_question_has_its_section(readme, root):
    assert questions(readme) == sorted(path.stem for path in (root / "bench").glob("*.py"))


def test_questions_of_speed_keep_runs(root):
    asked = {path.stem: path.read_text("utf-8") for path in (root / "bench").glob("*.py")}
    shared = "forward.ask("  # has the folder of a run
    assert {name for name, text in asked.items() if "timed_arguments" in text or shared in text} == TIMED


def test_of_runs_the_latest_counts(readme, house):
    store(house, "training")
    for day, us in (("2025-12-31-z-cpu", 777.0), ("2026-01-03-a-cpu", 888.0)):
        found = result("training")
        found["figures"]["rows"][0]["ours"]["us"] = us
        (house / "bench" / "runs" / day).mkdir()
        (house / "bench" / "runs" / day / "training.json").write_text(json.dumps(found))
    text = shown(readme, house)
    assert "| 888 us |" in text
    assert "777" not in text
    store(house, "step")  # which the latest run has not
    text = shown(readme, house)
    assert "| step I=64 H=32 | 1.52 us | 9.04 | - | 4.44 | 3e-07 | 51% |" in text
    assert "| training 1x2x3x4 | 888 us | - | 9.04 | - | 3e-07 | 51% |" in text
    assert " of A CPU, " in text
    assert "Not installed: jax." in text


@pytest.mark.parametrize("name", EXPECTED)
def test_a_section_stands_alone_with_what_made_it(readme, house, name):
    store(house, name)
    assert readme.main([]) == 0
    text = "\n".join(pages(readme, house))
    assert [other for other, line in EXPECTED.items() if line in text.replace("\n", " ")] == [name]
    assert "`python bench/some.py`; A CPU, python 3.11.7, tidegate 0.1.0, 2026-01-02\n" in text
    for page in pages(readme, house):
        assert page.startswith("before\n")
        assert page.endswith("\nafter\n")
        assert "old" not in page.split("\n")


def test_published_figures_stand_under_the_set(readme, house):
    store(house, "accuracy")
    assert "\n- reuters_r8: accuracy, somebody: 96.09\n" in shown(readme, house)


def test_two_entries_of_a_set_give_its_published_figures_once(readme, house):
    found = result("accuracy")
    found["reuters_r8 --direction both"] = found["reuters_r8"]
    (house / "bench" / "results" / "accuracy.json").write_text(json.dumps(found))
    text = shown(readme, house)
    assert text.count("somebody: 96.09") == 1
    assert "| reuters_r8 --direction both | 96.30 % |" in text


def test_what_is_a_detail_is_left_out(readme, house):
    store(house, "forecast")
    text = shown(readme, house)
    assert "\n- load: MSE, somebody: 0.5\n" in text
    assert "bytes of the file" not in text


def test_no_results(readme, house):
    assert readme.main([]) == 0
    assert all("No results are stored yet." in page for page in pages(readme, house))


def test_check_tells_a_stale_readme(readme, house, capsys):
    store(house, *EXPECTED)
    assert readme.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert all("\nold\n" in page for page in pages(readme, house))
    readme.main([])
    assert readme.main(["--check"]) == 0
    assert readme.main([]) == 0
    assert readme.main(["--check"]) == 0


@pytest.mark.parametrize("name", ["README.md", "docs/speed.md"])
def test_a_page_that_alone_is_stale_or_without_markers_is_an_error(readme, house, capsys, name):
    store(house, *EXPECTED)
    readme.main([])
    text = (house / name).read_text()
    (house / name).write_text(text.replace("A CPU", "Another CPU", 1))
    assert readme.main(["--check"]) == 1
    (house / name).write_text("nothing to fill\n")
    capsys.readouterr()
    assert readme.main([]) == 1
    assert capsys.readouterr().err.startswith(f"{house.joinpath(name).name}: the markers")


def test_this_repositorys_readme_is_not_stale(readme):
    assert readme.main(["--check"]) == 0
