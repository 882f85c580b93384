// A fused layer of any cell that trains natively: products, norms, and the gates that training runs ahead. The same
// operations in the same order as the cell's tape, so the same bits.
#include <cstring>
#include <utility>

#include "projection.h"
#include "recurrent.h"

namespace tidegate {
namespace {

// Rows between two looks at the recurrent weights: the sums of their products wait in the first-level cache.
constexpr std::size_t kRowsTogether = 16;

class FusedCell final : public Layer {
 public:
  FusedCell(const Kernels& kernels, const tidegate_recurrent& cell, std::int32_t proved)
      : Layer(kernels, "recurrent", checked_size(cell.inputs, "recurrent: inputs"),
              checked_size(cell.size, "recurrent: size")),
        step_(kernels.cells[proved & ~TIDEGATE_CELL_NORMED]), gates_(cell.gates), maps_(cell.maps),
        inner_(step_.inner_forward ? 1 : 0), normed_(proved & TIDEGATE_CELL_NORMED), units_(padded(size)),
        inputs_(kernels, inputs, side_by_side(*this, size, first_maps(cell.gates)), cell.W, cell.b),
        recurrent_(kernels, size, side_by_side(*this, size, first_maps(cell.maps - inner_)), cell.R, cell.c),
        last_map_(kernels, size, side_by_side(*this, size, std::vector<std::int32_t>(inner_, cell.maps - 1)), cell.R,
                  cell.c),
        own_(own(cell) * units_), gains_(norms() * units_), biases_(norms() * units_) {
    for (std::int32_t s = 0; s < cell.states; ++s) states.push_back(state_array(cell, s));
    const float* param = cell.params;
    for (std::size_t k = 0; k < own(cell); ++k, param += size)
      std::memcpy(own_.data() + k * units_, param, size * sizeof(float));
    for (std::size_t k = 0; k < norms(); ++k, param += 2 * size) {  // gain and bias by turns
      std::memcpy(gains_.data() + k * units_, param, size * sizeof(float));
      std::memcpy(biases_.data() + k * units_, param + size, size * sizeof(float));
    }
  }

  void run(const Chunk& chunk, const Tile& tile, Rows x, float* out) const override {
    const float* h = tile.state[0];
    float* inputs = tile.scratch;
    const Product* const input = chunk.items == 1 ? inputs_.product() : nullptr;  // one step takes it along
    if (!input) inputs_.run(chunk.items, x, inputs);
    for (std::size_t t = 0; t < chunk.steps; ++t) {
      const std::size_t rows = chunk.rows[t], left = chunk.rows[t + 1];
      const Alone alone = {input, x.data, static_cast<int>((tile.seen[0] + chunk.first + t) % 2)};
      for (std::size_t r = 0; r < rows; r += kRowsTogether)
        step(r, rows - r < kRowsTogether ? rows - r : kRowsTogether, tile, inputs, h, out, alone);
      store_state(tile, states[0], left, rows, {out, units_});
      if (states.size() > 1) {
        store_state(tile, states[1], left, rows, {tile.spare[1], units_});
        std::swap(tile.state[1], tile.spare[1]);
      }
      h = out;  // the output is the next state
      inputs += rows * gates_ * units_;
      out += rows * units_;
    }
    std::memcpy(tile.state[0], h, chunk.rows[chunk.steps] * units_ * sizeof(float));
  }

  bool fold(const Layer& embed) override { return inputs_.fold(embed); }
  bool fused() const override { return true; }
  std::size_t scratch() const override {
    return (kTileRows * gates_ + kRowsTogether * (maps_ + inner_)) * units_;
  }
  std::size_t work() const override { return size * (gates_ * inputs + maps_ * size + 16); }

 private:
  // How many parameters are the cell's own, and no norm's.
  std::size_t own(const tidegate_recurrent& cell) const {
    return static_cast<std::size_t>(cell.params_count) - 2 * norms();
  }
  std::size_t norms() const { return normed_ ? gates_ + maps_ : 0; }

  // How one row goes through a step: its input, unless that is worked out already (null), and the weights from their
  // last blocks on or from the first (see Products::gru_step).
  struct Alone {
    const Product* input;
    const float* x;
    int backwards;
  };

  // Rows [first, first + rows) of one step.
  void step(std::size_t first, std::size_t rows, const Tile& tile, float* inputs, const float* h, float* out,
            const Alone& alone) const {
    float* const sums = tile.scratch + kTileRows * gates_ * units_;
    float* const inner = sums + kRowsTogether * maps_ * units_;
    const std::size_t at = first * units_, sums_row = maps_ * units_;
    CellForward step = {inputs + first * gates_ * units_, sums, {h + at, nullptr}, {out + at, nullptr}, nullptr, 0,
                        own_.data()};
    if (states.size() > 1) step.state[1] = tile.state[1] + at, step.next[1] = tile.spare[1] + at;
    if (rows == 1)
      products(alone, step.state[0], inputs + at * gates_, sums);
    else if (maps_)
      kernels.product(rows, &recurrent_.product(), {step.state[0], units_}, sums, sums_row);
    if (normed_) norm(rows, 0, gates_, inputs + first * gates_ * units_, gates_ * units_);
    if (normed_) norm(rows, gates_, maps_ - inner_, sums, sums_row);
    if (inner_) {
      step_.inner_forward(rows, units_, step, sums, inner);
      float* const last = sums + (maps_ - 1) * units_;
      if (rows == 1)
        kernels.row_product(&last_map_.product(), inner, last, alone.backwards);
      else
        kernels.product(rows, &last_map_.product(), {inner, units_}, last, sums_row);
      if (normed_) norm(rows, gates_ + maps_ - 1, 1, last, sums_row);
    }
    step_.forward(rows, units_, step);
  }

  // One row's products that need no number of the cell's own.
  void products(const Alone& alone, const float* h, float* inputs, float* sums) const {
    if (alone.input && !alone.backwards) kernels.row_product(alone.input, alone.x, inputs, 0);
    if (maps_) kernels.row_product(&recurrent_.product(), h, sums, alone.backwards);
    if (alone.input && alone.backwards) kernels.row_product(alone.input, alone.x, inputs, 1);
  }

  // Norms [k, k + count) of planes side by side, in place. One row's go together, as rows of several do.
  void norm(std::size_t rows, std::size_t k, std::size_t count, float* planes, std::size_t ld) const {
    const float *gain = gains_.data() + k * units_, *bias = biases_.data() + k * units_;
    if (rows == 1 && count)
      return kernels.normed(count, size, {planes, units_}, {gain, units_}, {bias, units_}, TIDEGATE_NORM_EPS, planes,
                            units_, {});
    for (std::size_t i = 0; i < count; ++i, planes += units_, gain += units_, bias += units_)
      kernels.normed(rows, size, {planes, ld}, {gain, 0}, {bias, 0}, TIDEGATE_NORM_EPS, planes, ld, {});
  }

  const CellKernels& step_;
  const std::size_t gates_, maps_, inner_;  // inner_: 1 where the last map multiplies a number of the cell's own
  const bool normed_;
  const std::size_t units_;
  Projection inputs_;
  Packed recurrent_, last_map_;
  Floats own_, gains_, biases_;
};

}  // namespace

std::unique_ptr<Layer> make_fused_cell(const Kernels& kernels, const tidegate_recurrent& cell, std::int32_t proved) {
  return std::make_unique<FusedCell>(kernels, cell, proved);
}

}  // namespace tidegate
