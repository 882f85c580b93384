"""Interleaved timing of several works in one process, and its output.

A speed is never absolute: every round times each work once, and a ratio compares two times of the same round, so that
whatever slows the machine down for a while slows down both.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

MAX_CALLS, MIN_ROUNDS = 5000, 5
Times = dict[str, list[float]]
Row = dict[str, Any]


def do_nothing() -> None:
    """Do nothing."""


class Work(NamedTuple):
    """Something to time.

    call: what is timed. result: returns the result of the last calls: of steps the last state [B, H], of sequences all
    outputs [T, B, H], of training the gradients. before: runs before each timing, outside of it.
    """

    call: Callable[[], Any]
    result: Callable[[], Any]
    before: Callable[[], None] = do_nothing


class Plan(NamedTuple):
    """How long to time.

    rounds: the maximum number of rounds. seconds: of one timing, about. total_seconds: of all rounds, about; there are
    at least 5 rounds. clock: CPU time or wall time.
    """

    rounds: int
    seconds: float
    total_seconds: float = 20.0
    clock: Callable[[], float] = time.process_time


def time_calls(work: Work, calls: int, clock: Callable[[], float] = time.process_time) -> float:
    """Return the seconds per call."""
    work.before()
    start = clock()
    for _ in range(calls):
        work.call()
    return (clock() - start) / calls


def take_times(works: dict[str, Work], plan: Plan) -> Times:
    """Return the seconds per call of each work, one number per round."""
    first = {name: max(1e-7, time_calls(work, 3 if plan.seconds else 1, plan.clock)) for name, work in works.items()}
    calls = {name: min(MAX_CALLS, 1 + int(plan.seconds / one)) for name, one in first.items()}
    round_seconds = sum(calls[name] * one for name, one in first.items())
    rounds = min(plan.rounds, max(MIN_ROUNDS, int(plan.total_seconds / round_seconds)))
    times: Times = {name: [] for name in works}
    for _, (name, work) in itertools.product(range(rounds), works.items()):
        times[name].append(time_calls(work, calls[name], plan.clock))
    return times


def make_row(title: str, times: Times, errors: dict[str, float | None], **more: Any) -> Row:
    """Make the figures of a case: ours is first in `times`; a ratio is a peer's time over ours in the same round."""
    (_, own), *others = times.items()
    peers = {
        name: {
            "error": errors.get(name),
            **median_and_quartiles(of),
            "ratio": (ratios := ratio_quartiles(of, own))[1],
            "quartiles": [ratios[0], ratios[2]],
        }
        for name, of in others
    }
    name = next(iter(times))
    return {
        "case": title,
        "ours": {"name": name, "error": errors[name], **median_and_quartiles(own), **more},
        "rounds": len(own),
        "peers": peers,
    }


def median_and_quartiles(times: list[float]) -> Row:
    low, median, high = statistics.quantiles(times, n=4)
    return {"us": median * 1e6, "spread": [low * 1e6, high * 1e6]}


def ratio_quartiles(peer: list[float], own: list[float]) -> list[float]:
    """Return the quartiles of the ratio of the peer's time to ours."""
    return statistics.quantiles([p / o for p, o in zip(peer, own, strict=True)], n=4)


# ---- output


def format_errors(title: str, errors: dict[str, float | None], bound: Row | None = None) -> str:
    """Format the errors, ours first with its bound if there is one."""
    name, *others = errors
    held = f" ({format_bound(bound)})" if bound else ""
    rest = "".join(f", {other} {format_error(errors[other])}" for other in others)
    return f"{title}: error {name} {format_error(errors[name])}{held}{rest}"


def format_bound(bound: Row) -> str:
    """Format a bound and how much of it an error reaches.

    >>> format_bound({"bound": 2e-4, "of_bound": 0.05})
    '0.050 of its bound 2e-04'
    >>> format_bound({"of_rounded": 1e-5, "bound": 2e-4, "of_bound": 0.05})
    'from the rounded weights 1e-05, 0.050 of its bound 2e-04'
    """
    rounded = f"from the rounded weights {format_error(bound['of_rounded'])}, " if "of_rounded" in bound else ""
    return f"{rounded}{bound['of_bound']:.3f} of its bound {format_error(bound['bound'])}"


def format_error(error: float | None) -> str:
    return "-" if error is None else f"{error:.0e}"


def format_lines(row: Row) -> list[str]:
    """Format a case as one line per peer; without peers as one line."""
    own, share = row["ours"], row["ours"].get("share")
    end = f", error {format_error(own['error'])})" + (f"; {share:.0%} of the core's peak" if share else "")
    if not row["peers"]:
        return [f"{row['case']}: (ours {format_duration(own)}{end}"]
    return [
        f"{row['case']} vs {name}: {format_digits(of['ratio'])}x, {' to '.join(map(format_digits, of['quartiles']))} "
        f"(ours {format_duration(own)}, theirs {format_duration(of)}{end}"
        for name, of in row["peers"].items()
    ]


def format_duration(of: Row) -> str:
    """Format a median time with its quartiles.

    >>> format_duration({"us": 1500.0, "spread": [1400.0, 1700.0]}), format_duration({"us": 1.5, "spread": [1.4, 1.6]})
    ('1.5 ms [1.4 to 1.7]', '1.5 us [1.4 to 1.6]')
    """
    scale, unit = (1.0, "us") if of["us"] < 1e3 else (1e3, "ms")
    low, high = (format_digits(value / scale) for value in of["spread"])
    return f"{format_digits(of['us'] / scale)} {unit} [{low} to {high}]"


def format_digits(value: float) -> str:
    """Format a number with three digits, large ones with more.

    >>> format_digits(0.8432), format_digits(6.31), format_digits(42.44), format_digits(1210.2)
    ('0.843', '6.31', '42.4', '1210')
    """
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
