"""Time one step of a stream that sleeps between its steps, so that its weights have left the core's own caches.

    python bench/step_cold.py [--cases 64x128] [--peers torch onnxruntime] [--wakes 150] [--megabytes 16]

A stream that wakes 100 times a second shares its core with other work. Between any two steps a buffer of 16 MB is read
and written: eight times a second-level cache of 2 MB, and more than a core's slice of a shared third level. Weights,
state, code and the interpreter's own data then come from the third level, for tidegate and for every other library.
Cases, libraries and errors are those of step.py; one thread. A single step is too short for the clock of CPU time, so
times are wall times minus that of an empty call timed in the same way: medians and quartiles, and those of a library's
ratio to ours in the same round. hot: our median of consecutive steps in the same run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from common import cases, forward, interleaved, peers, record
from common.interleaved import Row, Times, Work

CASES = [*(f"64x{size}" for size in (32, 64, 128, 256, 512)), "lstm:64x128", "gru,weights=bf16:64x512"]
HOT = 200


def make_sweep(megabytes: int) -> Callable[[], object]:
    """Make a call that sends a buffer of this size through the caches."""
    buffer = np.zeros(megabytes * 2**20, np.uint8)
    return lambda: np.add(buffer, 1, out=buffer)


def seconds(work: Work) -> float:
    start = time.perf_counter()
    work.call()
    return time.perf_counter() - start


def take_times(works: dict[str, Work], wakes: int, megabytes: int) -> Times:
    """Time a step of each work after a sweep, once per wake, minus the time of an empty call."""
    sweep, empty_work = make_sweep(megabytes), Work(interleaved.do_nothing, interleaved.do_nothing)
    times: Times = {name: [] for name in works}
    empty = []
    for _ in range(wakes):
        for name, work in works.items():
            sweep()
            times[name].append(seconds(work))
        sweep()
        empty.append(seconds(empty_work))
    overhead = statistics.median(empty)
    return {name: [max(1e-9, one - overhead) for one in of] for name, of in times.items()}


def measure(case: cases.Case, here: list[str], wakes: int, megabytes: int) -> Row:
    works, errors, bound = forward.check(case, here)
    own = next(iter(works.values()))
    hot = statistics.median(interleaved.time_calls(own, HOT) for _ in range(interleaved.MIN_ROUNDS))
    row = interleaved.make_row(f"{case.title} cold", take_times(works, wakes, megabytes), errors, **bound)
    row["ours"]["hot_us"] = hot * 1e6
    return {**row, "kind": "step_cold", "plain": case.plain}


def main() -> None:
    parser = record.make_speed_parser(__doc__)
    cases.add_flag(parser, "step", CASES)
    peers.add_flag(parser)
    parser.add_argument("--wakes", type=int, default=150)
    parser.add_argument("--megabytes", type=int, default=16)
    options = parser.parse_args()
    here, rows = peers.find_installed(options.peers), []
    for case in options.cases:
        rows.append(row := measure(case, here, options.wakes, options.megabytes))
        for line in interleaved.format_lines(row):
            print(line, flush=True)
        times = row["ours"]["us"] / row["ours"]["hot_us"]
        print(f"{row['case']}: {times:.1f} times the {row['ours']['hot_us']:.3g} us of a hot step", flush=True)
    figures = {"absent": forward.absent(options.peers, here), "megabytes": options.megabytes, "rows": rows}
    record.write(options.out, "step_cold", record.with_provenance(figures, *here))


if __name__ == "__main__":
    main()
