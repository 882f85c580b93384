"""The basis of the speed benchmarks: interleaved timing, cases, errors that end them, engines of a whole fit."""

import argparse
import doctest
import importlib
import itertools
import json
import sys

import pytest
import torch

from tidegate import cells
from tidegate.layers.recurrent import Recurrent
from tidegate.nn import recurrent
from tidegate.verify.mutants import mutants


@pytest.fixture
def bench(root, monkeypatch):
    """Import a module of bench/."""
    monkeypatch.syspath_prepend(root / "bench")
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("common", "end_to_end", "step_cold", "threads", "training"):
            sys.modules.pop(name)


@pytest.mark.parametrize("name", ["cases", "interleaved"])
def test_examples_in_docstrings(bench, name):
    tried = doctest.testmod(bench(f"common.{name}"))
    assert tried.attempted
    assert not tried.failed


# ---- interleaved timing and ratios


def test_works_are_timed_by_turns_and_a_ratio_is_of_one_round(bench):
    interleaved, order = bench("common.interleaved"), []
    now = [0.0]

    def work(name, spent):
        times = iter(spent)

        def call():
            order.append(name)
            now[0] += next(times)

        return interleaved.Work(call, lambda: None, lambda: order.append(f"before {name}"))

    # the machine is ten times slower in the third round: ratios do not see it
    works = {"ours": work("ours", [9, 1, 1, 10, 1, 1]), "theirs": work("theirs", [9, 4, 4, 40, 4, 4])}
    plan = interleaved.Plan(5, 0.0, clock=lambda: now[0])
    pairs = [name for one in works for name in (f"before {one}", one)]
    times = interleaved.take_times(works, plan)
    assert order == pairs * 6  # the first to see how long they take
    assert times == {"ours": [1, 1, 10, 1, 1], "theirs": [4, 4, 40, 4, 4]}
    row = interleaved.make_row("case", times, {"ours": 1e-7, "theirs": None}, bound=1e-6)
    assert row["peers"]["theirs"] == {"error": None, "us": 4e6, "spread": [4e6, 22e6], "ratio": 4, "quartiles": [4, 4]}
    assert row["ours"] == {"name": "ours", "error": 1e-7, "us": 1e6, "spread": [1e6, 5.5e6], "bound": 1e-6}


def test_long_works_have_fewer_rounds_and_short_ones_more_calls(bench):
    interleaved = bench("common.interleaved")
    now, calls = [0.0], [0]

    def call():
        calls[0] += 1
        now[0] += 0.5

    works = {"ours": interleaved.Work(call, lambda: None)}
    assert len(interleaved.take_times(works, interleaved.Plan(50, 1.0, 6.0, lambda: now[0]))["ours"]) == 5
    calls[0] = 0
    assert len(interleaved.take_times(works, interleaved.Plan(8, 1.0, 600.0, lambda: now[0]))["ours"]) == 8


def test_a_line_a_peer(bench):
    interleaved = bench("common.interleaved")
    times = {"ours": [1e-6] * 5, "a": [6.31e-6] * 5, "b": [0.5e-6] * 5}
    row = interleaved.make_row("step H=64", times, {"ours": 3e-7, "a": 1e-7})
    assert interleaved.format_lines(row) == [
        "step H=64 vs a: 6.31x, 6.31 to 6.31 (ours 1 us [1 to 1], theirs 6.31 us [6.31 to 6.31], error 3e-07)",
        "step H=64 vs b: 0.5x, 0.5 to 0.5 (ours 1 us [1 to 1], theirs 0.5 us [0.5 to 0.5], error 3e-07)",
    ]


# ---- cases


def test_a_case(bench):
    parse = bench("common.cases").parse
    lstm = parse("sequence", "lstm,peepholes=yes:3x5x2x7")
    assert (lstm.rows, lstm.steps, lstm.inputs, lstm.size, lstm.plain) == (3, 5, 2, 7, False)
    assert lstm.operations == 2 * 4 * 7 * (2 + 7) * 3 * 5
    assert parse("training", "3x5x2x7").operations == 3 * 2 * 3 * 7 * (2 + 7) * 3 * 5
    assert parse("pool", "mingru:9x2x7").operations == 2 * 2 * 7 * 2 * 9
    assert {
        name: case.title for name, case in parse("step", "gru,norm=layer,weights=bf16:8x4").our_variants().items()
    } == {
        "tidegate gru": "step I=8 H=4 weights=bf16",
        "tidegate float32": "step I=8 H=4 gru norm=layer float32",
    }


@pytest.mark.parametrize("text", ["8", "8x4x2", "0x4", "8xa", "gruu:8x4", "gru,reset=never:8x4", "gru,reset:8x4"])
def test_what_is_no_case_is_refused(bench, text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no case; expected"):
        bench("common.cases").parse("step", text)


def test_a_library_that_is_not_here_is_named(bench, monkeypatch, capsys):
    peers = bench("common.peers")
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None if name == "ai_edge_litert" else name)
    assert peers.find_installed(["torch", "ai-edge-litert", "jax"]) == ["torch", "jax"]
    assert capsys.readouterr().out.startswith("ai-edge-litert is not installed and left out")


# ---- errors end a bench before it times


@pytest.mark.parametrize("kind", ["step 8x4", "sequence 2x3x8x4", "step gru,weights=bf16:8x4"])
def test_an_error_over_its_bound_ends_the_bench(bench, kind):
    ours, parse = bench("common.ours"), bench("common.cases").parse
    case = parse(*kind.split())
    model, x = ours.make_model(case), ours.make_inputs(case)
    assert 0 < ours.check_bound(case, model, ours.compile_model(case, model), x)["of_bound"] < 1
    wrong = mutants(model)
    assert len(wrong) > 3
    for one in wrong.values():
        with pytest.raises(SystemExit, match="times its bound; nothing is timed"):
            ours.check_bound(case, model, ours.compile_model(case, one), x)


def test_the_error_of_every_work_is_its_own(bench):
    forward, case = bench("common.forward"), bench("common.cases").parse("pool", "3x8x4")
    works, errors, _ = forward.check(case, ["torch"])
    assert list(works) == list(errors)
    assert all(0 < error < 2e-6 for error in errors.values())
    work = works["torch.nn.GRU"]
    off = work._replace(result=lambda: work.result() + 0.25)
    right = forward.ours.run_float64(case, forward.ours.make_model(case), forward.ours.make_inputs(case))
    assert forward.error(case, off, right) > 0.2


def test_a_wrong_gradient_ends_the_bench(bench, monkeypatch):
    training, case = bench("training"), bench("common.cases").parse("training", "2x5x3x4")
    plan = bench("common.interleaved").Plan(2, 0.0)
    assert training.measure(case, ["torch"], plan)["ours"]["error"] < 1e-6
    exact = training.training.exact_gradients
    monkeypatch.setattr(training.training, "exact_gradients", lambda *given: [1.01 * v for v in exact(*given)])
    with pytest.raises(SystemExit, match="is more than rounding"):
        training.measure(case, ["torch"], plan)


def test_other_bits_with_other_threads_end_the_bench(bench, monkeypatch):
    threads, case = bench("threads"), bench("common.cases").parse("pool", "5x8x4")
    threads.check(case, [1, 2])
    made = threads.forward_works

    def off(of, n):
        own, theirs, right = made(of, n)
        return own._replace(result=lambda: own.result() + n * 1e-7), theirs, right

    monkeypatch.setattr(threads, "forward_works", off)
    with pytest.raises(SystemExit, match="our bits differ"):
        threads.check(case, [1, 2])


def test_a_cold_step_is_taken_after_a_sweep(bench, monkeypatch):
    cold, Work = bench("step_cold"), bench("common.interleaved").Work
    order, clock = [], itertools.count()
    monkeypatch.setattr(cold, "make_sweep", lambda megabytes: lambda: order.append("sweep"))
    monkeypatch.setattr(cold.time, "perf_counter", lambda: float(next(clock)))
    works = {name: Work(lambda name=name: (order.append(name), next(clock)), lambda: None) for name in "ab"}
    assert cold.take_times(works, 2, 1) == {"a": [1.0, 1.0], "b": [1.0, 1.0]}  # what a call of nothing takes is off
    assert order == ["sweep", "a", "sweep", "b", "sweep"] * 2


# ---- runs, and whole fits


def test_a_run_is_called_by_its_day_and_cpu(bench, monkeypatch):
    record = bench("common.record")
    monkeypatch.setattr(record, "today", lambda: "2026-01-02")
    monkeypatch.setattr(record, "processor", lambda: "Intel(R) Core(TM) i7, family 6 model 1")
    assert record.run_name() == "2026-01-02-intel-core-i7-family-6-model-1"
    assert record.make_speed_parser("doc").parse_args([]).out == record.BENCH / "runs" / record.run_name()
    assert record.make_parser("doc").parse_args([]).out == record.RESULTS


@pytest.fixture
def messages(tmp_path):
    """Write files of a set that is learnt quickly."""
    words = {"yes": "fine good nice", "no": "bad poor sad"}
    lines = [f"{word} thing {k},{label}" for k in range(20) for label, of in words.items() for word in of.split()]
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return {name: tmp_path / f"{name}.csv" for name in ("train", "test")}


@pytest.mark.slow
def test_a_whole_fit_by_each_engine(bench, monkeypatch, tmp_path, messages, capsys):
    end_to_end = bench("end_to_end")
    monkeypatch.setattr(end_to_end.catalogue, "fetch", lambda name: messages)
    engines = ["native", "torch.nn.GRU", "fused=False"]
    argv = ["bench/end_to_end.py", "--set", "trec", "--out", str(tmp_path / "out"), "--engines", *engines]
    monkeypatch.setattr(sys, "argv", [*argv, "--", "--epochs", "2", "--refit-epochs", "0"])
    end_to_end.main()
    found = json.loads((tmp_path / "out" / "end_to_end.json").read_text("utf-8"))
    rows = found["figures"]["rows"]
    assert [row["engine"] for row in rows] == engines
    assert [run["epochs"] for row in rows for run in row["runs"]] == [2, 2, 2]
    assert all(run["cpu_s"] > 0 < run["wall_s"] for row in rows for run in row["runs"])
    assert (rows[0]["cpu_ratio"], rows[0]["wall_ratio"]) == (1, 1)
    assert rows[1]["cpu_ratio"] == rows[1]["runs"][0]["cpu_s"] / rows[0]["runs"][0]["cpu_s"]
    assert "fit trec vs torch.nn.GRU: " in capsys.readouterr().out


def test_what_stands_in_for_the_native_engine_answers_alike(bench):
    by_module = bench("common.fit_on").by_module
    random = torch.Generator().manual_seed(0)
    shapes = {"W": (12, 3), "R": (12, 4), "b": (12,), "c": (12,)}
    t = {role: torch.randn(shape, generator=random) for role, shape in shapes.items()}
    x, start = torch.randn(8, 3, generator=random), {"h": torch.randn(3, 4, generator=random)}
    layer = Recurrent(inputs=3, size=4, tape=cells.load("gru").tape)
    for sizes in (torch.tensor([3, 2, 2, 1]), None):
        rows = x if sizes is not None else x[:6].reshape(2, 3, 3)
        y, last = by_module(layer, t, rows, sizes, start, True)
        wanted, wanted_last = recurrent.run_fused(layer, t, rows, sizes, start, True)
        torch.testing.assert_close(y, wanted)
        torch.testing.assert_close(last["h"], wanted_last["h"])


def test_a_fit_that_avoids_the_engine_it_was_to_use_fails(bench, monkeypatch, tmp_path, messages):
    end_to_end = bench("end_to_end")
    command = ["fit", "classify", str(messages["train"]), "--out", str(tmp_path / "m.safetensors"), "--epochs", "1"]
    with pytest.raises(SystemExit, match="ended with 1"):  # an LSTM is no torch.nn.GRU
        end_to_end.run_fit("torch.nn.GRU", [*command, "--cell", "lstm"])
