// The norm inside a cell: rows of H numbers are scaled to mean 0 and deviation 1, then multiplied by a gain, and a bias
// is added. And its gradient.
//
// These are the operations of the tape's norm, mul and add in the same order, so the bits are the same. LANES rows are
// processed together: after a transposition, the sums over lanes are sums of vectors.

namespace tidegate {
namespace {

#if LANES == 16
#define LOW_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#endif
#if defined(__clang__)
#define INTERLEAVE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define INTERLEAVE(a, b, ...) __builtin_shuffle(a, b, Mask{__VA_ARGS__})
#endif

// Transpose rows and columns: interleave the first half with the second half, once for each bit of a lane's index.
INLINE void transpose(Vector (&v)[LANES]) {
  UNROLL for (int bit = 1; bit < LANES; bit *= 2) {
    Vector next[LANES];
    UNROLL for (int i = 0; i < LANES / 2; ++i) {
      next[2 * i] = INTERLEAVE(v[i], v[i + LANES / 2], LOW_HALVES);
      next[2 * i + 1] = INTERLEAVE(v[i], v[i + LANES / 2], HIGH_HALVES);
    }
    UNROLL for (int i = 0; i < LANES; ++i) v[i] = next[i];
  }
}

// sums[m] = the lanes of totals[m], added in order.
template <int M>
INLINE void sum_lanes_of_rows(Vector (&totals)[M], float (&sums)[M]) {
  if constexpr (M == LANES) {
    transpose(totals);
    Vector sum = totals[0];
    UNROLL for (int l = 1; l < LANES; ++l) sum += totals[l];
    store(sums, sum);
  } else {
    UNROLL for (int m = 0; m < M; ++m) sums[m] = sum_lanes(totals[m]);
  }
}

template <int M>
INLINE void compute_means(size_t n, MatrixView x, float (&means)[M]) {
  Vector totals[M] = {};
  for (size_t i = 0; i < n; i += LANES)
    UNROLL for (int m = 0; m < M; ++m) totals[m] += mask_lanes(n - i, load(x.data + m * x.ld + i), 0.0f);
  sum_lanes_of_rows<M>(totals, means);
  UNROLL for (int m = 0; m < M; ++m) means[m] = means[m] / (float)n;
}

template <int M>
INLINE void compute_deviations(size_t n, MatrixView x, const float (&means)[M], float eps, float (&deviations)[M]) {
  Vector totals[M] = {};
  for (size_t i = 0; i < n; i += LANES)
    UNROLL for (int m = 0; m < M; ++m) {
      const Vector d = mask_lanes(n - i, load(x.data + m * x.ld + i) - splat(means[m]), 0.0f);
      totals[m] += d * d;
    }
  sum_lanes_of_rows<M>(totals, deviations);
  for (int m = 0; m < M; ++m) deviations[m] = __builtin_sqrtf(deviations[m] / (float)n + eps);
}

template <int M>
void cell_norm_rows(size_t n, MatrixView x, MatrixView gain, MatrixView bias, float eps, float* out, size_t ld,
                    const NormCache& cache) {
  float means[M], deviations[M];
  compute_means<M>(n, x, means);
  compute_deviations<M>(n, x, means, eps, deviations);
  for (int m = 0; m < M; ++m)
    for (size_t i = 0; i < n; i += LANES) {
      const Vector y = (load(x.data + m * x.ld + i) - splat(means[m])) / splat(deviations[m]);
      if (cache.normalized) store(cache.normalized + m * cache.ld + i, y);
      store(out + m * ld + i, y * load(gain.data + m * gain.ld + i) + load(bias.data + m * bias.ld + i));
    }
  if (cache.deviations)
    for (int m = 0; m < M; ++m) cache.deviations[m * cache.ld] = deviations[m];
}

INLINE MatrixView rows_from(MatrixView rows, size_t r) { return {rows.data + r * rows.ld, rows.ld}; }

void cell_norm(size_t rows, size_t n, MatrixView x, MatrixView gain, MatrixView bias, float eps, float* out, size_t ld,
               const NormCache& cache) {
  const auto part = [&](size_t r) -> NormCache {
    return {cache.normalized ? cache.normalized + r * cache.ld : nullptr,
            cache.deviations ? cache.deviations + r * cache.ld : nullptr, cache.ld};
  };
  size_t r = 0;
  for (; r + LANES <= rows; r += LANES)
    cell_norm_rows<LANES>(n, rows_from(x, r), rows_from(gain, r), rows_from(bias, r), eps, out + r * ld, ld, part(r));
  for (; r + 3 <= rows; r += 3)
    cell_norm_rows<3>(n, rows_from(x, r), rows_from(gain, r), rows_from(bias, r), eps, out + r * ld, ld, part(r));
  for (; r < rows; ++r)
    cell_norm_rows<1>(n, rows_from(x, r), rows_from(gain, r), rows_from(bias, r), eps, out + r * ld, ld, part(r));
}

// With g = gradient * gain and y = the normalized row: (g - mean(g) - y * mean(g * y)) / deviation.
void cell_norm_backward(size_t rows, size_t n, MatrixView gradient, const float* gain, const NormCache& cache,
                        float* out, size_t ld) {
  for (size_t r = 0; r < rows; ++r) {
    const float *d = gradient.data + r * gradient.ld, *y = cache.normalized + r * cache.ld;
    Vector sums = {}, matmul_kernels = {};
    for (size_t i = 0; i < n; i += LANES) {
      const Vector g = load(d + i) * load(gain + i);
      sums += g;
      matmul_kernels += mask_lanes(n - i, g * load(y + i), 0.0f);
    }
    const float scale = 1.0f / cache.deviations[r * cache.ld];
    const Vector mean = splat(sum_lanes(sums) / (float)n), slope = splat(sum_lanes(matmul_kernels) / (float)n);
    for (size_t i = 0; i < n; i += LANES) {
      const Vector g = load(d + i) * load(gain + i);
      store(out + r * ld + i, mask_lanes(n - i, ((g - mean) - load(y + i) * slope) * splat(scale), 0.0f));
    }
  }
}

void add_column_sums(size_t count, size_t width, MatrixView a, MatrixView b, float* out) {
  for (size_t i = 0; i < width; i += LANES) {
    Vector total = {};
    for (size_t k = 0; k < count; ++k) {
      const Vector value = load(a.data + k * a.ld + i);
      total += b.data ? value * load(b.data + k * b.ld + i) : value;
    }
    store(out + i, load(out + i) + total);
  }
}

}  // namespace
}  // namespace tidegate
