"""Training one recurrent layer by tidegate.nn, beside torch.nn and jax: forward, backward and all gradients.

    python bench/training.py [--cases 32x100x64x128 lstm:32x100x64x128] [--peers torch jax] [--rounds 9]

A case is [CELL[,KEY=VALUE ...]:]BxTxIxH: rows, steps, inputs, units, and a dialect's keys. The same weights everywhere,
float32, one thread. Each one's largest error over the gradients of inputs and weights comes first, against float64 and
over that gradient's largest number. Times are CPU time, in turns in one run: each one's median and quartiles, and those
of its time over ours in the same round; beside a GRU also torch.nn's LSTM and ours, of a dialect also our default. jax:
value and gradients of a jitted scan. The share is of the core's most multiply-adds in float32, by three products for
each of the forward ones.
"""

from __future__ import annotations

from common import cases, forward, interleaved, peers, record, training
from common.interleaved import Plan, Row, Work

from tidegate import _native

CASES = [
    "1x1000x64x128",
    "32x100x64x128",
    "32x100x256x256",
    "64x256x512x512",
    "32x100x32x32",
    "16x200x32x64",
    "8x400x64x128",
    *(f"gru,reset=before:{shape}" for shape in ("1x1000x64x128", "32x100x64x128", "32x100x256x256")),
    "gru,norm=layer:32x100x64x128",
    *(f"lstm:{shape}" for shape in ("32x100x64x128", "32x100x256x256")),
    "rnn:32x100x64x128",
    "mingru:32x100x64x128",
]
WRONG = 1e-3  # no rounding of float32 takes a gradient so far, over its largest number


def works(case: cases.Case, here: list[str]) -> tuple[dict[str, Work], dict[str, float | None]]:
    """The works by name, ours first, and the largest error of each that has the case's equation or a dialect of it."""
    x, dy = training.given(case)
    own = training.module(case)
    found = {f"tidegate {_native.default_target()}": training.work(own, x, dy)}
    right = dict.fromkeys(found, training.exact(case, x, dy))
    for name, plainer in case.against().items():
        found[name], right[name] = training.work(training.module(plainer), x, dy), training.exact(plainer, x, dy)
    if case.plain:
        found["tidegate lstm"] = training.work(training.module(case._replace(cell="lstm")), x, dy)
    others = training.peers(case, x, dy, own) if "torch" in here else {}
    if "jax" in here and case.plain:
        others["jax"] = training.jax_gru(own, x, dy)
    same = ("jax", f"torch.nn.{training.OURS[case.cell]}")
    right |= {name: next(iter(right.values())) for name in others if name in same}
    found |= others
    errors = {name: error(work, right.get(name)) for name, work in found.items()}
    return found, errors


def error(work: Work, right: training.Gradients | None) -> float | None:
    work.before()
    work.call()
    return None if right is None else training.error(work.left(), right)


def measured(case: cases.Case, here: list[str], plan: Plan) -> Row:
    """The figures of a case; says its errors before it takes a time."""
    found, errors = works(case, here)
    print(interleaved.errors_line(case.called, errors), flush=True)
    name = next(iter(found))
    if not (errors[name] or 0.0) < WRONG:
        raise SystemExit(f"{case.called}: an error of {errors[name]} is no rounding; nothing is timed")
    row = interleaved.row(case.called, interleaved.taken(found, plan), errors)
    return {
        **row,
        **forward.share(case, row["ours"]),
        "kind": case.kind,
        "plain": case.plain,
        "engine": training.module(case).engine,
    }


def main() -> None:
    parser = record.timed_arguments(__doc__)
    cases.add(parser, "training", CASES)
    peers.add(parser, "torch", "jax")
    forward.plans(parser, rounds=9)
    options = parser.parse_args()
    here, rows = peers.installed(options.peers), []
    for case in options.cases:
        rows.append(measured(case, here, Plan(options.rounds, options.seconds)))
        for line in interleaved.lines(rows[-1]):
            print(line, flush=True)
    figures = {"absent": forward.absent(options.peers, here), "rows": rows}
    record.write(options.out, "training", record.made(figures, "torch", *(name for name in here if name != "torch")))


if __name__ == "__main__":
    main()
