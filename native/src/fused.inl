// The fused step of a GRU, for speed alone: the same operations in the same order as its tape, so the same bits.
//
//   r = sigmoid(x.r + R.r h), z = sigmoid(x.z + R.z h), n = tanh(x.n + r * R.n h), h' = n + z * (h - n)
//
// Products go through a buffer that stays in the first-level cache: inlined behind a product's loop, the gates'
// constants would take the registers its sums need.

namespace tidegate {
namespace {

// `count` vectors of units: inputs and sums hold r z n of each; successive ones are a stride apart. Two loops: one
// activation's chain is long, and the machine looks ahead only so far for the next vector's.
__attribute__((noinline)) void gru_gates(size_t count, Rows inputs, float* sums, Rows h, float* out, size_t ld) {
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

// `count` blocks of a product from block `first` on.
template <class F>
INLINE Product blocks_of(const Product& product, size_t first, size_t count) {
  const size_t step = kBlockVectors * LANES;
  return {product.depth, count * kBlockVectors, product.weights + first * step * span<F>(product) / F::kTogether,
          product.bias + first * step};
}

// One row: up to kTileRows blocks at a time.
template <class F>
void gru_row(typename F::Room& room, const Product& recurrent, const float* inputs, const float* h, float* out) {
  alignas(64) float sums[kTileRows * kBlockVectors * LANES];
  const size_t step = kBlockVectors * LANES, blocks = recurrent.vectors / kBlockVectors;
  for (size_t b = 0; b < blocks; b += kTileRows) {
    const size_t count = lesser(blocks - b, kTileRows);
    product_in<F>(room, 1, blocks_of<F>(recurrent, b, count), {h, 0}, sums, 0);
    gru_gates(count, {inputs + b * step, step}, sums, {h + b * LANES, LANES}, out + b * LANES, LANES);
  }
}

template <class F>
void gru_step(const Product* input, const float* x, float* inputs, const Product* recurrent, const float* h,
              float* sums, float* out, int backwards) {
  typename F::Room room;
  if (input && !backwards) product_groups<F>(room, *input, x, inputs, false);
  product_groups<F>(room, *recurrent, h, sums, backwards);
  if (input && backwards) product_groups<F>(room, *input, x, inputs, true);
  const size_t blocks = recurrent->vectors / kBlockVectors;
  gru_gates(blocks, {inputs, kBlockVectors * LANES}, sums, {h, LANES}, out, LANES);
}

template <class F>
void row_product(const Product* product, const float* x, float* out, int backwards) {
  typename F::Room room;
  const size_t blocks = product->vectors / kBlockVectors, rest = product->vectors % kBlockVectors;
  const Product whole = blocks_of<F>(*product, 0, blocks);
  Product last = blocks_of<F>(*product, blocks, 0);
  last.vectors = rest;
  float* const behind = out + blocks * kBlockVectors * LANES;
  if (rest && backwards) product_in<F>(room, 1, last, {x, 0}, behind, 0);
  product_groups<F>(room, whole, x, out, backwards);
  if (rest && !backwards) product_in<F>(room, 1, last, {x, 0}, behind, 0);
}

// Rows that go through a block together: enough to pay for the gates' constants, few enough for the first-level cache.
constexpr size_t kGateRows = 16;

// Weights that the second-level cache keeps from one kGateRows rows to the next. Of more, each few blocks go through all rows
// before the next ones: they are read once a step.
constexpr size_t kNearWeights = size_t{3} << 17;

// Up to kGateRows rows, blocks [begin, end): a few blocks' products, then their gates. Tiles take long to answer, so
// several are asked at once.
template <class F>
void gru_rows(typename F::Room& room, size_t rows, const Product& recurrent, size_t begin, size_t end, Rows inputs,
              Rows h, float* out, size_t ld) {
  constexpr size_t kBlocks = F::kTiles ? 4 : 1, kStep = kBlockVectors * LANES;
  alignas(64) float sums[kBlocks][kGateRows * kStep];
  const size_t depth = recurrent.depth;
  const bool deep = depth > F::kDepth;
  Numbers<typename F::Number> numbers = {};
  if (!deep) numbers = F::read(room, rows, depth, h);
  for (size_t first = begin; first < end; first += kBlocks) {
    const size_t last = lesser(first + kBlocks, end);
    for (size_t b = first; b < last; ++b) {
      const Product block = blocks_of<F>(recurrent, b, 1);
      if (deep)
        product_in<F>(room, rows, block, h, sums[b - first], kStep);
      else
        product_block<F, kBlockVectors>(rows, depth, numbers, weights_of<F>(block), {block.bias, 0}, sums[b - first],
                                        kStep);
    }
    for (size_t b = first; b < last; ++b)
      gru_gates(rows, {inputs.data + b * kStep, inputs.ld}, sums[b - first], {h.data + b * LANES, h.ld}, out + b * LANES,
                ld);
  }
}

template <class F>
void gru(size_t rows, const Product* recurrent, Rows inputs, Rows h, float* out, size_t ld) {
  typename F::Room room;
  const size_t blocks = recurrent->vectors / kBlockVectors;
  const bool near = recurrent->vectors * LANES * recurrent->depth / F::kTogether <= kNearWeights;
  const size_t few = near || rows <= kGateRows ? blocks : 8;
  for (size_t begin = 0; begin < blocks; begin += few)
    for (size_t r = 0; r < rows; r += kGateRows) {
      const size_t count = lesser(rows - r, kGateRows);
      const float *x = inputs.data + r * inputs.ld, *old = h.data + r * h.ld;
      if (count == 1 && few == blocks)
        gru_row<F>(room, *recurrent, x, old, out + r * ld);
      else
        gru_rows<F>(room, count, *recurrent, begin, lesser(begin + few, blocks), {x, inputs.ld}, {old, h.ld}, out + r * ld,
                    ld);
    }
}

}  // namespace
}  // namespace tidegate
