"""A forecaster from end to end: fit, score, predict, stream, verify, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import numpy as np
import pytest

Run = Callable[..., CompletedProcess[str]]
QUICK = ("--hidden", "6", "--epochs", "2", "--refit-epochs", "1")
T = 140
RANDOM = np.random.default_rng(8)
LOAD = 30 + 4 * np.sin(np.arange(T) * 2 * np.pi / 24) + RANDOM.standard_normal(T) / 3
HOURS = [str(np.datetime64("2024-01-01T00:00") + np.timedelta64(t, "h")) for t in range(T)]


class Made(NamedTuple):
    folder: Path
    model: Path
    train: Path
    whole: Path


def csv(path: Path, until: int = T, **columns: Any) -> Path:
    rows = list(zip(*columns.values(), strict=True))[:until]
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def answers(done: CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(done: CompletedProcess[str], *sentences: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("tidegate: ")]
    assert len(lines) == 1, done.stderr
    assert all(sentence in lines[0] for sentence in sentences), lines[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tidegate: Run) -> Made:
    folder = tmp_path_factory.mktemp("load")
    train, whole = (csv(folder / f"{n}.csv", n, at=HOURS, load=LOAD.tolist()) for n in (110, T))
    model = folder / "load.safetensors"
    done = tidegate(
        "fit", "forecast", train, "--time", "at", "--calendar", "day", "--horizon", "4", *QUICK, "--out", model
    )
    assert done.returncode == 0, done.stderr
    assert "held-out end: " in done.stdout
    assert " forecasts 4 steps ahead" in done.stdout
    assert "ridge on the same window" in done.stdout
    return Made(folder, model, train, whole)


def test_score_begins_after_training_and_plots(made: Made, tidegate_without_torch: Run) -> None:
    shown = tidegate_without_torch("score", made.model, made.whole).stdout
    assert "27 forecasts of 4 steps, after the rows that the model was fitted on (1 series)" in shown
    assert "80% interval covers" in shown
    (found,) = answers(tidegate_without_torch("score", made.model, made.whole, "--json", "--every", 10))
    assert (found["origins"], len(found["per_step"])) == (3, 4)
    (timed,) = answers(tidegate_without_torch("score", made.model, made.whole, "--json", "--start", "2024-01-05T20:00"))
    assert timed["origins"] == T - 4 - 115
    refused(tidegate_without_torch("score", made.model, made.train), "no step is left to forecast after the rows")


def test_predict_and_stream_give_the_same_numbers(made: Made, tidegate_without_torch: Run) -> None:
    (found,) = answers(tidegate_without_torch("predict", made.model, made.whole, "--json"))
    assert found["steps"] == [
        "2024-01-06T20:00:00",
        "2024-01-06T21:00:00",
        "2024-01-06T22:00:00",
        "2024-01-06T23:00:00",
    ]
    events = "".join(
        json.dumps({"stream": "s", "x": [x], "time": t}) + "\n" for x, t in zip(LOAD.tolist(), HOURS, strict=True)
    )
    streamed = answers(tidegate_without_torch("stream", made.model, stdin=events))
    assert streamed[0]["forecast"] is None
    assert streamed[0]["reason"].startswith("warming up 1 of ")
    assert streamed[-1]["quantiles"] == found["quantiles"]
    assert found["assumed"] == "the steps ahead continue the times: one step every hour"
    said = tidegate_without_torch("predict", made.model, made.whole)
    assert said.stderr.splitlines() == [found["assumed"]]
    listing = said.stdout
    assert listing.splitlines()[0].split() == ["time", "0.1", "0.5", "0.9"]
    assert len(listing.splitlines()) == 5
    assert tidegate_without_torch("verify", made.model).returncode == 0


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        ({"at": HOURS, "loads": LOAD.tolist()}, ("1 column ('loads')", "fitted on 1 column ('load')")),
        ({"at": HOURS, "load": [1.0, "NA"] * (T // 2)}, (".csv:3", "no number in column 'load'")),
        ({"at": HOURS, "load": [1.0, "inf"] * (T // 2)}, (".csv:3", "inf")),
        ({"at": [*HOURS[:9], *HOURS[:9]], "load": LOAD[:18].tolist()}, (".csv:11", "at")),
        ({"at": [HOURS[0], HOURS[1] + "Z"], "load": [1.0, 2.0]}, (".csv:3", "zone")),
        ({"at": HOURS[:5], "load": LOAD[:5].tolist()}, ("has 5 steps; this model needs", "give earlier rows")),
        ({"load": LOAD.tolist()}, ("'at'",)),
    ],
    ids=["columns", "missing", "infinite", "unsorted", "zones", "short", "no times"],
)
def test_files_that_cannot_be_predicted(
    rows: dict[str, Any], sentences: tuple[str, ...], made: Made, tidegate_without_torch: Run, tmp_path: Path
) -> None:
    refused(tidegate_without_torch("predict", made.model, csv(tmp_path / "new.csv", **rows)), *sentences)


def test_flags_that_mean_nothing_here(made: Made, tidegate_without_torch: Run) -> None:
    refused(tidegate_without_torch("predict", made.model, made.whole, "--top", 2), "--top is for labels")
    refused(tidegate_without_torch("predict", made.model, "--message", "hello"), "give a file of series")
    refused(tidegate_without_torch("score", made.model, made.whole, "--every", 0), "every is 0")
    refused(tidegate_without_torch("score", made.model, made.whole, "--label", "x"), "--label is for labels")


def test_series_of_their_own_scale_are_known_by_name(made: Made, tidegate: Run, tmp_path: Path) -> None:
    ids, values = ["a"] * T + ["b"] * 60, [*LOAD.tolist(), *(LOAD[:60] * 100).tolist()]
    file = csv(tmp_path / "many.csv", T + 60, id=ids, v=values)
    model = tmp_path / "m.safetensors"
    done = tidegate("fit", "forecast", file, "--id", "id", "--horizon", 3, "--scale", "fixed", *QUICK, "--out", model)
    assert done.returncode == 0, done.stderr
    both = answers(tidegate("predict", model, file, "--json"))
    assert [one["series"] for one in both] == ["a", "b"]
    events = [{"stream": 1, "series": "b", "x": x} for x in (LOAD[:60] * 100).tolist()]
    streamed = answers(tidegate("stream", model, stdin="".join(json.dumps(e) + "\n" for e in events)))
    assert streamed[-1]["quantiles"] == both[1]["quantiles"]
    refused(
        tidegate("predict", model, csv(tmp_path / "new.csv", id=["c"] * 9, v=LOAD[:9].tolist())),
        "'c' was not in training",
    )
    refused(tidegate("stream", model, stdin='{"stream": "c", "x": 1}\n'), "stdin:1", "'c' was not in training")
    refused(tidegate("predict", model, file, "--plot", tmp_path / "p.png"), "--plot draws one series")


FIT = """
import sys
import tidegate.train.job as job
from tidegate.cli import main
job.CHECKPOINT_SECONDS = 0.0
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_ctrl_c_and_resume_end_with_the_same_bits(made: Made, tmp_path: Path) -> None:
    from tidegate.model import Model

    out = tmp_path / "again.safetensors"
    args = ["fit", "forecast", made.train, "--time", "at", "--calendar", "day", "--horizon", "4", *QUICK, "--out", out]
    command = [sys.executable, "-c", FIT, *map(str, args)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not os.path.exists(f"{out}.checkpoint"):
        time.sleep(0.002)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    if process.returncode:
        assert "run the same command with --resume to continue" in stderr
        resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=60, check=False)
        assert resumed.returncode == 0, resumed.stderr
    assert Model.load(out).weights_hash == Model.load(made.model).weights_hash
