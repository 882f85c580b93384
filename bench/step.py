"""One step of one stream from Python, beside every library that has the cell.

    python bench/step.py [--cases 64x128 lstm:64x128 gru,reset=before:64x64] [--peers torch onnxruntime] [--rounds 15]

A case is [CELL[,KEY=VALUE ...]:]IxH: a dialect's keys, or weights=bf16, compute=bf16. The same weights everywhere, one
thread; the largest error after 8 steps against float64 comes first, ours beside its derived bound. Times are CPU time,
in turns in one run: each one's median and quartiles, and those of its time over ours in the same round. torch.nn has no
minimal GRU: a GRU as wide stands beside it. The share is of the core's most multiply-adds in float32, products only.
"""

from common import forward

CASES = [
    *(f"64x{size}" for size in (32, 64, 128, 256, 512)),
    *(f"gru,{bf16}:64x{size}" for size in (128, 256, 512) for bf16 in ("weights=bf16", "compute=bf16")),
    *(f"{cell}:64x128" for cell in ("gru,reset=before", "gru,norm=layer", "lstm", "rnn", "mingru")),
]

if __name__ == "__main__":
    forward.run_bench("step", __doc__, CASES)
