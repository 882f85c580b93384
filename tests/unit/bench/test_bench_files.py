"""Each benchmark writes its figures with what made them, and `make bench` runs those that do not take long."""

import importlib
import json
import shutil
import subprocess
import sys

import pytest

QUICK = ["--peers", "torch", "onnxruntime", "--rounds", "2", "--seconds", "0"]
SMALL = {
    "c_export": ["--cells", "mingru", "--lengths", "1", "2", "--rows", "100"],
    "dialects": ["--cells", "mingru", "--size", "4", "--lengths", "1", "7"],
    "errors": ["--size", "4", "--lengths", "1", "7"],
    "footprint": ["--runs", "1", "--peers", "torch", "onnxruntime"],
    "from_torch": ["--count", "3"],
    "interpreter": ["--size", "4", "--rounds", "2"],
    "leaks": ["--events", "200", "--streams", "60"],
    "nn_parity": ["--cases", "8", "--steps", "20"],
    "onnx_export": ["--size", "3", "--batches", "1", "2", "--lengths", "1", "2"],
    "pool": ["--cases", "5x8x4", "gru,reset=before:5x8x4", "gru,compute=bf16:5x8x4", *QUICK],
    "sequence": ["--cases", "2x3x8x4", "gru,norm=layer,weights=bf16:2x3x8x4", *QUICK],
    "programs": ["--width", "8", "--rounds", "2", "--only", "embed", "pool", "gru", "attend"],
    "push": ["--rounds", "1"],
    "sound": ["--sets", "--random", "1"],
    "series_stream": ["waves", "--pushes", "20", "--streams", "3"],
    "step": ["--cases", "8x4", "lstm:8x4", "rnn:8x4", "mingru:8x4", *QUICK],
    "step_cold": ["--cases", "8x4", "--peers", "torch", "onnxruntime", "--wakes", "3", "--megabytes", "1"],
    "threads": ["--cases", "sequence:4x3x8x4", "pool:5x8x4", "training:4x3x8x4", "--rounds", "2", "--seconds", "0"],
    "training": [
        "--cases",
        "2x5x3x4",
        "gru,reset=before,norm=layer:2x5x3x4",
        "lstm,peepholes=yes:2x5x3x4",
        "rnn,activation=relu:2x5x3x4",
        "mingru:2x5x3x4",
        "--peers",
        "torch",
        "--rounds",
        "2",
        "--seconds",
        "0",
    ],
    "without_kernels": [
        *("--cases", "step:8x4", "sequence:lstm,compute=bf16:2x3x8x4", "pool:5x8x4", "--rounds", "2", "--seconds", "0")
    ],
}
LONG = {
    *("accuracy", "clone", "context", "conversations", "end_to_end", "forecast", "forecast_ridge", "hard_text"),
    *("presets", "tag"),
    "vectors",
}
BOTH = ["torch", "onnxruntime"]
PEERS = {
    **dict.fromkeys(["footprint", "pool", "sequence", "step", "step_cold"], BOTH),
    "dialects": ["torch"],
    "from_torch": ["torch"],
    "nn_parity": ["torch"],
    "onnx_export": ["onnxruntime"],
    "programs": ["torch"],
    "series_stream": ["torch"],
    "sound": ["torch"],
    "threads": ["torch"],
    "training": ["torch"],
}
ABOUT = ["command", "date", "cpu", "cores", "versions", "figures"]


@pytest.fixture(autouse=True)
def no_target_asked_for(monkeypatch):
    for name in ("TIDEGATE_TARGET", "TIDEGATE_FUSED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bench(root, monkeypatch):
    """Import a benchmark by its name, as if it had been started with these arguments."""
    monkeypatch.syspath_prepend(root / "bench")

    def import_bench(name, *arguments):
        monkeypatch.setattr(sys, "argv", [str(root / "bench" / f"{name}.py"), *map(str, arguments)])
        return importlib.import_module(name)

    yield import_bench
    for name in [name for name in sys.modules if name in (*SMALL, *LONG) or name.split(".")[0] == "common"]:
        sys.modules.pop(name)


def test_every_bench_is_tried(root):
    assert {path.stem for path in (root / "bench").glob("*.py")} == LONG | set(SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_bench_writes_what_it_found_and_how(python, root, tmp_path, name):
    out = tmp_path / "new" / "folder"
    done = python(str(root / "bench" / f"{name}.py"), *SMALL[name], "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert [path.name for path in out.iterdir()] == [f"{name}.json"]
    text = (out / f"{name}.json").read_text("utf-8")
    found = json.loads(text)
    assert list(found) == ABOUT
    assert found["command"] == " ".join(["python", f"bench/{name}.py", *SMALL[name]])
    assert list(found["versions"]) == ["python", "tidegate", "numpy", *PEERS.get(name, [])]
    assert found["cpu"]
    assert str(tmp_path) not in text
    assert str(root) not in text


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/a/b/bench/errors.py"], "python bench/errors.py"),
        (["bench/errors.py", "--out", "/a b", "--size", "4"], "python bench/errors.py --size 4"),
        (["bench/errors.py", "--size", "4", "--out=/a"], "python bench/errors.py --size 4"),
    ],
)
def test_the_command_has_no_folder(bench, monkeypatch, argv, command):
    bench("errors")
    record = importlib.import_module("common.record")
    assert record.command(argv) == command
    monkeypatch.setenv("TIDEGATE_TARGET", "base")
    monkeypatch.setenv("TIDEGATE_FUSED", "0")
    assert record.command(argv) == f"TIDEGATE_TARGET=base TIDEGATE_FUSED=0 {command}"


def test_sets_keep_their_figures_when_another_is_run(bench, tmp_path, monkeypatch, capsys):
    run = {"seed": 0, "accuracy": 0.5, "wall_seconds": 1.0, "bytes": 1}
    for name in ("trec", "clinc150"):
        accuracy = bench("accuracy", name, "--seeds", 0, "--out", tmp_path)
        monkeypatch.setattr(accuracy, "measure_seeds", lambda name, seeds, direction: [run for _ in seeds])
        accuracy.main()
    found = json.loads((tmp_path / "accuracy.json").read_text("utf-8"))
    assert list(found) == ["clinc150", "trec"]
    assert list(found["trec"]) == ABOUT
    assert found["trec"]["command"] == "python bench/accuracy.py trec --seeds 0"
    assert found["trec"]["figures"]["runs"] == [run]
    assert found["trec"]["figures"]["published"]
    assert "0.5000" in capsys.readouterr().out


def test_taggers_of_sets_keep_their_figures(bench, tmp_path, monkeypatch, capsys):
    figures = ("accuracy", "span_f1", "sentence_accuracy", "us_a_word", "state_bytes")
    run = dict.fromkeys(figures, 0.5)
    for name in ("snips", "atis"):
        tag = bench("tag", name, "--seeds", 0, 1, "--out", tmp_path)
        monkeypatch.setattr(tag, "measure_seeds", lambda name, seeds, options: [run for _ in seeds])
        tag.main()
    found = json.loads((tmp_path / "tag.json").read_text("utf-8"))
    assert list(found) == ["atis", "snips"]
    assert list(found["atis"]) == ABOUT
    assert found["atis"]["figures"]["runs"] == [run, run]
    assert "0.5000" in capsys.readouterr().out


def test_presets_of_sets_keep_their_figures(bench, tmp_path, monkeypatch, capsys):
    run = {"figure": "accuracy", "value": 0.5, "bytes": 1, "state_bytes": 8, "us_a_step": 2.0, "cpu_seconds": 1.0}
    calls = (("trec", "tiny"), ("load", "tiny", "base"), ("trec", "small"), ("load", "small", "base", "--add"))
    for name, *sizes in calls:
        presets = bench("presets", name, "--presets", *sizes, "--out", tmp_path)
        monkeypatch.setattr(presets, "measure_preset", lambda name, preset: {"preset": preset, **run})
        presets.main()
    found = json.loads((tmp_path / "presets.json").read_text("utf-8"))
    assert {name: [one["preset"] for one in of["figures"]["runs"]] for name, of in found.items()} == {
        "trec": ["small"],
        "load": ["tiny", "small", "base"],
    }
    assert "CPU seconds of a fit" in capsys.readouterr().out


def test_conversations_of_sets_keep_their_figures(bench, tmp_path, monkeypatch, capsys):
    calls = []
    run = {"accuracy": 0.5, "weighted_f1": 0.25, "log_loss": 1.0, "wall_seconds": 1.0}
    for name in ("swda", "meld"):
        conversations = bench("conversations", name, "--seeds", 3, 4, "--out", tmp_path)
        monkeypatch.setattr(
            conversations, "measure_case", lambda *case: calls.append(case) or {**run, "case": case[1], "seed": case[2]}
        )
        conversations.main()
    found = json.loads((tmp_path / "conversations.json").read_text("utf-8"))
    assert list(found) == ["meld", "swda"]
    assert list(found["swda"]) == ABOUT
    cases = ["the message alone", "its conversation", "its conversation and who speaks"]
    assert [each["case"] for each in found["swda"]["figures"]["runs"]] == [case for case in cases for _ in (3, 4)]
    assert calls == [(name, case, seed) for name in ("swda", "meld") for case in reversed(cases) for seed in (3, 4)]
    assert "0.2500" in capsys.readouterr().out


def test_added_seeds_are_those_that_a_file_has_not(bench, tmp_path, monkeypatch):
    calls = []
    run = {"accuracy": 0.5, "weighted_f1": 0.25, "log_loss": 1.0, "span_f1": 0.5, "sentence_accuracy": 0.5}
    for seeds in (["1"], ["0", "1", "2", "--add"], ["2", "--add"]):
        conversations = bench("conversations", "swda", "--seeds", *seeds, "--out", tmp_path)
        monkeypatch.setattr(
            conversations,
            "measure_case",
            lambda *case: calls.append(case[1:]) or {**run, "case": case[1], "seed": case[2]},
        )
        conversations.main()
        tag = bench("tag", "atis", "--seeds", *seeds, "--out", tmp_path)
        monkeypatch.setattr(
            tag, "measure_seeds", lambda name, seeds, options: [calls.append(k) or {**run, "seed": k} for k in seeds]
        )
        tag.main()
    cases = ["the message alone", "its conversation", "its conversation and who speaks"]
    added = [(case, seed) for case in reversed(cases) for seed in (0, 2)]
    assert calls == [*((case, 1) for case in reversed(cases)), 1, *added, 0, 2]
    for name, every in (("conversations", 9), ("tag", 3)):
        (entry,) = json.loads((tmp_path / f"{name}.json").read_text("utf-8")).values()
        assert len(entry["figures"]["runs"]) == every
        assert [each["seed"] for each in entry["figures"]["runs"]] == [0, 1, 2] * (every // 3)
        assert len(entry["earlier"]) == 1
    conversations = bench("conversations", "meld", "--seeds", 0, "--out", tmp_path)

    def interrupt(name, case, seed):
        if case == cases[1]:
            raise KeyboardInterrupt
        return {**run, "case": case, "seed": seed}

    monkeypatch.setattr(conversations, "measure_case", interrupt)
    with pytest.raises(KeyboardInterrupt):
        conversations.main()
    found = json.loads((tmp_path / "conversations.json").read_text("utf-8"))
    assert [each["case"] for each in found["meld"]["figures"]["runs"]] == [cases[2]]
    monkeypatch.setattr(conversations, "OPTIONS", {"swda": {"hidden": 7}})
    monkeypatch.setattr(sys, "argv", ["bench/conversations.py", "swda", "--add", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="swda was measured with other options"):
        conversations.main()


def test_runs_that_a_file_has_are_kept_and_those_of_another_cpu_without_their_times(bench, monkeypatch):
    bench("tag")
    record = importlib.import_module("common.record")
    here = record.with_provenance({"runs": [{"seed": 2, "accuracy": 0.75, "cpu_seconds": 3.0}]})
    there = {
        **here,
        "cpu": "another",
        "figures": {"runs": [{"seed": 0, "accuracy": 0.5, "us_a_word": 2, "cpu_seconds": 9.0}]},
    }
    joined = record.with_earlier(here, there, lambda run: run["seed"])
    assert joined["figures"]["runs"] == [{"seed": 0, "accuracy": 0.5}, *here["figures"]["runs"]]
    assert [one["cpu"] for one in joined["earlier"]] == ["another"]
    assert "figures" not in joined["earlier"][0]
    same = record.with_earlier(here, {**there, "cpu": here["cpu"]}, lambda run: run["seed"])
    assert same["figures"]["runs"] == [*there["figures"]["runs"], *here["figures"]["runs"]]
    again = record.with_earlier({**here, "figures": {"runs": []}}, joined, lambda run: run["seed"])
    assert [one["cpu"] for one in again["earlier"]] == ["another", here["cpu"]]
    assert record.with_earlier(here, {}, lambda run: run["seed"]) == here


def test_other_options_of_taggers_have_entries_of_their_own(bench, tmp_path, monkeypatch):
    calls = []
    run = {"seed": 0, **dict.fromkeys(("accuracy", "span_f1", "sentence_accuracy"), 0.5)}
    for flags in ((), ("--direction", "both"), ("--lookahead", 0)):
        tag = bench("tag", "atis", "--seeds", 0, *flags, "--out", tmp_path)
        monkeypatch.setattr(tag, "measure_seeds", lambda *arguments: calls.append(arguments) or [run])
        tag.main()
    found = json.loads((tmp_path / "tag.json").read_text("utf-8"))
    assert list(found) == ["atis", "atis --direction both", "atis --lookahead 0"]
    assert [options for _, _, options in calls] == [{}, {"direction": "both"}, {"lookahead": 0}]


def test_another_direction_has_an_entry_of_its_own(bench, tmp_path, monkeypatch):
    accuracy = bench("accuracy", "japanese_vowels", "--direction", "both", "--seeds", 0, "--out", tmp_path)
    calls = []
    run = {"seed": 0, "accuracy": 0.5, "wall_seconds": 1.0, "bytes": 1}
    monkeypatch.setattr(accuracy, "measure_seeds", lambda *arguments: calls.append(arguments) or [run])
    accuracy.main()
    found = json.loads((tmp_path / "accuracy.json").read_text("utf-8"))
    assert list(found) == ["japanese_vowels --direction both"]
    assert calls == [("japanese_vowels", [0], "both")]


def test_a_set_is_fitted_with_the_defaults_and_its_flags(bench):
    bench("accuracy")
    fits = importlib.import_module("common.fits")
    classify, forecast = (
        importlib.import_module(f"tidegate.tasks.{name}").Options for name in ("classify", "forecast")
    )
    assert fits.options("reuters_r8", seed=2) == classify(seed=2)
    assert fits.options("ecg5000", direction="both") == classify(label="y", layout="rows", direction="both")
    assert fits.options("load", seed=1) == forecast(horizon=48, time="time", values="load", seed=1)


MAKEFILE = """\
.venv/train.stamp .venv/dev.stamp:
\t@mkdir -p .venv/bin
\t@printf '#!/bin/sh\\nexec $(PYTHON) "$$@"\\n' > .venv/bin/python
\t@chmod +x .venv/bin/python
\t@touch $@
demo: .venv/train.stamp
test: .venv/dev.stamp
\t@exit $(FAIL)
"""


def repository(folder, fail):
    folder.mkdir()
    (folder / "Makefile").write_text(f"FAIL = {fail}\n{MAKEFILE}")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "m"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


@pytest.mark.skipif(not (shutil.which("git") and shutil.which("make")), reason="needs git and make")
@pytest.mark.parametrize("fail", [0, 3])
def test_a_clone_is_timed_and_one_that_fails_writes_nothing(bench, tmp_path, monkeypatch, fail):
    out = tmp_path / "out"
    clone = bench("clone", "--out", out)
    monkeypatch.setattr(clone, "ROOT", repository(tmp_path / "there", fail))
    if fail:
        with pytest.raises(SystemExit, match="make test failed"):
            clone.main()
        assert not out.exists()
        return
    clone.main()
    found = json.loads((out / "clone.json").read_text("utf-8"))
    assert list(found) == ABOUT
    assert list(found["figures"]) == ["demo", "test"]
    assert all(spent["seconds"] > spent["install_seconds"] > 0 for spent in found["figures"].values())
    assert "torch" in found["versions"]


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_bench_leaves_out_the_clone(root):
    done = subprocess.run(["make", "-n", "bench"], cwd=root, capture_output=True, text=True, check=True)
    listed = done.stdout.partition("for name in ")[2].partition(";")[0].split()
    assert listed == sorted({*SMALL, *LONG} - {"clone"})
