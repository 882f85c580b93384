"""The benchmarks step, sequence and pool: one recurrent layer in tidegate and in every other library that has it."""

from __future__ import annotations

import argparse
from functools import cache
from typing import Any

from tidegate import _native

from . import cases, interleaved, ours, peers, record
from .fma import peak
from .interleaved import Plan, Row, Work

peak_rate = cache(peak)


def run_bench(question: str, doc: str | None, default: list[str]) -> None:
    """Run a benchmark: print the errors and then the times of every case, and write the figures of the run."""
    parser = record.make_speed_parser(doc)
    cases.add_flag(parser, question, default)
    peers.add_flag(parser)
    add_plan_flags(parser)
    options = parser.parse_args()
    here = peers.find_installed(options.peers)
    plan, rows = Plan(options.rounds, options.seconds), []
    for case in options.cases:
        rows.append(measure(case, here, plan))
        for line in interleaved.format_lines(rows[-1]):
            print(line, flush=True)
    record.write(
        options.out, question, record.with_provenance({"absent": absent(options.peers, here), "rows": rows}, *here)
    )


def add_plan_flags(parser: argparse.ArgumentParser, rounds: int = 15, seconds: float = 0.02) -> None:
    """Add the flags --rounds and --seconds."""
    parser.add_argument("--rounds", type=int, default=rounds, help=f"maximum number of rounds (default {rounds})")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"about, per timing (default {seconds})")


def absent(wanted: list[str], here: list[str]) -> list[str]:
    return [name for name in wanted if name not in here]


def measure(case: cases.Case, here: list[str], plan: Plan) -> Row:
    """Measure a case: print its errors, then time it."""
    works, errors, bound = check(case, here)
    times = interleaved.take_times(works, plan)
    row = interleaved.make_row(case.title, times, errors, **bound)
    return {**row, **share(case, row["ours"]), "kind": case.kind, "plain": case.plain}


def check(case: cases.Case, here: list[str]) -> tuple[dict[str, Work], dict[str, float | None], Row]:
    """Make the works by name, ours first; measure each one's largest error against float64, and compare ours with its
    bound."""
    model, x = ours.make_model(case), ours.make_inputs(case)
    engine = ours.compile_model(case, model)
    bound = ours.check_bound(case, model, engine, x)
    works = {ours.engine_name(engine): ours.make_work(case, model, engine, x)}
    right = {ours.engine_name(engine): ours.run_float64(case, model, x)}
    for name, plainer in case.our_variants().items():
        other = ours.make_model(plainer)
        works[name] = ours.make_work(plainer, other, ours.compile_model(plainer, other), x)
        right[name] = ours.run_float64(plainer, other, x)
    others = peers.make_works(case, model, x, here)
    right |= {name: right[ours.engine_name(engine)] for name in others if case.cell != "mingru"}
    works |= others
    errors = {name: error(case, work, right.get(name)) for name, work in works.items()}
    print(interleaved.format_errors(case.title, errors, bound), flush=True)
    return works, errors, bound


def error(case: cases.Case, work: Work, right: Any) -> float | None:
    """Return the largest error after all steps from a state of zeros; None for a library with another equation."""
    work.before()
    for _ in range(case.steps if case.stepwise else 1):
        work.call()
    return None if right is None else float(abs(work.result() - right).max())


def share(case: cases.Case, own: Row) -> Row:
    """Return which share of the core's peak rate in float32 the products reach; None without a C compiler."""
    most = peak_rate(_native.default_target())
    if most is None:
        return {"ours": {**own, "share": None}, "peak_gflops": None}
    return {"ours": {**own, "share": case.operations / own["us"] / 1e3 / most}, "peak_gflops": most}
