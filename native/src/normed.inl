// The norm inside a cell: rows of H numbers scaled to mean 0 and deviation 1, times a gain, plus a bias; and its gradient.
//
// The same operations in the same order as the tape's norm, mul and add, so the same bits. Rows go through together: a sum
// over lanes is one long chain, and the machine works on several at once.

namespace tidegate {
namespace {

constexpr int kNormedTogether = 4;

// sums[m] = the lanes of totals[m], added in order.
template <int M>
INLINE void lanes_sums(const Vector (&totals)[M], float (&sums)[M]) {
  alignas(64) float lanes[M][LANES];
  UNROLL for (int m = 0; m < M; ++m) store(lanes[m], totals[m]);
  UNROLL for (int m = 0; m < M; ++m) sums[m] = lanes[m][0];
  UNROLL for (int l = 1; l < LANES; ++l)
    UNROLL for (int m = 0; m < M; ++m) sums[m] += lanes[m][l];
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
  UNROLL for (int m = 0; m < M; ++m) spreads[m] = __builtin_sqrtf(spreads[m] / (float)n + eps);
}

template <int M>
void normed_rows(size_t n, Rows x, Rows gain, Rows bias, float eps, float* out, size_t ld, const Kept& kept) {
  float means[M], spreads[M];
  means_of<M>(n, x, means);
  deviations_of<M>(n, x, means, eps, spreads);
  for (size_t i = 0; i < n; i += LANES)
    UNROLL for (int m = 0; m < M; ++m) {
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
    return {kept.normed ? kept.normed + r * kept.ld : nullptr, kept.spreads ? kept.spreads + r * kept.ld : nullptr, kept.ld};
  };
  size_t r = 0;
  for (; r + kNormedTogether <= rows; r += kNormedTogether)
    normed_rows<kNormedTogether>(n, from(x, r), from(gain, r), from(bias, r), eps, out + r * ld, ld, part(r));
  if (rows - r == 3)
    normed_rows<3>(n, from(x, r), from(gain, r), from(bias, r), eps, out + r * ld, ld, part(r));
  else
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
