"""Time one step of 10,000 streams at once from Python, compared with every library that has the cell.

    python bench/pool.py [--cases 10000x64x64 gru,compute=bf16:10000x64x64] [--peers torch onnxruntime] [--rounds 15]

A case is [CELL[,KEY=VALUE ...]:]BxIxH: streams, inputs, units; keys are those of a dialect, or weights=bf16,
compute=bf16. All libraries have the same weights and one thread. The largest error after 8 steps against float64 is
printed first, ours with its derived bound. Times are CPU times of interleaved rounds: median and quartiles of each
library, and of the ratio of its time to ours in the same round. The share is that of the core's peak rate of
multiply-adds in float32, counting products only.
"""

from common import forward

CASES = [
    "10000x64x64",
    "gru,weights=bf16:10000x64x64",
    "gru,compute=bf16:10000x64x64",
    "gru,reset=before:10000x64x64",
    "lstm:10000x64x64",
]

if __name__ == "__main__":
    forward.run_bench("pool", __doc__, CASES)
