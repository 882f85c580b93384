// The norm inside a cell: rows of H numbers scaled to mean 0 and deviation 1, times a gain, plus a bias; its gradient.
//
// The same operations in the same order as the tape's norm, mul and add, so the same bits. As many rows as there are
// lanes go through together: turned, the sums over their lanes are sums of vectors.

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

// Rows become columns: interleaving the first half with the second does it, once for each bit of a lane's number.
INLINE void turn(Vector (&v)[LANES]) {
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
INLINE void lanes_sums(Vector (&totals)[M], float (&sums)[M]) {
  if constexpr (M == LANES) {
    turn(totals);
    Vector sum = totals[0];
    UNROLL for (int l = 1; l < LANES; ++l) sum += totals[l];
    store(sums, sum);
  } else {
    UNROLL for (int m = 0; m < M; ++m) sums[m] = lanes_sum(totals[m]);
  }
}

template <int M>
INLINE void means_of(size_t n, Rows x, float (&means)[M]) {
  Vector totals[M] = {};
  for (size_t i = 0; i < n; i += LANES)
    UNROLL for (int m = 0; m < M; ++m) totals[m] += first(n - i, load(x.data + m * x.ld + i), 0.0f);
  lanes_sums<M>(totals, means);
  UNROLL for (int m = 0; m < M; ++m) means[m] = means[m] / (float)n;
}

template <int M>
INLINE void deviations_of(size_t n, Rows x, const float (&means)[M], float eps, float (&spreads)[M]) {
  Vector totals[M] = {};
  for (size_t i = 0; i < n; i += LANES)
    UNROLL for (int m = 0; m < M; ++m) {
      const Vector d = first(n - i, load(x.data + m * x.ld + i) - splat(means[m]), 0.0f);
      totals[m] += d * d;
    }
  lanes_sums<M>(totals, spreads);
  for (int m = 0; m < M; ++m) spreads[m] = __builtin_sqrtf(spreads[m] / (float)n + eps);
}

template <int M>
void normed_rows(size_t n, Rows x, Rows gain, Rows bias, float eps, float* out, size_t ld, const Kept& kept) {
  float means[M], spreads[M];
  means_of<M>(n, x, means);
  deviations_of<M>(n, x, means, eps, spreads);
  for (int m = 0; m < M; ++m)
    for (size_t i = 0; i < n; i += LANES) {
      const Vector y = (load(x.data + m * x.ld + i) - splat(means[m])) / splat(spreads[m]);
      if (kept.normed) store(kept.normed + m * kept.ld + i, y);
      store(out + m * ld + i, y * load(gain.data + m * gain.ld + i) + load(bias.data + m * bias.ld + i));
    }
  if (kept.spreads)
    for (int m = 0; m < M; ++m) kept.spreads[m * kept.ld] = spreads[m];
}

INLINE Rows from(Rows rows, size_t r) { return {rows.data + r * rows.ld, rows.ld}; }

void normed(size_t rows, size_t n, Rows x, Rows gain, Rows bias, float eps, float* out, size_t ld, const Kept& kept) {
  const auto part = [&](size_t r) -> Kept {
    return {kept.normed ? kept.normed + r * kept.ld : nullptr, kept.spreads ? kept.spreads + r * kept.ld : nullptr,
            kept.ld};
  };
  size_t r = 0;
  for (; r + LANES <= rows; r += LANES)
    normed_rows<LANES>(n, from(x, r), from(gain, r), from(bias, r), eps, out + r * ld, ld, part(r));
  for (; r + 3 <= rows; r += 3)
    normed_rows<3>(n, from(x, r), from(gain, r), from(bias, r), eps, out + r * ld, ld, part(r));
  for (; r < rows; ++r) normed_rows<1>(n, from(x, r), from(gain, r), from(bias, r), eps, out + r * ld, ld, part(r));
}

// Of g = gradient * gain, with y = what was scaled: (g - mean(g) - y * mean(g * y)) / deviation.
void normed_back(size_t rows, size_t n, Rows gradient, const float* gain, const Kept& kept, float* out, size_t ld) {
  for (size_t r = 0; r < rows; ++r) {
    const float *d = gradient.data + r * gradient.ld, *y = kept.normed + r * kept.ld;
    Vector sums = {}, products = {};
    for (size_t i = 0; i < n; i += LANES) {
      const Vector g = load(d + i) * load(gain + i);
      sums += g;
      products += first(n - i, g * load(y + i), 0.0f);
    }
    const float scale = 1.0f / kept.spreads[r * kept.ld];
    const Vector mean = splat(lanes_sum(sums) / (float)n), slope = splat(lanes_sum(products) / (float)n);
    for (size_t i = 0; i < n; i += LANES) {
      const Vector g = load(d + i) * load(gain + i);
      store(out + r * ld + i, first(n - i, ((g - mean) - load(y + i) * slope) * splat(scale), 0.0f));
    }
  }
}

void column_sums(size_t count, size_t width, Rows a, Rows b, float* out) {
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
