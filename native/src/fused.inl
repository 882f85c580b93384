// The fused step of a GRU, for speed alone: the same operations in the same order as its tape, so the same bits.
//
//   r = sigmoid(x.r + R.r h), z = sigmoid(x.z + R.z h), n = tanh(x.n + r * R.n h), h' = n + z * (h - n)

namespace tidegate {
namespace {

INLINE Vector gru_unit(const float* inputs, const Vector (&sums)[kBlockVectors], Vector h) {
  const Vector r = logistic(load(inputs) + sums[0]);
  const Vector z = logistic(load(inputs + LANES) + sums[1]);
  const Vector n = hyperbolic_tangent(load(inputs + 2 * LANES) + r * sums[2]);
  return n + z * (h - n);
}

// M rows, one block: block j of `inputs` and `bias`, vector j of h.
template <int M>
INLINE void gru_tile(size_t depth, const float* weights, const float* bias, const float* inputs, size_t ldi,
                     const float* h, size_t ldh, size_t j, float* out, size_t ld) {
  Vector sums[M][kBlockVectors];
  UNROLL for (int m = 0; m < M; ++m)
    UNROLL for (int v = 0; v < kBlockVectors; ++v) sums[m][v] = load(bias + v * LANES);
  accumulate<M, kBlockVectors>(depth, h, ldh, weights, sums);
  for (int m = 0; m < M; ++m)
    store(out + m * ld + j, gru_unit(inputs + m * ldi, sums[m], load(h + m * ldh + j)));
}

// One row, U blocks.
template <int U>
INLINE void gru_row(size_t depth, const float* weights, const float* bias, const float* inputs, const float* h,
                    size_t j, float* out) {
  Vector sums[U][kBlockVectors];
  UNROLL for (int u = 0; u < U; ++u)
    UNROLL for (int v = 0; v < kBlockVectors; ++v) sums[u][v] = load(bias + (u * kBlockVectors + v) * LANES);
  accumulate_row<U>(depth, h, weights, sums);
  UNROLL for (int u = 0; u < U; ++u)
    store(out + j + u * LANES, gru_unit(inputs + u * kBlockVectors * LANES, sums[u], load(h + j + u * LANES)));
}

void gru_one(const Product* recurrent, const float* inputs, const float* h, float* out) {
  const size_t depth = recurrent->depth, step = kBlockVectors * LANES, blocks = recurrent->vectors / kBlockVectors;
  size_t b = 0;
  for (; b + 4 <= blocks; b += 4)
    gru_row<4>(depth, recurrent->weights + b * step * depth, recurrent->bias + b * step, inputs + b * step, h,
               b * LANES, out);
  for (; b < blocks; ++b)
    gru_row<1>(depth, recurrent->weights + b * step * depth, recurrent->bias + b * step, inputs + b * step, h,
               b * LANES, out);
}

void gru(size_t rows, const Product* recurrent, Rows inputs, Rows h, float* out, size_t ld) {
  if (rows == 1) return gru_one(recurrent, inputs.data, h.data, out);
  const size_t depth = recurrent->depth, step = kBlockVectors * LANES, blocks = recurrent->vectors / kBlockVectors;
  for (size_t b = 0; b < blocks; ++b) {
    const float *weights = recurrent->weights + b * step * depth, *bias = recurrent->bias + b * step;
    const float* x = inputs.data + b * step;
    size_t r = 0;
    for (; r + ROWS <= rows; r += ROWS)
      gru_tile<ROWS>(depth, weights, bias, x + r * inputs.ld, inputs.ld, h.data + r * h.ld, h.ld, b * LANES,
                     out + r * ld, ld);
    for (; r + 2 <= rows; r += 2)
      gru_tile<2>(depth, weights, bias, x + r * inputs.ld, inputs.ld, h.data + r * h.ld, h.ld, b * LANES, out + r * ld,
                  ld);
    if (r < rows)
      gru_tile<1>(depth, weights, bias, x + r * inputs.ld, inputs.ld, h.data + r * h.ld, h.ld, b * LANES, out + r * ld,
                  ld);
  }
}

}  // namespace
}  // namespace tidegate
