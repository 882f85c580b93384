"""Shows the progress of training: a line for each epoch, and on a terminal a live line with a bar below."""

from __future__ import annotations

import time
from types import TracebackType
from typing import IO, TYPE_CHECKING

from ..text_tables import draw_bar
from . import _console

if TYPE_CHECKING:
    from ..train import Progress

MIN_SECONDS = 0.1  # between two updates of the live line
BAR_WIDTH = (8, 20)  # minimum and maximum, in characters
GAP = "  "


class Reporter:
    """A callback for each Progress; as a context manager it ends the live line whatever happens."""

    def __init__(self, out: IO[str]) -> None:
        self.out = out
        self.live = out.isatty()
        self.write_raw = getattr(out, "write_raw", out.write)
        self.length, self.drawn_at = 0, -MIN_SECONDS
        self.seconds_left = 0.0

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.length:
            print(file=self.out, flush=True)

    def __call__(self, progress: Progress) -> None:
        if progress.evaluated:
            self.print_epoch(progress)
        elif self.live:
            self.update(progress)
        self.seconds_left = progress.seconds_left or self.seconds_left

    def print_note(self, sentence: str) -> None:
        """Print a sentence on its own line, in place of the live line."""
        self.draw("")
        print(sentence, file=self.out, flush=True)

    def print_epoch(self, progress: Progress) -> None:
        """Replace the live line by the results of an epoch; of trials and folds, a sentence says how they ended."""
        if progress.part:
            return
        parts = [format_epoch(progress), *format_metrics(progress)]
        if progress.epoch < progress.epochs and not self.live:  # the live line shows it
            parts.append(f"{format_duration(self.seconds_left)} left")
        self.draw("")
        print(join_fitting(parts, self.width()), file=self.out, flush=True)

    def update(self, progress: Progress) -> None:
        """Redraw the live line, unless that happened a moment ago."""
        if (now := time.monotonic()) - self.drawn_at >= MIN_SECONDS:
            self.drawn_at = now
            self.draw(format_live_line(progress, self.width()))

    def draw(self, text: str) -> None:
        """Replace the live line by a text of one line."""
        if self.live and (text or self.length):
            self.write_raw("\r" + text.ljust(min(self.length, self.width())) + "\r" * (not text))
            self.out.flush()
            self.length = len(text)

    def width(self) -> int:
        """Return how many characters fit on a line; a terminal's last column is left free, as it would wrap."""
        return _console.terminal_width(self.out) - 1 if self.live else 1000


def format_live_line(progress: Progress, width: int) -> str:
    """Format the progress of a run as one line; if it is too long, leave out metrics, then the bar."""
    share = (progress.epoch - 1 + progress.step / max(1, progress.steps)) / progress.epochs
    begin, done = format_epoch(progress), f"{share:4.0%}"
    left = [] if progress.seconds_left is None else [f"{format_duration(progress.seconds_left)} left"]
    metrics = format_metrics(progress, best=False)
    for some in (metrics, metrics[:1], []):
        room = width - len(GAP.join([begin, done, *some, *left])) - len(GAP)
        if room >= BAR_WIDTH[0]:
            return GAP.join([begin, draw_bar(share, min(BAR_WIDTH[1], room)), done, *some, *left])
    return join_fitting([begin, done, *left], width)


def join_fitting(parts: list[str], width: int) -> str:
    """Join as many parts as fit, and always the first one.

    >>> join_fitting(["epoch 1/2", "loss 0.5", "accuracy 0.9"], 20)
    'epoch 1/2  loss 0.5'
    """
    count = next((n for n in range(len(parts), 1, -1) if len(GAP.join(parts[:n])) <= width), 1)
    return GAP.join(parts[:count])


def format_epoch(progress: Progress) -> str:
    return f"{progress.part}{GAP * bool(progress.part)}epoch {progress.epoch}/{progress.epochs}"


def format_metrics(progress: Progress, best: bool = True) -> list[str]:
    """Format loss and metric: `loss 0.412`, `accuracy 0.931`, `best 0.935`."""
    parts = [f"loss {progress.loss:.3f}"]
    if progress.phase == "refit":
        return [*parts, "now training on the held-out rows too"]
    if progress.metric is not None:
        parts.append(f"{progress.metric_name.replace('_', ' ')} {progress.metric:.3f}")
        if best and progress.best is not None:
            parts.append(f"best {progress.best:.3f}")
    return parts


def format_duration(seconds: float) -> str:
    """Format seconds for people.

    >>> format_duration(42.4), format_duration(150)
    ('42 s', '2 min 30 s')
    """
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
