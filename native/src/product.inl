// Packed products: each output is one chain over k ascending from its bias; only rows and outputs are vectorised.

namespace tidegate {
namespace {

// sums[m][v] += x[m, k] * weights[k, v] over all k, for M rows and one block of N vectors.
template <int M, int N>
INLINE void accumulate(size_t depth, const float* x, size_t ldx, const float* weights, Vector (&sums)[M][N]) {
  for (size_t k = 0; k < depth; ++k, weights += N * LANES) {
    Vector w[N];
    UNROLL for (int v = 0; v < N; ++v) w[v] = load(weights + v * LANES);
    UNROLL for (int m = 0; m < M; ++m) {
      Vector value = splat(x[m * ldx + k]);
      IN_REGISTER(value);
      UNROLL for (int v = 0; v < N; ++v) sums[m][v] = MULTIPLY_ADD(value, w[v], sums[m][v]);
    }
  }
}

// The same for one row and U blocks at once: enough independent chains to fill the machine.
template <int U>
INLINE void accumulate_row(size_t depth, const float* x, const float* weights, Vector (&sums)[U][kBlockVectors]) {
  const size_t block = depth * kBlockVectors * LANES;
  for (size_t k = 0; k < depth; ++k, weights += kBlockVectors * LANES) {
    Vector value = splat(x[k]);
    IN_REGISTER(value);
    UNROLL for (int u = 0; u < U; ++u)
      UNROLL for (int v = 0; v < kBlockVectors; ++v)
        sums[u][v] = MULTIPLY_ADD(value, load(weights + u * block + v * LANES), sums[u][v]);
  }
}

template <int M, int N>
INLINE void product_tile(size_t depth, const float* x, size_t ldx, const float* weights, const float* bias, float* out,
                         size_t ld) {
  Vector sums[M][N];
  UNROLL for (int m = 0; m < M; ++m)
    UNROLL for (int v = 0; v < N; ++v) sums[m][v] = load(bias + v * LANES);
  accumulate<M, N>(depth, x, ldx, weights, sums);
  UNROLL for (int m = 0; m < M; ++m)
    UNROLL for (int v = 0; v < N; ++v) store(out + m * ld + v * LANES, sums[m][v]);
}

// All rows of one block of N vectors. Never inlined: in a larger function the sums lose their registers.
template <int N>
__attribute__((noinline)) void product_block(size_t rows, size_t depth, Rows x, const float* weights, const float* bias, float* out, size_t ld) {
  size_t r = 0;
  for (; r + ROWS <= rows; r += ROWS)
    product_tile<ROWS, N>(depth, x.data + r * x.ld, x.ld, weights, bias, out + r * ld, ld);
  for (; r + 2 <= rows; r += 2)
    product_tile<2, N>(depth, x.data + r * x.ld, x.ld, weights, bias, out + r * ld, ld);
  if (r < rows) product_tile<1, N>(depth, x.data + r * x.ld, x.ld, weights, bias, out + r * ld, ld);
}

template <int U>
INLINE void product_row(size_t depth, const float* x, const float* weights, const float* bias, float* out) {
  Vector sums[U][kBlockVectors];
  UNROLL for (int u = 0; u < U; ++u)
    UNROLL for (int v = 0; v < kBlockVectors; ++v) sums[u][v] = load(bias + (u * kBlockVectors + v) * LANES);
  accumulate_row<U>(depth, x, weights, sums);
  UNROLL for (int u = 0; u < U; ++u)
    UNROLL for (int v = 0; v < kBlockVectors; ++v) store(out + (u * kBlockVectors + v) * LANES, sums[u][v]);
}

// Blocks of a row's group: 24 KB of weights at a depth of 64, so that the last group is in the first-level cache still
// when the next row begins with it.
constexpr size_t kGroup = LANES >= 16 ? 2 : 4;

// One row of a product whose vectors are whole blocks, group by group from either end.
void product_groups(const Product& product, const float* x, float* out, bool backwards) {
  const size_t step = kBlockVectors * LANES, blocks = product.vectors / kBlockVectors;
  const size_t groups = (blocks + kGroup - 1) / kGroup;
  for (size_t i = 0; i < groups; ++i) {
    const size_t block = (backwards ? groups - 1 - i : i) * kGroup, left = blocks - block;
    const float *weights = product.weights + block * step * product.depth, *bias = product.bias + block * step;
    if (left >= kGroup) {
      product_row<kGroup>(product.depth, x, weights, bias, out + block * step);
      continue;
    }
    for (size_t b = 0; b < left; ++b)
      product_row<1>(product.depth, x, weights + b * step * product.depth, bias + b * step, out + (block + b) * step);
  }
}

void product(size_t rows, const Product* product, Rows x, float* out, size_t ld) {
  const size_t depth = product->depth, step = kBlockVectors * LANES;
  const float *weights = product->weights, *bias = product->bias;
  size_t vectors = product->vectors;
  for (; rows == 1 && vectors >= 4 * kBlockVectors; vectors -= 4 * kBlockVectors) {
    product_row<4>(depth, x.data, weights, bias, out);
    weights += 4 * step * depth, bias += 4 * step, out += 4 * step;
  }
  for (; rows == 1 && vectors >= 2 * kBlockVectors; vectors -= 2 * kBlockVectors) {
    product_row<2>(depth, x.data, weights, bias, out);
    weights += 2 * step * depth, bias += 2 * step, out += 2 * step;
  }
  for (; vectors >= kBlockVectors; vectors -= kBlockVectors) {
    product_block<kBlockVectors>(rows, depth, x, weights, bias, out, ld);
    weights += step * depth, bias += step, out += step;
  }
  if (vectors == 2) product_block<2>(rows, depth, x, weights, bias, out, ld);
  if (vectors == 1) product_block<1>(rows, depth, x, weights, bias, out, ld);
}

}  // namespace
}  // namespace tidegate
