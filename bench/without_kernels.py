"""Time single steps, sequences, batches and pools without fused kernels, compared with the same engine with them.

    python bench/without_kernels.py [--cases step:64x128 sequence:gru,reset=before:32x100x64x128] [--rounds 15]

A case is KIND:CASE, by default every case of `step.py`, `sequence.py` and `pool.py`, each on the default target of its
precision and one thread. Without fused kernels, the engine interprets the operations of the layer's step
(`fused=False`, or TIDEGATE_FUSED=0). All outputs of both must have the same bits, or nothing is timed. Times are CPU
times of interleaved rounds: medians, and the median and quartiles of the ratio in the same round.
"""

import argparse

import pool
import sequence
import step
from common import forward, interleaved, ours, record
from common.cases import Case, parse
from common.interleaved import Plan, Row, Work

from tidegate.runtime import compile

KINDS = {"step": step, "sequence": sequence, "pool": pool}
WITHOUT = "operations"


def parse_case(text: str) -> Case:
    kind, _, case = text.partition(":")
    if kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(f'{kind}:CASE' for kind in KINDS)}")
    return parse(kind, case)


def make_works(of: Case) -> dict[str, Work]:
    """Make the work with fused kernels and the one without, named after the target and WITHOUT."""
    model, x = ours.make_model(of), ours.make_inputs(of)
    fused, plain = (compile(model, fused=fused, **of.precision) for fused in (True, False))
    assert list(fused.fused_layers) == [0]
    assert not plain.fused_layers
    assert plain.target == fused.target
    return {ours.engine_name(fused): ours.make_work(of, model, fused, x), WITHOUT: ours.make_work(of, model, plain, x)}


def check_bits(of: Case, works: dict[str, Work]) -> None:
    """End the benchmark unless the outputs of every call are equal."""
    for _ in range(of.steps if of.stepwise else 1):
        bits = set()
        for work in works.values():
            work.call()
            bits.add(work.result().tobytes())
        if len(bits) > 1:
            raise SystemExit(f"{of.title}: bits differ without fused kernels; nothing is timed")


def measure(of: Case, plan: Plan) -> Row:
    """Return the row of a case, whose peer is the engine without fused kernels."""
    works = make_works(of)
    check_bits(of, works)
    row = interleaved.make_row(of.title, interleaved.take_times(works, plan), dict.fromkeys(works))
    return {**row, "target": next(iter(works)).removeprefix("tidegate ")}


def main() -> None:
    parser = record.make_speed_parser(__doc__)
    default = [parse(kind, case) for kind, module in KINDS.items() for case in module.CASES]
    parser.add_argument("--cases", nargs="+", type=parse_case, metavar="CASE", default=default, help="KIND:CASE")
    forward.add_plan_flags(parser)
    options = parser.parse_args()
    plan, rows = Plan(options.rounds, options.seconds), []
    for of in options.cases:
        rows.append(measure(of, plan))
        (line,) = interleaved.format_lines(rows[-1])
        print(f"{line}; same bits", flush=True)
    record.write(options.out, "without_kernels", record.with_provenance({"rows": rows}))


if __name__ == "__main__":
    main()
