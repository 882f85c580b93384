// Convolution over time: each output depends on the last `width` inputs of its row, with zeros before the first. One
// that looks ahead does the same: its output is then about the step `ahead` steps before its last input.
#include <cstring>

#include "layer.h"

namespace tidegate {
namespace {

class Conv final : public Layer {
 public:
  Conv(const Kernels& kernels, const AffineWeights& weights, StateArray past)
      : Layer(kernels, "conv", weights.inputs, weights.size),
        depth_(inputs + static_cast<std::size_t>(past.size)),
        activation_(weights.activation),
        packed_(kernels, depth_, make_range(size), weights.weight, weights.bias) {
    states.push_back(past);
  }

  void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const override {
    const std::size_t ld = padded_size(size);
    kernels.matmul(chunk.items, &packed_.matrix(), windows(chunk, tile, x), out, ld);
    if (activation_) activation_(chunk.items, ld, {out, ld}, out, ld);
  }
  std::size_t scratch() const override { return kTileRows * depth_; }
  std::size_t work() const override { return depth_ * size; }

 private:
  // Write the last `width` inputs of each item to scratch, oldest first. All but the oldest become the row's new past.
  MatrixView windows(const Chunk& chunk, const Tile& tile, MatrixView x) const {
    const std::size_t past = depth_ - inputs, past_row = padded_size(past);
    float* window = tile.scratch;
    for (std::size_t t = 0; t < chunk.steps; ++t) {
      const float* older = window - (t ? chunk.rows[t - 1] * depth_ : 0);  // the same rows at the previous step
      for (std::size_t r = 0; r < chunk.rows[t]; ++r, window += depth_, x.data += x.ld) {
        const float* from = t ? older + r * depth_ + inputs : tile.state[0] + r * past_row;
        std::memcpy(window, from, past * sizeof(float));
        std::memcpy(window + past, x.data, inputs * sizeof(float));
      }
      const float* first = window - chunk.rows[t] * depth_;
      store_state(tile, states[0], chunk.rows[t + 1], chunk.rows[t], {first + inputs, depth_});
    }
    const float* last = window - chunk.rows[chunk.steps - 1] * depth_;
    for (std::size_t r = 0; r < chunk.rows[chunk.steps]; ++r)
      std::memcpy(tile.state[0] + r * past_row, last + r * depth_ + inputs, past * sizeof(float));
    return {tile.scratch, depth_};
  }

  const std::size_t depth_;  // of the window and of the input together
  Unary* activation_;
  PackedWeights packed_;
};

}  // namespace

std::unique_ptr<Layer> make_conv(const Kernels& kernels, const AffineWeights& weights, StateArray past) {
  return std::make_unique<Conv>(kernels, weights, past);
}

}  // namespace tidegate
