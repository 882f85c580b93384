"""The progress of training: a line for each epoch, and on a terminal a live line with a bar below them."""

from __future__ import annotations

import time
from types import TracebackType
from typing import IO, TYPE_CHECKING

from . import _console
from ._table import bar

if TYPE_CHECKING:
    from ..train import Progress

PAUSE_S = 0.1  # between two drawings of the live line
BAR = (8, 20)  # characters, at least and at most
GAP = "  "


class Reporter:
    """Called with each Progress; a context, so that the live line is ended whatever happens."""

    def __init__(self, out: IO[str]) -> None:
        self.out = out
        self.live = out.isatty()
        self.put = getattr(out, "put", out.write)
        self.shown, self.drawn = 0, -PAUSE_S
        self.left = 0.0

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.shown:
            print(file=self.out, flush=True)

    def __call__(self, progress: Progress) -> None:
        if progress.evaluated:
            self.line(progress)
        elif self.live:
            self.move(progress)
        self.left = progress.seconds_left or self.left

    def say(self, sentence: str) -> None:
        """Print a sentence on a line of its own, before the live line begins."""
        print(sentence, file=self.out, flush=True)

    def line(self, progress: Progress) -> None:
        """Print how an epoch went, in the place of the live line."""
        parts = [counted(progress), *figures(progress)]
        if progress.epoch < progress.epochs and not self.live:  # the live line tells it too
            parts.append(f"{duration(self.left)} left")
        self.draw("")
        print(fitting(parts, self.room()), file=self.out, flush=True)

    def move(self, progress: Progress) -> None:
        """Draw the live line anew, unless that has just been done."""
        if (now := time.monotonic()) - self.drawn >= PAUSE_S:
            self.drawn = now
            self.draw(moving(progress, self.room()))

    def draw(self, text: str) -> None:
        """Put a text, one line of it, where the live line is."""
        if self.live and (text or self.shown):
            self.put("\r" + text.ljust(min(self.shown, self.room())) + "\r" * (not text))
            self.out.flush()
            self.shown = len(text)

    def room(self) -> int:
        """Characters of a line; without a terminal as many as it takes. A terminal's last one would wrap."""
        return _console.columns(self.out) - 1 if self.live else 1000


def moving(progress: Progress, room: int) -> str:
    """How far the run is, in one line: what does not fit is left out, the figures first."""
    share = (progress.epoch - 1 + progress.step / max(1, progress.steps)) / progress.epochs
    begin, done = counted(progress), f"{share:4.0%}"
    left = [] if progress.seconds_left is None else [f"{duration(progress.seconds_left)} left"]
    told = figures(progress, best=False)
    for some in (told, told[:1], []):
        width = room - len(GAP.join([begin, done, *some, *left])) - len(GAP)
        if width >= BAR[0]:
            return GAP.join([begin, bar(share, min(BAR[1], width)), done, *some, *left])
    return fitting([begin, done, *left], room)


def fitting(parts: list[str], room: int) -> str:
    """As many parts as fit, from the first on; the first one in any case.

    >>> fitting(["epoch 1/2", "loss 0.5", "accuracy 0.9"], 20)
    'epoch 1/2  loss 0.5'
    """
    count = next((n for n in range(len(parts), 1, -1) if len(GAP.join(parts[:n])) <= room), 1)
    return GAP.join(parts[:count])


def counted(progress: Progress) -> str:
    return f"epoch {progress.epoch}/{progress.epochs}"


def figures(progress: Progress, best: bool = True) -> list[str]:
    """Loss and metric: `loss 0.412`, `accuracy 0.931`, `(best 0.935)`."""
    parts = [f"loss {progress.loss:.3f}"]
    if progress.phase == "refit":
        return [*parts, "now learning from the held-out rows too"]
    if progress.metric is not None:
        parts.append(f"{progress.metric_name.replace('_', ' ')} {progress.metric:.3f}")
        if best and progress.best is not None:
            parts.append(f"best {progress.best:.3f}")
    return parts


def duration(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> duration(42.4), duration(150)
    ('42 s', '2 min 30 s')
    """
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
