"""Time training of one recurrent layer by tidegate.nn, compared with torch.nn and jax.

    python bench/training.py [--cases 32x100x64x128 lstm:32x100x64x128] [--peers torch jax] [--rounds 9]

Each step is a forward and a backward pass with all gradients. A case is [CELL[,KEY=VALUE ...]:]BxTxIxH: rows, steps,
inputs, units, and a dialect's keys. All libraries have the same weights, float32 and one thread. The largest error of
the gradients of inputs and weights is printed first: against float64, divided by the gradient's largest number. Times
are CPU times of interleaved rounds: median and quartiles of each library, and of the ratio of its time to ours in the
same round. A GRU is also compared with torch.nn's LSTM and ours, and a dialect with our default. jax: value and
gradients of a jitted scan. The share is that of the core's peak rate of multiply-adds in float32, counting three
products for each of the forward ones.
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
MAX_ERROR = 1e-3  # relative to a gradient's largest number; float32 never rounds by so much


def make_works(case: cases.Case, here: list[str]) -> tuple[dict[str, Work], dict[str, float | None]]:
    """Make the works by name, ours first, and measure the largest error of each that has the case's equation."""
    x, dy = training.make_inputs(case)
    own = training.make_module(case)
    works = {f"tidegate {_native.default_target()}": training.make_work(own, x, dy)}
    right = dict.fromkeys(works, training.exact_gradients(case, x, dy))
    for name, plainer in case.our_variants().items():
        works[name], right[name] = (
            training.make_work(training.make_module(plainer), x, dy),
            training.exact_gradients(plainer, x, dy),
        )
    if case.plain:
        works["tidegate lstm"] = training.make_work(training.make_module(case._replace(cell="lstm")), x, dy)
    others = training.make_peers(case, x, dy, own) if "torch" in here else {}
    if "jax" in here and case.plain:
        others["jax"] = training.jax_gru(own, x, dy)
    same = ("jax", f"torch.nn.{training.OURS[case.cell]}")
    right |= {name: next(iter(right.values())) for name in others if name in same}
    works |= others
    errors = {name: error(work, right.get(name)) for name, work in works.items()}
    return works, errors


def error(work: Work, right: training.Gradients | None) -> float | None:
    work.before()
    work.call()
    return None if right is None else training.largest_error(work.result(), right)


def measure(case: cases.Case, here: list[str], plan: Plan) -> Row:
    """Measure a case: print its errors, then time it."""
    works, errors = make_works(case, here)
    print(interleaved.format_errors(case.title, errors), flush=True)
    name = next(iter(works))
    if not (errors[name] or 0.0) < MAX_ERROR:
        raise SystemExit(f"{case.title}: an error of {errors[name]} is more than rounding; nothing is timed")
    row = interleaved.make_row(case.title, interleaved.take_times(works, plan), errors)
    return {
        **row,
        **forward.share(case, row["ours"]),
        "kind": case.kind,
        "plain": case.plain,
        "engine": training.make_module(case).engine,
    }


def main() -> None:
    parser = record.make_speed_parser(__doc__)
    cases.add_flag(parser, "training", CASES)
    peers.add_flag(parser, "torch", "jax")
    forward.add_plan_flags(parser, rounds=9)
    options = parser.parse_args()
    here, rows = peers.find_installed(options.peers), []
    for case in options.cases:
        rows.append(measure(case, here, Plan(options.rounds, options.seconds)))
        for line in interleaved.format_lines(rows[-1]):
            print(line, flush=True)
    figures = {"absent": forward.absent(options.peers, here), "rows": rows}
    record.write(
        options.out, "training", record.with_provenance(figures, "torch", *(name for name in here if name != "torch"))
    )


if __name__ == "__main__":
    main()
