"""The progress of training: a bar on a terminal, one line an epoch elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from ..errors import MissingExtra

if TYPE_CHECKING:
    from ..train import Progress


class Reporter:
    """Called with each Progress; a context, so that the bar is closed whatever happens."""

    def __init__(self, out: IO[str]) -> None:
        self.out = out
        self.bar: Any = None
        self.live = out.isatty()
        self.left = 0.0

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, progress: Progress) -> None:
        if self.live:
            self.move(progress)
        elif progress.evaluated:
            self.line(progress)
        self.left = progress.seconds_left or self.left

    def say(self, sentence: str) -> None:
        """Print a sentence on a line of its own, before the bar begins."""
        print(sentence, file=self.out, flush=True)

    def line(self, progress: Progress) -> None:
        left = f"  {duration(self.left)} left" if progress.epoch < progress.epochs else ""
        print(f"epoch {progress.epoch}/{progress.epochs}  {figures(progress)}{left}", file=self.out, flush=True)

    def move(self, progress: Progress) -> None:
        if self.bar is None:
            self.bar = tqdm_bar(self.out)
        left = "" if progress.seconds_left is None else f"  {duration(progress.seconds_left)} left"
        told = f"epoch {progress.epoch}/{progress.epochs}  {figures(progress)}{left}"
        self.bar.set_description_str(told, refresh=False)
        done = (progress.epoch - 1 + progress.step / max(1, progress.steps)) / progress.epochs
        self.bar.update(done - self.bar.n)


def tqdm_bar(out: IO[str]) -> Any:
    """A bar over the share of the work that is done, 0 to 1."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError as error:
        raise MissingExtra(
            'the progress bar needs tqdm, which is not installed; pip install "tidegate[train]"'
        ) from error
    layout = "{percentage:3.0f}% |{bar}| {desc}"
    return tqdm(total=1.0, file=out, bar_format=layout, ascii=" .#", dynamic_ncols=True)


def figures(progress: Progress) -> str:
    """`loss 0.412  accuracy 0.931 (best 0.935)`"""
    parts = [f"loss {progress.loss:.3f}"]
    if progress.phase == "refit":
        return f"{parts[0]}  now learning from the held-out rows too"
    if progress.metric is not None:
        best = "" if progress.best is None else f" (best {progress.best:.3f})"
        parts.append(f"{progress.metric_name} {progress.metric:.3f}{best}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> duration(42.4), duration(150)
    ('42 s', '2 min 30 s')
    """
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
