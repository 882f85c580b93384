"""One step of 10,000 streams at once from Python, beside every library that has the cell.

    python bench/pool.py [--cases 10000x64x64 gru,compute=bf16:10000x64x64] [--peers torch onnxruntime] [--rounds 15]

A case is [CELL[,KEY=VALUE ...]:]BxIxH: streams, inputs, units; a dialect's keys, or weights=bf16, compute=bf16. The
same weights everywhere, one thread; the largest error after 8 steps against float64 comes first, ours beside its
derived bound. Times are CPU time, in turns in one run: each one's median and quartiles, and those of its time over ours
in the same round. The share is of the core's most multiply-adds in float32, products only.
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
