// Packed products: each output is one chain over k from its bias; only rows and outputs are vectorised.

namespace tidegate {
namespace {

template <class F>
INLINE const typename F::Weight* weights_of(const Product& product) {
  return (const typename F::Weight*)product.weights;
}

// Weights of a column as they are packed.
template <class F>
INLINE size_t span(const Product& product) { return filled(product.depth, F::kDeep); }

// A number that the compiler knows.
template <int N>
struct Count {
  static constexpr int kValue = N;
};

template <class F, int M, int N>
INLINE void product_tile(size_t depth, const typename F::Number* x, size_t ldx, const typename F::Weight* weights,
                         const float* start, size_t ld_start, float* out, size_t ld) {
  Vector sums[M][N];
  UNROLL for (int m = 0; m < M; ++m)
    UNROLL for (int v = 0; v < N; ++v) sums[m][v] = load(start + m * ld_start + v * LANES);
  F::template accumulate<M, N>(depth, x, ldx, weights, sums);
  UNROLL for (int m = 0; m < M; ++m)
    UNROLL for (int v = 0; v < N; ++v) store(out + m * ld + v * LANES, sums[m][v]);
}

// All rows of one block of N vectors, whose sums start from `start`. Never inlined: in a larger function the sums lose
// their registers.
template <class F, int N>
__attribute__((noinline)) void product_block(size_t rows, size_t depth, Numbers<typename F::Number> x,
                                             const typename F::Weight* weights, Rows start, float* out, size_t ld) {
  if constexpr (F::kTiles) {
    F::template tiles<N>(depth, x, weights, start, out, ld);
  } else {
    size_t r = 0;
    const auto tile = [&](auto count) {
      constexpr int M = decltype(count)::kValue;
      product_tile<F, M, N>(depth, x.data + r * x.ld, x.ld, weights, start.data + r * start.ld, start.ld, out + r * ld,
                            ld);
      r += M;
    };
    while (r + ROWS <= rows) tile(Count<ROWS>());
    while (r + 2 <= rows) tile(Count<2>());
    if (r < rows) tile(Count<1>());
  }
}

// One row of U blocks, `block` weights apart.
template <class F, int U>
INLINE void product_row(size_t depth, const typename F::Number* x, const typename F::Weight* weights, size_t block,
                        const float* start, float* out) {
  constexpr size_t kStep = kBlockVectors * LANES;
  if constexpr (F::kTiles) {
    for (size_t u = 0; u < U; ++u)
      F::template tiles<kBlockVectors>(depth, {x, 0}, weights + u * block, {start + u * kStep, 0}, out + u * kStep, 0);
  } else {
    Vector sums[U][kBlockVectors];
    UNROLL for (int u = 0; u < U; ++u)
      UNROLL for (int v = 0; v < kBlockVectors; ++v) sums[u][v] = load(start + u * kStep + v * LANES);
    F::template accumulate_row<U>(depth, x, weights, block, sums);
    UNROLL for (int u = 0; u < U; ++u)
      UNROLL for (int v = 0; v < kBlockVectors; ++v) store(out + u * kStep + v * LANES, sums[u][v]);
  }
}

// All blocks of a product for rows that a form has read, of its depth from `first` on.
template <class F>
void product_columns(size_t rows, size_t first, size_t depth, Numbers<typename F::Number> x, const Product& product,
                     Rows start, float* out, size_t ld) {
  const size_t step = kBlockVectors * LANES, block = span<F>(product) * step;
  const typename F::Weight* weights = weights_of<F>(product);
  size_t vectors = product.vectors;
  const auto on = [&](size_t blocks) {
    vectors -= blocks * kBlockVectors, weights += blocks * block, start.data += blocks * step, out += blocks * step;
  };
  for (; rows == 1 && vectors >= 4 * kBlockVectors; on(4))
    product_row<F, 4>(depth, x.data, weights + first * step, block, start.data, out);
  for (; rows == 1 && vectors >= 2 * kBlockVectors; on(2))
    product_row<F, 2>(depth, x.data, weights + first * step, block, start.data, out);
  for (; vectors >= kBlockVectors; on(1))
    product_block<F, kBlockVectors>(rows, depth, x, weights + first * step, start, out, ld);
  if (vectors == 2) product_block<F, 2>(rows, depth, x, weights + first * 2 * LANES, start, out, ld);
  if (vectors == 1) product_block<F, 1>(rows, depth, x, weights + first * LANES, start, out, ld);
}

template <class F>
void product_in(typename F::Room& room, size_t rows, const Product& product, Rows x, float* out, size_t ld) {
  for (size_t r = 0; r < rows; r += F::kRows, x.data += F::kRows * x.ld, out += F::kRows * ld) {
    const size_t count = lesser(F::kRows, rows - r);
    Rows start = {product.bias, 0};
    for (size_t k = 0; k < product.depth; k += lesser(F::kDepth, product.depth - k), start = {out, ld}) {
      const size_t depth = lesser(F::kDepth, product.depth - k);
      product_columns<F>(count, k, depth, F::read(room, count, depth, {x.data + k, x.ld}), product, start, out, ld);
    }
    if (count == rows - r) return;
  }
}

template <class F>
void product(size_t rows, const Product* product, Rows x, float* out, size_t ld) {
  typename F::Room room;
  product_in<F>(room, rows, *product, x, out, ld);
}

// Blocks of a row's group: 24 KB of weights at a depth of 64, so that the last group is in the first-level cache still
// when the next row begins with it.
constexpr size_t kGroup = LANES >= 16 ? 2 : 4;

// One row of a product whose vectors are whole blocks, group by group from either end.
template <class F>
void product_groups(typename F::Room& room, const Product& product, const float* x, float* out, bool backwards) {
  if (product.depth > F::kDepth) return product_in<F>(room, 1, product, {x, 0}, out, 0);
  const size_t step = kBlockVectors * LANES, blocks = product.vectors / kBlockVectors, depth = product.depth;
  const size_t groups = (blocks + kGroup - 1) / kGroup, span_block = span<F>(product) * step;
  const typename F::Number* const numbers = F::read(room, 1, depth, {x, 0}).data;
  for (size_t i = 0; i < groups; ++i) {
    const size_t block = (backwards ? groups - 1 - i : i) * kGroup, left = blocks - block;
    const typename F::Weight* weights = weights_of<F>(product) + block * span_block;
    const float* bias = product.bias + block * step;
    if (left >= kGroup) {
      product_row<F, kGroup>(depth, numbers, weights, span_block, bias, out + block * step);
      continue;
    }
    for (size_t b = 0; b < left; ++b)
      product_row<F, 1>(depth, numbers, weights + b * span_block, 0, bias + b * step, out + (block + b) * step);
  }
}

}  // namespace
}  // namespace tidegate
