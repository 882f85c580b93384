"""Times of several works, taken by turns in one run, and how they are told.

A speed is never an absolute: every round times each work once, and a ratio is one of two times of the same round, so
that what slows the machine down for a while slows both.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

MOST_CALLS, LEAST_ROUNDS = 5000, 5
Times = dict[str, list[float]]
Row = dict[str, Any]


def nothing() -> None:
    """What most works need before they are timed."""


class Work(NamedTuple):
    """call: what is timed. left: what it has left: of steps the last state [B, H], of sequences all outputs [T, B, H],
    of training the gradients. before: run before each timing, outside of it."""

    call: Callable[[], Any]
    left: Callable[[], Any]
    before: Callable[[], None] = nothing


class Plan(NamedTuple):
    """rounds: how many at most; seconds: of one timing, about; most: seconds of all rounds, about, from 5 rounds on;
    clock: CPU time or wall time."""

    rounds: int
    seconds: float
    most: float = 20.0
    clock: Callable[[], float] = time.process_time


def timed(work: Work, calls: int, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds a call."""
    work.before()
    start = clock()
    for _ in range(calls):
        work.call()
    return (clock() - start) / calls


def taken(works: dict[str, Work], plan: Plan) -> Times:
    """Seconds a call of each work, one number a round."""
    first = {name: max(1e-7, timed(work, 3 if plan.seconds else 1, plan.clock)) for name, work in works.items()}
    calls = {name: min(MOST_CALLS, 1 + int(plan.seconds / one)) for name, one in first.items()}
    round_seconds = sum(calls[name] * one for name, one in first.items())
    rounds = min(plan.rounds, max(LEAST_ROUNDS, int(plan.most / round_seconds)))
    times: Times = {name: [] for name in works}
    for _, (name, work) in itertools.product(range(rounds), works.items()):
        times[name].append(timed(work, calls[name], plan.clock))
    return times


def row(called: str, times: Times, errors: dict[str, float | None], **more: Any) -> Row:
    """The figures of a case: ours is the first of `times`; a peer's ratio is its time over ours of the same round."""
    (_, own), *others = times.items()
    peers = {
        name: {
            "error": errors.get(name),
            **middle(of),
            "ratio": (ratios := over(of, own))[1],
            "quartiles": [ratios[0], ratios[2]],
        }
        for name, of in others
    }
    name = next(iter(times))
    return {
        "case": called,
        "ours": {"name": name, "error": errors[name], **middle(own), **more},
        "rounds": len(own),
        "peers": peers,
    }


def middle(times: list[float]) -> Row:
    low, median, high = statistics.quantiles(times, n=4)
    return {"us": median * 1e6, "spread": [low * 1e6, high * 1e6]}


def over(peer: list[float], own: list[float]) -> list[float]:
    """Quartiles of how many times as long the peer takes."""
    return statistics.quantiles([p / o for p, o in zip(peer, own, strict=True)], n=4)


# ---- what is said


def errors_line(called: str, errors: dict[str, float | None], bound: Row | None = None) -> str:
    """The errors, ours first with its bound where there is one."""
    name, *others = errors
    held = f" ({within(bound)})" if bound else ""
    rest = "".join(f", {other} {told(errors[other])}" for other in others)
    return f"{called}: error {name} {told(errors[name])}{held}{rest}"


def within(bound: Row) -> str:
    """
    >>> within({"bound": 2e-4, "of_bound": 0.05})
    '0.050 of its bound 2e-04'
    >>> within({"of_rounded": 1e-5, "bound": 2e-4, "of_bound": 0.05})
    'from the rounded weights 1e-05, 0.050 of its bound 2e-04'
    """
    rounded = f"from the rounded weights {told(bound['of_rounded'])}, " if "of_rounded" in bound else ""
    return f"{rounded}{bound['of_bound']:.3f} of its bound {told(bound['bound'])}"


def told(error: float | None) -> str:
    return "-" if error is None else f"{error:.0e}"


def lines(row: Row) -> list[str]:
    """One line a peer; of a case without peers one line."""
    own, share = row["ours"], row["ours"].get("share")
    end = f", error {told(own['error'])})" + (f"; {share:.0%} of the core's peak" if share else "")
    if not row["peers"]:
        return [f"{row['case']}: (ours {duration(own)}{end}"]
    return [
        f"{row['case']} vs {name}: {digits(of['ratio'])}x, {' to '.join(map(digits, of['quartiles']))} "
        f"(ours {duration(own)}, theirs {duration(of)}{end}"
        for name, of in row["peers"].items()
    ]


def duration(of: Row) -> str:
    """
    >>> duration({"us": 1500.0, "spread": [1400.0, 1700.0]}), duration({"us": 1.5, "spread": [1.4, 1.6]})
    ('1.5 ms [1.4 to 1.7]', '1.5 us [1.4 to 1.6]')
    """
    scale, unit = (1.0, "us") if of["us"] < 1e3 else (1e3, "ms")
    low, high = (digits(value / scale) for value in of["spread"])
    return f"{digits(of['us'] / scale)} {unit} [{low} to {high}]"


def digits(value: float) -> str:
    """Three of them, more of large numbers.

    >>> digits(0.8432), digits(6.31), digits(42.44), digits(1210.2)
    ('0.843', '6.31', '42.4', '1210')
    """
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
