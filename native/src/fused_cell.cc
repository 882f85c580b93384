// The fused layer of any cell that can be trained natively. It combines products, norms, and the same gate functions as
// training: the operations of the cell's equations in the same order, so the bits are the same.
#include <cstring>
#include <utility>

#include "input_projection.h"
#include "recurrent.h"

namespace tidegate {
namespace {

// The rows that go through the recurrent weights together: the sums of their products stay in the L1 cache.
constexpr std::size_t kBlockRows = 16;

class FusedCell final : public Layer {
 public:
  FusedCell(const Kernels& kernels, const KnownCell& cell)
      : Layer(kernels, "recurrent", cell.inputs, cell.size),
        step_(kernels.cells[cell.cell & ~TIDEGATE_CELL_WITH_NORMS]),
        gates_(cell.gates),
        maps_(cell.maps),
        inner_(step_.inner_forward ? 1 : 0),
        has_norms_(cell.has_norms()),
        units_(padded_size(size)),
        inputs_(kernels, inputs, plane_order(0, gates_), cell.W, cell.b),
        recurrent_(kernels, size, plane_order(0, maps_ - inner_), cell.R.data(), cell.c.data()),
        inner_map_(kernels, size, plane_order(maps_ - inner_, maps_), cell.R.data(), cell.c.data()),
        params_(copy_planes(cell.params)),
        gains_(copy_planes(cell.gains)),
        biases_(copy_planes(cell.biases)) {
    states = cell.states;
  }

  void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const override {
    const float* h = tile.state[0];
    float* inputs = tile.scratch;
    // a single step computes it on the way
    const PackedMatrix* const input = chunk.items == 1 ? inputs_.matrix() : nullptr;
    if (!input) inputs_.run(chunk.items, x, inputs);
    for (std::size_t t = 0; t < chunk.steps; ++t) {
      const std::size_t rows = chunk.rows[t], left = chunk.rows[t + 1];
      const SingleRow single = {input, x.data, static_cast<int>((tile.past_steps[0] + chunk.first + t) % 2)};
      for (std::size_t r = 0; r < rows; r += kBlockRows)
        step(r, rows - r < kBlockRows ? rows - r : kBlockRows, tile, inputs, h, out, single);
      store_state(tile, states[0], left, rows, {out, units_});
      if (states.size() > 1) {
        store_state(tile, states[1], left, rows, {tile.spare[1], units_});
        std::swap(tile.state[1], tile.spare[1]);
      }
      h = out;  // the output is also the next state
      inputs += rows * gates_ * units_;
      out += rows * units_;
    }
    std::memcpy(tile.state[0], h, chunk.rows[chunk.steps] * units_ * sizeof(float));
  }

  bool fold(const Layer& embed) override { return inputs_.fold(embed); }
  std::size_t scratch() const override { return (kTileRows * gates_ + kBlockRows * (maps_ + inner_)) * units_; }
  std::size_t work() const override { return size * (gates_ * inputs + maps_ * size + 16); }

 private:
  // Return the column order of a product with maps [first, end), each padded to whole vectors: rows of a matrix
  // [_ * H, depth], and -1 for padding.
  std::vector<std::int64_t> plane_order(std::size_t first, std::size_t end) const {
    std::vector<std::int64_t> order;
    for (std::size_t map = first; map < end; ++map)
      for (std::size_t j = 0; j < units_; ++j)
        order.push_back(j < size ? static_cast<std::int64_t>(map * size + j) : -1);
    return order;
  }

  // Copy vectors of H floats, each padded to whole vectors.
  AlignedFloats copy_planes(const std::vector<const float*>& values) const {
    AlignedFloats planes(values.size() * units_);
    for (std::size_t k = 0; k < values.size(); ++k)
      std::memcpy(planes.data() + k * units_, values[k], size * sizeof(float));
    return planes;
  }

  // A step of a single row: its input, null if W x + b is already computed, and whether the weights are read backwards
  // (see MatmulKernels::gru_step).
  struct SingleRow {
    const PackedMatrix* input;
    const float* x;
    int backwards;
  };

  // Run one step of rows [first, first + rows).
  void step(std::size_t first, std::size_t rows, const Tile& tile, float* inputs, const float* h, float* out,
            const SingleRow& single) const {
    float* const sums = tile.scratch + kTileRows * gates_ * units_;
    float* const inner = sums + kBlockRows * maps_ * units_;
    const std::size_t at = first * units_, sums_row = maps_ * units_;
    CellForward step = {
        inputs + first * gates_ * units_, sums, {h + at, nullptr}, {out + at, nullptr}, nullptr, 0, params_.data()};
    if (states.size() > 1) step.state[1] = tile.state[1] + at, step.next[1] = tile.spare[1] + at;
    if (rows == 1)
      matmul_single_row(single, step.state[0], inputs + at * gates_, sums);
    else if (maps_)
      kernels.matmul(rows, &recurrent_.matrix(), {step.state[0], units_}, sums, sums_row);
    if (has_norms_) apply_norms(rows, 0, gates_, inputs + first * gates_ * units_, gates_ * units_);
    if (has_norms_) apply_norms(rows, gates_, maps_ - inner_, sums, sums_row);
    if (inner_) {
      step_.inner_forward(rows, units_, step, sums, inner);
      float* const last = sums + (maps_ - 1) * units_;
      if (rows == 1)
        kernels.matmul_row(&inner_map_.matrix(), inner, last, single.backwards);
      else
        kernels.matmul(rows, &inner_map_.matrix(), {inner, units_}, last, sums_row);
      if (has_norms_) apply_norms(rows, gates_ + maps_ - 1, 1, last, sums_row);
    }
    step_.forward(rows, units_, step);
  }

  // Compute the products of a single row that do not need `inner`.
  void matmul_single_row(const SingleRow& single, const float* h, float* inputs, float* sums) const {
    if (single.input && !single.backwards) kernels.matmul_row(single.input, single.x, inputs, 0);
    if (maps_) kernels.matmul_row(&recurrent_.matrix(), h, sums, single.backwards);
    if (single.input && single.backwards) kernels.matmul_row(single.input, single.x, inputs, 1);
  }

  // Apply norms [k, k + count) to adjacent planes, in place. The planes of a single row are normalized together, as if
  // they were rows.
  void apply_norms(std::size_t rows, std::size_t k, std::size_t count, float* planes, std::size_t ld) const {
    const float *gain = gains_.data() + k * units_, *bias = biases_.data() + k * units_;
    if (rows == 1 && count)
      return kernels.cell_norm(count, size, {planes, units_}, {gain, units_}, {bias, units_}, TIDEGATE_NORM_EPS, planes,
                               units_, {});
    for (std::size_t i = 0; i < count; ++i, planes += units_, gain += units_, bias += units_)
      kernels.cell_norm(rows, size, {planes, ld}, {gain, 0}, {bias, 0}, TIDEGATE_NORM_EPS, planes, ld, {});
  }

  const CellKernels& step_;
  const std::size_t gates_, maps_, inner_;  // inner_: 1 if the last map multiplies `inner` (see CellKernels), else 0
  const bool has_norms_;
  const std::size_t units_;
  InputProjection inputs_;
  PackedWeights recurrent_, inner_map_;
  AlignedFloats params_, gains_, biases_;
};

}  // namespace

std::unique_ptr<Layer> make_fused_cell(const Kernels& kernels, const KnownCell& cell) {
  return std::make_unique<FusedCell>(kernels, cell);
}

}  // namespace tidegate
