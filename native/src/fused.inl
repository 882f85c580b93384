// The fused step of a GRU. It does the same operations in the same order as the cell's tape, so the bits are the same;
// it is only faster.
//
//   r = sigmoid(x.r + R.r h), z = sigmoid(x.z + R.z h), n = tanh(x.n + r * R.n h), h' = n + z * (h - n)
//
// Products are written to a buffer that stays in the L1 cache. If the gates were inlined after the loop of a product,
// their constants would take the registers that its sums need.

namespace tidegate {
namespace {

// Apply the gates to `count` vectors of units. Each vector has its r z n in inputs and in sums; rows are ld floats
// apart. Two loops, because an activation is a long chain of operations and the CPU cannot look far enough ahead to
// overlap it with the next vector's.
__attribute__((noinline)) void gru_gates(size_t count, MatrixView inputs, float* sums, MatrixView h, float* out,
                                         size_t ld) {
  float* s = sums;
  for (size_t i = 0; i < count; ++i, inputs.data += inputs.ld, s += 3 * LANES) {
    const Vector r = logistic(load(inputs.data) + load(s));
    const Vector z = logistic(load(inputs.data + LANES) + load(s + LANES));
    store(s + LANES, z);
    store(s + 2 * LANES, load(inputs.data + 2 * LANES) + r * load(s + 2 * LANES));
  }
  for (size_t i = 0; i < count; ++i, sums += 3 * LANES, h.data += h.ld, out += ld) {
    const Vector n = hyperbolic_tangent(load(sums + 2 * LANES));
    store(out, n + load(sums + LANES) * (load(h.data) - n));
  }
}

// `count` blocks of a matrix, from block `first` on.
template <class F>
INLINE PackedMatrix select_blocks(const PackedMatrix& matrix, size_t first, size_t count) {
  const size_t step = kBlockVectors * LANES;
  return {matrix.depth, count * kBlockVectors, matrix.weights + first * step * packed_depth<F>(matrix) / F::kPack,
          matrix.bias + first * step};
}

// One row, up to kTileRows blocks at a time.
template <class F>
void gru_row(typename F::Buffer& buffer, const PackedMatrix& recurrent, const float* inputs, const float* h,
             float* out) {
  alignas(64) float sums[kTileRows * kBlockVectors * LANES];
  const size_t step = kBlockVectors * LANES, blocks = recurrent.vectors / kBlockVectors;
  for (size_t b = 0; b < blocks; b += kTileRows) {
    const size_t count = min_size(blocks - b, kTileRows);
    matmul_buffered<F>(buffer, 1, select_blocks<F>(recurrent, b, count), {h, 0}, sums, 0);
    gru_gates(count, {inputs + b * step, step}, sums, {h + b * LANES, LANES}, out + b * LANES, LANES);
  }
}

template <class F>
void gru_step(const PackedMatrix* input, const float* x, float* inputs, const PackedMatrix* recurrent, const float* h,
              float* sums, float* out, int backwards) {
  typename F::Buffer buffer;
  if (input && !backwards) matmul_row_groups<F>(buffer, *input, x, inputs, false);
  matmul_row_groups<F>(buffer, *recurrent, h, sums, backwards);
  if (input && backwards) matmul_row_groups<F>(buffer, *input, x, inputs, true);
  const size_t blocks = recurrent->vectors / kBlockVectors;
  gru_gates(blocks, {inputs, kBlockVectors * LANES}, sums, {h, LANES}, out, LANES);
}

template <class F>
void matmul_row(const PackedMatrix* matrix, const float* x, float* out, int backwards) {
  typename F::Buffer buffer;
  const size_t blocks = matrix->vectors / kBlockVectors, tail = matrix->vectors % kBlockVectors;
  const PackedMatrix full = select_blocks<F>(*matrix, 0, blocks);
  PackedMatrix last = select_blocks<F>(*matrix, blocks, 0);
  last.vectors = tail;
  float* const tail_out = out + blocks * kBlockVectors * LANES;
  if (tail && backwards) matmul_buffered<F>(buffer, 1, last, {x, 0}, tail_out, 0);
  matmul_row_groups<F>(buffer, full, x, out, backwards);
  if (tail && !backwards) matmul_buffered<F>(buffer, 1, last, {x, 0}, tail_out, 0);
}

// The rows that go through a block together: enough to amortise loading the gates' constants, few enough for the L1
// cache.
constexpr size_t kGateRows = 16;

// The number of weights that the L2 cache can hold while kGateRows rows at a time go through them. With more weights
// than that, all rows go through a few blocks before the next ones, so that each weight is loaded once a step.
constexpr size_t kCachedWeights = size_t{3} << 17;

// Up to kGateRows rows and the blocks [begin, end): the products of a few blocks, then their gates. AMX tiles have a
// long latency, so several products are started at once.
template <class F>
void gru_rows(typename F::Buffer& buffer, size_t rows, const PackedMatrix& recurrent, size_t begin, size_t end,
              MatrixView inputs, MatrixView h, float* out, size_t ld) {
  constexpr size_t kBlocks = F::kUsesTiles ? 4 : 1, kStep = kBlockVectors * LANES;
  alignas(64) float sums[kBlocks][kGateRows * kStep];
  const size_t depth = recurrent.depth;
  const bool deep = depth > F::kMaxDepth;
  NumberView<typename F::Number> numbers = {};
  if (!deep) numbers = F::read(buffer, rows, depth, h);
  for (size_t first = begin; first < end; first += kBlocks) {
    const size_t last = min_size(first + kBlocks, end);
    for (size_t b = first; b < last; ++b) {
      const PackedMatrix block = select_blocks<F>(recurrent, b, 1);
      if (deep)
        matmul_buffered<F>(buffer, rows, block, h, sums[b - first], kStep);
      else
        matmul_block<F, kBlockVectors>(rows, depth, numbers, weights_as<F>(block), {block.bias, 0}, sums[b - first],
                                       kStep);
    }
    for (size_t b = first; b < last; ++b)
      gru_gates(rows, {inputs.data + b * kStep, inputs.ld}, sums[b - first], {h.data + b * LANES, h.ld},
                out + b * LANES, ld);
  }
}

template <class F>
void gru(size_t rows, const PackedMatrix* recurrent, MatrixView inputs, MatrixView h, float* out, size_t ld) {
  typename F::Buffer buffer;
  const size_t blocks = recurrent->vectors / kBlockVectors;
  const bool fits_cache = recurrent->vectors * LANES * recurrent->depth / F::kPack <= kCachedWeights;
  const size_t group_blocks = fits_cache || rows <= kGateRows ? blocks : 8;
  for (size_t begin = 0; begin < blocks; begin += group_blocks)
    for (size_t r = 0; r < rows; r += kGateRows) {
      const size_t count = min_size(rows - r, kGateRows);
      const float *x = inputs.data + r * inputs.ld, *old = h.data + r * h.ld;
      if (count == 1 && group_blocks == blocks)
        gru_row<F>(buffer, *recurrent, x, old, out + r * ld);
      else
        gru_rows<F>(buffer, count, *recurrent, begin, min_size(begin + group_blocks, blocks), {x, inputs.ld},
                    {old, h.ld}, out + r * ld, ld);
    }
}

}  // namespace
}  // namespace tidegate
