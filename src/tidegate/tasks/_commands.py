"""What commands ask a task, and what it answers: its flags, questions and results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Flag:
    """A flag that a task adds to a command, `name` in Python and --name there.

    subject: what it is for, in words, such as "labels" or "forecasters". kind: the type of its value; bool for a flag
    without one. file: its value is a path. counted: it is a number from 1, called `metavar`, and a path that is read.
    remedy: what to do where a model has no use for it. old_name: its name in older versions. The value is None unless
    it is typed.
    """

    name: str
    help: str
    subject: str
    metavar: str | None = None
    kind: type = str
    choices: tuple[str, ...] | None = None
    file: bool = False
    counted: bool = False
    remedy: str = "leave it out"
    old_name: str = ""


class Scored(Protocol):
    """What `score` of a task returns."""

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as an object for JSON."""

    def report(self, width: int) -> str:
        """Format the metrics for people. width: of the terminal."""


@runtime_checkable
class Plotted(Protocol):
    """What `score` or `predict` returns as well, if the task adds the flag --plot to it."""

    def plot(self, path: str, force: bool) -> str:
        """Plot the result and return what was written, in words."""


@runtime_checkable
class Encoded(Protocol):
    """What `predict` returns as well, if the task adds the flag --vectors to it."""

    def vectors(self) -> npt.NDArray[np.float32]:
        """Return the vector of each input, float32 [n, width]."""


@dataclass(frozen=True)
class Question:
    """What `predict` is asked: the rows of a file, or messages with their places. text: the column of --text."""

    file: str | None
    messages: list[tuple[str, str]] | None
    text: str | None = None


class Predicted(Protocol):
    """What `predict` of a task returns.

    columns: of the table that --out writes, each with the type of its cells, str, int or float. warnings, notes:
    sentences for stderr, before and after the predictions.
    """

    columns: dict[str, type]
    warnings: Sequence[str]
    notes: Sequence[str]

    def rows(self) -> Iterable[Sequence[Any]]:
        """Iterate over the rows of the table."""

    def records(self) -> Iterable[dict[str, Any]]:
        """Iterate over the predictions as objects for JSON."""

    def format(self, width: int | None, unicode: bool) -> Iterable[str]:
        """Format the predictions for people. width: of the terminal, None if there is none."""
