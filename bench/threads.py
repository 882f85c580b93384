"""Measure the gain of a second thread for sequences, a pool and training, compared with torch.nn.GRU.

    python bench/threads.py [--threads 1 2] [--cases sequence:32x100x64x128 pool:10000x64x64] [--rounds 9]

A case is KIND:SIZES; sequence and training BxTxIxH, pool BxIxH: rows, steps, inputs, units of a GRU. Errors come first,
and a check that our bits do not depend on the number of threads: those of outputs, and in training of every gradient.
Times are wall times of interleaved rounds with a rest between timings, so that no library's idle threads spin during
another's: medians and quartiles, and those of torch's ratio to ours in the same round with as many threads. Ours with
more threads is also compared with ours with one.
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
ByThreads = dict[int, Work]


def parse_case(text: str) -> Case:
    kind, _, sizes = text.partition(":")
    if kind not in ("sequence", "pool", "training"):
        raise argparse.ArgumentTypeError(f"{text!r} is none of sequence:BxTxIxH, training:BxTxIxH, pool:BxIxH")
    return parse(kind, sizes)


def with_rest(work: Work, threads: int) -> Work:
    """Return the work with a rest before it, and torch set to so many threads."""

    def before() -> None:
        torch.set_num_threads(threads)
        time.sleep(REST)

    return work._replace(before=before)


def forward_works(of: Case, threads: int) -> tuple[Work, Work, Any]:
    """Make our work and torch's, and the exact result."""
    model, x = ours.make_model(of), ours.make_inputs(of)
    theirs = torch_peers.make_works(of, model, x, threads)
    own = ours.make_work(of, model, ours.compile_model(of, model), x, threads)
    return with_rest(own, threads), with_rest(theirs["torch.nn.GRU"], threads), ours.run_float64(of, model, x)


def training_works(of: Case, threads: int) -> tuple[Work, Work, Any]:
    (x, dy), own = training.make_inputs(of), training.make_module(of)
    theirs = training.make_peers(of, x, dy, own, threads)["torch.nn.GRU"]
    return (
        with_rest(training.make_work(own, x, dy), threads),
        with_rest(theirs, threads),
        training.exact_gradients(of, x, dy),
    )


def check(of: Case, threads: list[int]) -> tuple[dict[str, ByThreads], dict[str, float | None]]:
    """Return all works by number of threads, and the largest errors. Ends the benchmark where our bits differ."""
    make_works = training_works if of.kind == "training" else forward_works
    works: dict[str, ByThreads] = {"tidegate": {}, "torch.nn.GRU": {}}
    errors: dict[str, float | None] = dict.fromkeys(works, 0.0)
    bits = set()
    for n in threads:
        *both, right = make_works(of, n)
        for name, work in zip(works, both, strict=True):
            works[name][n] = work
            error = training_error(work, right) if of.kind == "training" else forward.error(of, work, right)
            errors[name] = max(errors[name] or 0.0, error or 0.0)
        left = both[0].result()
        bits.add(b"".join(v.numpy().tobytes() for v in left) if of.kind == "training" else left.tobytes())
    if len(bits) > 1:
        raise SystemExit(f"{of.title}: our bits differ between {threads} threads; nothing is timed")
    return works, errors


def training_error(work: Work, right: Any) -> float:
    work.before()
    work.call()
    return training.largest_error(work.result(), right)


def measure(of: Case, threads: list[int], plan: Plan) -> list[Row]:
    """Return a row for each number of threads; all of them are timed in the same rounds."""
    works, errors = check(of, threads)
    print(
        interleaved.format_errors(of.title, errors) + f"; same bits with {' and '.join(map(str, threads))} threads",
        flush=True,
    )
    flat = {f"{name}, {n}": work for name, by in works.items() for n, work in by.items()}
    times, rows = interleaved.take_times(flat, plan), []
    for n in threads:
        mine = {name: times[f"{name}, {n}"] for name in works}
        if n != threads[0]:
            mine[f"tidegate with {threads[0]}"] = times[f"tidegate, {threads[0]}"]
        rows.append(
            {
                **interleaved.make_row(f"{of.title}, {n} thread{'s'[: n > 1]}", mine, errors),
                "kind": of.kind,
                "threads": n,
            }
        )
    return rows


def main() -> None:
    parser = record.make_speed_parser(__doc__)
    parser.add_argument(
        "--cases", nargs="+", type=parse_case, metavar="CASE", default=[parse_case(text) for text in CASES]
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    forward.add_plan_flags(parser, rounds=9, seconds=0.05)
    options = parser.parse_args()
    plan, rows = Plan(options.rounds, options.seconds, clock=time.perf_counter), []
    for of in options.cases:
        case_rows = measure(of, options.threads, plan)
        print("\n".join(line for row in case_rows for line in interleaved.format_lines(row)), flush=True)
        rows += case_rows
    record.write(options.out, "threads", record.with_provenance({"rows": rows}, "torch"))


if __name__ == "__main__":
    main()
