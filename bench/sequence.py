"""Sequences from Python, every output kept, beside every library that has the cell.

    python bench/sequence.py [--cases 32x100x64x128 gru,reset=before:32x100x64x128] [--peers torch jax] [--rounds 15]

A case is [CELL[,KEY=VALUE ...]:]BxTxIxH: rows, steps, inputs, units; a dialect's keys, or weights=bf16, compute=bf16.
The same weights everywhere, one thread; the largest error of all outputs against float64 comes first, ours beside its
derived bound (of the first row's first 32 steps). Times are CPU time, in turns in one run: each one's median and
quartiles, and those of its time over ours in the same round; of a dialect also our default's over it. The share is of
the core's most multiply-adds in float32, products only.
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
    forward.ask("sequence", __doc__, CASES)
