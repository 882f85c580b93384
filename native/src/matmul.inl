// Products with packed matrices. Each output is one chain of additions over k that starts from its bias; only rows and
// outputs are vectorised, so a row has the same bits in any batch.

namespace tidegate {
namespace {

template <class F>
INLINE const typename F::Weight* weights_as(const PackedMatrix& matrix) {
  return (const typename F::Weight*)matrix.weights;
}

// The length of a packed column.
template <class F>
INLINE size_t packed_depth(const PackedMatrix& matrix) { return round_up(matrix.depth, F::kDepthMultiple); }

// A number known at compile time.
template <int N>
struct Constant {
  static constexpr int kValue = N;
};

template <class F, int M, int N>
INLINE void matmul_tile(size_t depth, const typename F::Number* x, size_t ldx, const typename F::Weight* weights,
                        const float* start, size_t ld_start, float* out, size_t ld) {
  Vector sums[M][N];
  UNROLL for (int m = 0; m < M; ++m)
    UNROLL for (int v = 0; v < N; ++v) sums[m][v] = load(start + m * ld_start + v * LANES);
  F::template accumulate<M, N>(depth, x, ldx, weights, sums);
  UNROLL for (int m = 0; m < M; ++m)
    UNROLL for (int v = 0; v < N; ++v) store(out + m * ld + v * LANES, sums[m][v]);
}

// All rows of one block of N vectors; the sums start from `start`. Never inlined: inside a larger function the sums
// would not stay in registers.
template <class F, int N>
__attribute__((noinline)) void matmul_block(size_t rows, size_t depth, NumberView<typename F::Number> x,
                                            const typename F::Weight* weights, MatrixView start, float* out,
                                            size_t ld) {
  if constexpr (F::kUsesTiles) {
    F::template tiles<N>(depth, x, weights, start, out, ld);
  } else {
    size_t r = 0;
    const auto tile = [&](auto count) {
      constexpr int M = decltype(count)::kValue;
      matmul_tile<F, M, N>(depth, x.data + r * x.ld, x.ld, weights, start.data + r * start.ld, start.ld, out + r * ld,
                           ld);
      r += M;
    };
    while (r + ROWS <= rows) tile(Constant<ROWS>());
    while (r + 2 <= rows) tile(Constant<2>());
    if (r < rows) tile(Constant<1>());
  }
}

// One row of U blocks that are `block` weights apart.
template <class F, int U>
INLINE void matmul_row_blocks(size_t depth, const typename F::Number* x, const typename F::Weight* weights,
                              size_t block, const float* start, float* out) {
  constexpr size_t kStep = kBlockVectors * LANES;
  if constexpr (F::kUsesTiles) {
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

// All blocks of a product, for rows already read by the format, from depth `first` on.
template <class F>
void matmul_columns(size_t rows, size_t first, size_t depth, NumberView<typename F::Number> x,
                    const PackedMatrix& matrix, MatrixView start, float* out, size_t ld) {
  const size_t step = kBlockVectors * LANES, block = packed_depth<F>(matrix) * step;
  const typename F::Weight* weights = weights_as<F>(matrix);
  size_t vectors = matrix.vectors;
  const auto advance = [&](size_t blocks) {
    vectors -= blocks * kBlockVectors, weights += blocks * block, start.data += blocks * step, out += blocks * step;
  };
  for (; rows == 1 && vectors >= 4 * kBlockVectors; advance(4))
    matmul_row_blocks<F, 4>(depth, x.data, weights + first * step, block, start.data, out);
  for (; rows == 1 && vectors >= 2 * kBlockVectors; advance(2))
    matmul_row_blocks<F, 2>(depth, x.data, weights + first * step, block, start.data, out);
  for (; vectors >= kBlockVectors; advance(1))
    matmul_block<F, kBlockVectors>(rows, depth, x, weights + first * step, start, out, ld);
  if (vectors == 2) matmul_block<F, 2>(rows, depth, x, weights + first * 2 * LANES, start, out, ld);
  if (vectors == 1) matmul_block<F, 1>(rows, depth, x, weights + first * LANES, start, out, ld);
}

template <class F>
void matmul_buffered(typename F::Buffer& buffer, size_t rows, const PackedMatrix& matrix, MatrixView x, float* out,
                     size_t ld) {
  for (size_t r = 0; r < rows; r += F::kMaxRows, x.data += F::kMaxRows * x.ld, out += F::kMaxRows * ld) {
    const size_t count = min_size(F::kMaxRows, rows - r);
    MatrixView start = {matrix.bias, 0};
    for (size_t k = 0; k < matrix.depth; k += min_size(F::kMaxDepth, matrix.depth - k), start = {out, ld}) {
      const size_t depth = min_size(F::kMaxDepth, matrix.depth - k);
      matmul_columns<F>(count, k, depth, F::read(buffer, count, depth, {x.data + k, x.ld}), matrix, start, out, ld);
    }
    if (count == rows - r) return;
  }
}

template <class F>
void matmul(size_t rows, const PackedMatrix* matrix, MatrixView x, float* out, size_t ld) {
  typename F::Buffer buffer;
  matmul_buffered<F>(buffer, rows, *matrix, x, out, ld);
}

// The blocks of one group: 24 KB of weights at a depth of 64, so that the last group is still in the L1 cache when the
// next row starts with it.
constexpr size_t kGroupBlocks = LANES >= 16 ? 2 : 4;

// One row of a product that consists of whole blocks, group by group, from either end.
template <class F>
void matmul_row_groups(typename F::Buffer& buffer, const PackedMatrix& matrix, const float* x, float* out,
                       bool backwards) {
  if (matrix.depth > F::kMaxDepth) return matmul_buffered<F>(buffer, 1, matrix, {x, 0}, out, 0);
  const size_t step = kBlockVectors * LANES, blocks = matrix.vectors / kBlockVectors, depth = matrix.depth;
  const size_t groups = (blocks + kGroupBlocks - 1) / kGroupBlocks, block_weights = packed_depth<F>(matrix) * step;
  const typename F::Number* const numbers = F::read(buffer, 1, depth, {x, 0}).data;
  for (size_t i = 0; i < groups; ++i) {
    const size_t block = (backwards ? groups - 1 - i : i) * kGroupBlocks, left = blocks - block;
    const typename F::Weight* weights = weights_as<F>(matrix) + block * block_weights;
    const float* bias = matrix.bias + block * step;
    if (left >= kGroupBlocks) {
      matmul_row_blocks<F, kGroupBlocks>(depth, numbers, weights, block_weights, bias, out + block * step);
      continue;
    }
    for (size_t b = 0; b < left; ++b)
      matmul_row_blocks<F, 1>(depth, numbers, weights + b * block_weights, 0, bias + b * step,
                              out + (block + b) * step);
  }
}

}  // namespace
}  // namespace tidegate
