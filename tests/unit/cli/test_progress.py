"""The progress of training: a line per epoch, and on a terminal a live line with a bar."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from tidegate.cli import _console, _progress
from tidegate.cli._progress import Reporter


def progress(**more: Any) -> Any:
    base = {
        "phase": "train",
        "epoch": 1,
        "epochs": 2,
        "step": 3,
        "steps": 4,
        "loss": 0.5,
        "metric_name": "accuracy",
        "metric": None,
        "best": None,
        "seconds_left": 90.0,
        "evaluated": False,
        "part": "",
    }
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
    assert out.getvalue() == "epoch 2/2  loss 0.500  now training on the held-out rows too\n"


def test_trials_and_folds_are_named_and_say_themselves_how_they_end() -> None:
    out, part = Terminal(), "trial 2 of 8, fold 1 of 5"
    with Reporter(out) as report:
        report(progress(part=part))
        report(progress(part=part, step=4, metric=0.8, best=0.8, evaluated=True))
        assert part in out.screen()[-1]
        report.print_note(f"{part}: accuracy 0.8000")
    assert out.screen() == [f"{part}: accuracy 0.8000", ""]


class Terminal(io.StringIO):
    """A terminal that keeps what each line finally shows."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        shown = []
        for line in self.getvalue().split("\n"):
            row = ""
            for part in line.split("\r"):
                row = part + row[len(part) :]
            shown.append(row.rstrip())
        return shown


def trained(columns: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Terminal, list[str]]:
    """Run three epochs; return the terminal and all live lines that were drawn."""
    out = Terminal()
    monkeypatch.setattr(_console, "terminal_width", lambda stream=None: columns)
    monkeypatch.setattr(_progress, "MIN_SECONDS", 0.0)
    with Reporter(out) as report:
        report.print_note("train.csv: 900 rows")
        for epoch in (1, 2, 3):
            metric = None if epoch == 1 else 0.75
            report(progress(epoch=epoch, epochs=3, step=2, metric=metric, best=metric))
            report(progress(epoch=epoch, epochs=3, step=4, metric=0.75, best=0.8, seconds_left=0.0, evaluated=True))
    return out, [part for part in out.getvalue().replace("\n", "\r").split("\r") if "%" in part]


@pytest.mark.parametrize("columns", [80, 40, 20])
def test_each_epoch_leaves_a_line_on_a_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    out, live = trained(columns, monkeypatch)
    first, *epochs, last = out.screen()
    assert (first, last) == ("train.csv: 900 rows", "")
    ends = {80: "  loss 0.500  accuracy 0.750  best 0.800", 40: "  loss 0.500  accuracy 0.750", 20: ""}
    assert epochs == [f"epoch {n}/3{ends[columns]}" for n in (1, 2, 3)]
    assert len(live) == 3
    assert max(map(len, live)) < columns


def test_the_live_line_has_a_bar_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained(80, monkeypatch)[1][1] == (
        "epoch 2/3  ########.........   50%  loss 0.500  accuracy 0.750  1 min 30 s left"
    )
    assert trained(40, monkeypatch)[1][1] == "epoch 2/3   50%  1 min 30 s left"


def test_an_interrupt_ends_the_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr(_console, "terminal_width", lambda stream=None: 80)

    def interrupted() -> None:
        with Reporter(out) as report:
            report(progress())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert out.getvalue().endswith("left\n")
