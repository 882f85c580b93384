"""Time sequences from Python, with all outputs, compared with every library that has the cell.

    python bench/sequence.py [--cases 32x100x64x128 gru,reset=before:32x100x64x128] [--peers torch jax] [--rounds 15]

A case is [CELL[,KEY=VALUE ...]:]BxTxIxH: rows, steps, inputs, units; keys are those of a dialect, or weights=bf16,
compute=bf16. All libraries have the same weights and one thread. The largest error of all outputs against float64 is
printed first, ours with its derived bound (over the first row's first 32 steps). Times are CPU times of interleaved
rounds: median and quartiles of each library, and of the ratio of its time to ours in the same round; a dialect is also
compared with our default. The share is that of the core's peak rate of multiply-adds in float32, counting products
only.
"""

from common import forward

CASES = [
    "1x1000x64x128",
    "32x100x64x128",
    "32x100x256x256",
    "64x256x512x512",
    *(f"gru,compute=bf16:{shape}" for shape in ("32x100x64x128", "32x100x256x256", "64x256x512x512")),
    "gru,weights=bf16:1x1000x64x128",
    "gru,compute=bf16:1x1000x64x128",
    *(f"{cell}:32x100x64x128" for cell in ("gru,reset=before", "gru,norm=layer", "lstm")),
    "gru,reset=before:1x1000x64x128",
    "gru,reset=before:32x100x256x256",
]

if __name__ == "__main__":
    forward.run_bench("sequence", __doc__, CASES)
