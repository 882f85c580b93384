"""What a second thread gives: sequences, a pool and training, beside torch.nn.GRU with as many threads.

    python bench/threads.py [--threads 1 2] [--cases sequence:32x100x64x128 pool:10000x64x64] [--rounds 9]

A case is KIND:SIZES; sequence and training BxTxIxH, pool BxIxH: rows, steps, inputs, units of a GRU. Errors come first,
and whether ours has the same bits with any number of threads: outputs, and in training every gradient. Times are of the
wall, in turns in one run with a rest between them, so that nobody's idle threads spin in another's time: medians and
quartiles, and those of a peer's time over ours in the same round, for each number of threads. The same by ours with one
thread stands beside those with more.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from common import forward, interleaved, ours, record, torch_peers, training
from common.cases import Case, parse
from common.interleaved import Plan, Row, Work

CASES = [
    "sequence:32x100x64x128",
    "sequence:32x100x256x256",
    "pool:10000x64x64",
    "training:32x100x64x128",
    "training:32x100x256x256",
]
REST = 0.01
By = dict[int, Work]


def case(text: str) -> Case:
    kind, _, sizes = text.partition(":")
    if kind not in ("sequence", "pool", "training"):
        raise argparse.ArgumentTypeError(f"{text!r} is none of sequence:BxTxIxH, training:BxTxIxH, pool:BxIxH")
    return parse(kind, sizes)


def rested(work: Work, threads: int) -> Work:
    """The work with torch set to so many threads, after a rest."""

    def before() -> None:
        torch.set_num_threads(threads)
        time.sleep(REST)

    return work._replace(before=before)


def forward_works(of: Case, threads: int) -> tuple[Work, Work, Any]:
    """Ours, torch's and what is right."""
    model, x = ours.model(of), ours.given(of)
    theirs = torch_peers.works(of, model, x, threads)
    own = ours.work(of, model, ours.compiled(of, model), x, threads)
    return rested(own, threads), rested(theirs["torch.nn.GRU"], threads), ours.exact(of, model, x)


def training_works(of: Case, threads: int) -> tuple[Work, Work, Any]:
    (x, dy), own = training.given(of), training.module(of)
    theirs = training.peers(of, x, dy, own, threads)["torch.nn.GRU"]
    return rested(training.work(own, x, dy), threads), rested(theirs, threads), training.exact(of, x, dy)


def checked(of: Case, threads: list[int]) -> tuple[dict[str, By], dict[str, float | None]]:
    """Each one's works by the number of threads, and the largest errors. Ends the bench where our bits differ."""
    made = training_works if of.kind == "training" else forward_works
    works: dict[str, By] = {"tidegate": {}, "torch.nn.GRU": {}}
    errors: dict[str, float | None] = dict.fromkeys(works, 0.0)
    bits = set()
    for n in threads:
        *both, right = made(of, n)
        for name, work in zip(works, both, strict=True):
            works[name][n] = work
            error = training_error(work, right) if of.kind == "training" else forward.error(of, work, right)
            errors[name] = max(errors[name] or 0.0, error or 0.0)
        left = both[0].left()
        bits.add(b"".join(v.numpy().tobytes() for v in left) if of.kind == "training" else left.tobytes())
    if len(bits) > 1:
        raise SystemExit(f"{of.called}: our bits differ between {threads} threads; nothing is timed")
    return works, errors


def training_error(work: Work, right: Any) -> float:
    work.before()
    work.call()
    return training.error(work.left(), right)


def measured(of: Case, threads: list[int], plan: Plan) -> list[Row]:
    """A row for each number of threads; the times of all are taken in turns."""
    works, errors = checked(of, threads)
    print(
        interleaved.errors_line(of.called, errors) + f"; same bits with {' and '.join(map(str, threads))} threads",
        flush=True,
    )
    flat = {f"{name}, {n}": work for name, by in works.items() for n, work in by.items()}
    times, rows = interleaved.taken(flat, plan), []
    for n in threads:
        mine = {name: times[f"{name}, {n}"] for name in works}
        if n != threads[0]:
            mine[f"tidegate with {threads[0]}"] = times[f"tidegate, {threads[0]}"]
        rows.append(
            {**interleaved.row(f"{of.called}, {n} thread{'s'[: n > 1]}", mine, errors), "kind": of.kind, "threads": n}
        )
    return rows


def main() -> None:
    parser = record.timed_arguments(__doc__)
    parser.add_argument("--cases", nargs="+", type=case, metavar="CASE", default=[case(text) for text in CASES])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    forward.plans(parser, rounds=9, seconds=0.05)
    options = parser.parse_args()
    plan, rows = Plan(options.rounds, options.seconds, clock=time.perf_counter), []
    for of in options.cases:
        found = measured(of, options.threads, plan)
        print("\n".join(line for row in found for line in interleaved.lines(row)), flush=True)
        rows += found
    record.write(options.out, "threads", record.made({"rows": rows}, "torch"))


if __name__ == "__main__":
    main()
