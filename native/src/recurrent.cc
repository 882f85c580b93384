// Recurrent layers: the GRU, which has a kernel of its own, and the choice between it and the other cells.
#include "recurrent.h"

#include <cstring>

#include "input_projection.h"

namespace tidegate {
namespace {

// Return the column order of three gates by vectors: r z n of the first `lanes` units, then of the next.
std::vector<std::int64_t> interleave_gates(const Layer& layer) {
  const auto H = static_cast<std::int64_t>(layer.size), lanes = static_cast<std::int64_t>(layer.kernels.lanes);
  std::vector<std::int64_t> order;
  for (std::int64_t unit = 0; unit < H; unit += lanes)
    for (std::int64_t gate = 0; gate < 3; ++gate)
      for (std::int64_t j = unit; j < unit + lanes; ++j) order.push_back(j < H ? gate * H + j : -1);
  return order;
}

class FusedGru final : public Layer {
 public:
  FusedGru(const Kernels& kernels, const KnownCell& cell)
      : Layer(kernels, "recurrent", cell.inputs, cell.size),
        inputs_(kernels, inputs, interleave_gates(*this), cell.W, cell.b),
        recurrent_(kernels, size, interleave_gates(*this), cell.R.data(), cell.c.data()) {
    states = cell.states;
  }

  void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const override {
    const std::size_t H = padded_size(size), gate_row = 3 * H;
    // a single step computes it on the way
    const PackedMatrix* const input = chunk.items == 1 ? inputs_.matrix() : nullptr;
    if (!input) inputs_.run(chunk.items, x, tile.scratch);
    float* inputs = tile.scratch;
    MatrixView h = {tile.state[0], H};
    for (std::size_t t = 0; t < chunk.steps; ++t) {
      const std::size_t rows = chunk.rows[t];
      if (rows == 1)
        kernels.gru_step(input, x.data, inputs, &recurrent_.matrix(), h.data, tile.scratch + kTileRows * gate_row, out,
                         (tile.past_steps[0] + chunk.first + t) % 2);
      else
        kernels.gru(rows, &recurrent_.matrix(), {inputs, gate_row}, h, out, H);
      store_state(tile, states[0], chunk.rows[t + 1], rows, {out, H});
      h.data = out;  // the output is also the next state
      inputs += rows * gate_row;
      out += rows * H;
    }
    std::memcpy(tile.state[0], h.data, chunk.rows[chunk.steps] * H * sizeof(float));
  }
  bool fold(const Layer& embed) override { return inputs_.fold(embed); }
  std::size_t scratch() const override { return (kTileRows + 1) * 3 * padded_size(size); }
  std::size_t work() const override { return 3 * size * (inputs + size + 16); }

 private:
  InputProjection inputs_;
  PackedWeights recurrent_;
};

}  // namespace

std::unique_ptr<Layer> make_recurrent(const Kernels& kernels, const KnownCell& cell) {
  if (cell.cell == TIDEGATE_CELL_GRU) return std::make_unique<FusedGru>(kernels, cell);
  return make_fused_cell(kernels, cell);
}

}  // namespace tidegate
