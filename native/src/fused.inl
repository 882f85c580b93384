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

// One row: up to kTileRows blocks at a time.
void gru_row(const Product& recurrent, const float* inputs, const float* h, float* out) {
  alignas(64) float sums[kTileRows * kBlockVectors * LANES];
  const size_t step = kBlockVectors * LANES, blocks = recurrent.vectors / kBlockVectors;
  for (size_t b = 0; b < blocks; b += kTileRows) {
    const size_t count = blocks - b < kTileRows ? blocks - b : kTileRows;
    const Product part = {recurrent.depth, count * kBlockVectors, recurrent.weights + b * step * recurrent.depth,
                          recurrent.bias + b * step};
    product(1, &part, {h, 0}, sums, 0);
    gru_gates(count, {inputs + b * step, step}, sums, {h + b * LANES, LANES}, out + b * LANES, LANES);
  }
}

void gru_step(const Product* input, const float* x, float* inputs, const Product* recurrent, const float* h,
              float* sums, float* out, int backwards) {
  if (input && !backwards) product_groups(*input, x, inputs, false);
  product_groups(*recurrent, h, sums, backwards);
  if (input && backwards) product_groups(*input, x, inputs, true);
  const size_t blocks = recurrent->vectors / kBlockVectors;
  gru_gates(blocks, {inputs, kBlockVectors * LANES}, sums, {h, LANES}, out, LANES);
}

// Rows that go through a block together: enough to pay for the gates' constants, few enough for the first-level cache.
constexpr size_t kGateRows = 16;

// Up to kGateRows rows: block by block.
void gru_rows(size_t rows, const Product& recurrent, Rows inputs, Rows h, float* out, size_t ld) {
  alignas(64) float sums[kGateRows * kBlockVectors * LANES];
  const size_t step = kBlockVectors * LANES, blocks = recurrent.vectors / kBlockVectors;
  for (size_t b = 0; b < blocks; ++b) {
    product_block<kBlockVectors>(rows, recurrent.depth, h, recurrent.weights + b * step * recurrent.depth,
                                 recurrent.bias + b * step, sums, step);
    gru_gates(rows, {inputs.data + b * step, inputs.ld}, sums, {h.data + b * LANES, h.ld}, out + b * LANES, ld);
  }
}

void gru(size_t rows, const Product* recurrent, Rows inputs, Rows h, float* out, size_t ld) {
  for (size_t r = 0; r < rows; r += kGateRows) {
    const size_t count = rows - r < kGateRows ? rows - r : kGateRows;
    const float *x = inputs.data + r * inputs.ld, *old = h.data + r * h.ld;
    if (count == 1)
      gru_row(*recurrent, x, old, out + r * ld);
    else
      gru_rows(count, *recurrent, {x, inputs.ld}, {old, h.ld}, out + r * ld, ld);
  }
}

}  // namespace
}  // namespace tidegate
