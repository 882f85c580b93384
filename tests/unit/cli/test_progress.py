"""What training shows: a line an epoch where there is no terminal, a bar where there is one."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from tidegate.cli._progress import Reporter


def progress(**more: Any) -> Any:
    base = {
        "phase": "train", "epoch": 1, "epochs": 2, "step": 3, "steps": 4, "loss": 0.5,
        "metric_name": "accuracy", "metric": None, "best": None, "seconds_left": 90.0, "evaluated": False,
    }  # fmt: skip
    return SimpleNamespace(**{**base, **more})


def test_a_line_an_epoch() -> None:
    out = io.StringIO()
    with Reporter(out) as report:
        report(progress())
        report(progress(step=4, metric=0.8, best=0.8, seconds_left=0.0, evaluated=True))
        report(progress(epoch=2, metric=0.8, best=0.8))
        report(progress(epoch=2, step=4, metric=0.75, best=0.8, seconds_left=0.0, evaluated=True))
    first, second = out.getvalue().splitlines()
    assert first == "epoch 1/2  loss 0.500  accuracy 0.800  best 0.800  1 min 30 s left"
    assert second == "epoch 2/2  loss 0.500  accuracy 0.750  best 0.800"


def test_rows_that_are_learnt_from_are_no_measure() -> None:
    out = io.StringIO()
    with Reporter(out) as report:
        report(progress(phase="refit", epoch=2, metric=0.99, best=0.8, seconds_left=0.0, evaluated=True))
    assert out.getvalue() == "epoch 2/2  loss 0.500  now learning from the held-out rows too\n"
