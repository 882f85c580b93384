"""Measure a core's peak rate of multiply-adds: a small loop in C, with enough independent chains to keep it busy."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

LOOP = r"""
#include <stdio.h>
#include <time.h>
#if LANES > 4 && defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
typedef float V __attribute__((vector_size(LANES * 4)));
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}
int main(void) {
  double best = 0;
  for (int round = 0; round < 9; ++round) {
    V sums[12], x = (V){} + 0.999f, y = (V){} + 1e-3f;
    for (int i = 0; i < 12; ++i) sums[i] = (V){} + 1e-3f * i;
    const double start = now();
    for (long n = 0; n < 2000000; ++n) {
#if defined(__clang__)
#pragma clang loop unroll(full)
#else
#pragma GCC unroll 12
#endif
      for (int i = 0; i < 12; ++i) sums[i] = FMA(sums[i], x, y);
      __asm__ volatile("" ::: );
    }
    const double rate = 2e6 * 12 * LANES * 2 / (now() - start) / 1e9;
    for (int i = 1; i < 12; ++i) sums[0] += sums[i];
    if (rate > best && sums[0][0] < 1e9f) best = rate;
  }
  printf("%.1f\n", best);
}
"""
OPTIONS: Final = {
    "avx512": ["-mavx512f", "-mfma", "-DLANES=16", "-DFMA=_mm512_fmadd_ps"],
    "avx2": ["-mavx2", "-mfma", "-DLANES=8", "-DFMA=_mm256_fmadd_ps"],
    "neon": ["-DLANES=4", "-DFMA(a,b,c)=vfmaq_f32(c,a,b)"],
    "base": ["-DLANES=4", "-DFMA(a,b,c)=((a)*(b)+(c))"],
}


def peak(target: str) -> float | None:
    """Measure the GFLOP/s of a target's instruction set, the best of some rounds; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "loop.c"), Path(folder, "loop")
        source.write_text(LOOP, "utf-8")
        options = ["-O2", "-ffp-contract=off", "-w", *OPTIONS[target]]
        subprocess.run([compiler, *options, "-o", str(program), str(source)], check=True)
        return float(subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout)
