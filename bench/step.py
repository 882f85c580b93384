"""Time one step of one stream from Python, compared with every library that has the cell.

    python bench/step.py [--cases 64x128 lstm:64x128 gru,reset=before:64x64] [--peers torch onnxruntime] [--rounds 15]

A case is [CELL[,KEY=VALUE ...]:]IxH: inputs, units; keys are those of a dialect, or weights=bf16, compute=bf16. All
libraries have the same weights and one thread. The largest error after 8 steps against float64 is printed first, ours
with its derived bound. Times are CPU times of interleaved rounds: median and quartiles of each library, and of the
ratio of its time to ours in the same round. torch.nn has no minimal GRU, so a GRU of the same width takes its place.
The share is that of the core's peak rate of multiply-adds in float32, counting products only.
"""

from common import forward

CASES = [
    *(f"64x{size}" for size in (32, 64, 128, 256, 512)),
    *(f"gru,{bf16}:64x{size}" for size in (128, 256, 512) for bf16 in ("weights=bf16", "compute=bf16")),
    *(f"{cell}:64x128" for cell in ("gru,reset=before", "gru,norm=layer", "lstm", "rnn", "mingru")),
]

if __name__ == "__main__":
    forward.run_bench("step", __doc__, CASES)
