// Convolution over time: each output depends on the last `width` inputs of its row, with zeros before the first. One
// that looks ahead does the same: its output is then about the step `ahead` steps before its last input.
#include <cstring>

#include "layer.h"

namespace tidegate {
namespace {

class Conv final : public Layer {
 public:
  Conv(const Kernels& kernels, std::size_t inputs, std::size_t size, std::size_t width, std::size_t ahead,
       const float* weight, const float* bias, std::int32_t activation, std::int64_t past_offset)
      : Layer(kernels, "conv", inputs, size),
        depth_(width * inputs),
        ahead_(ahead),
        activation_(activation_kernel(kernels, activation)),
        packed_(kernels, depth_, make_range(size), weight, bias) {
    if (width > 1) states.push_back({past_offset, static_cast<std::int64_t>(depth_ - inputs)});
  }

  void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const override {
    const std::size_t ld = padded_size(size);
    if (!states.empty()) x = windows(chunk, tile, x);
    kernels.matmul(chunk.items, &packed_.matrix(), x, out, ld);
    if (activation_) activation_(chunk.items, ld, {out, ld}, out, ld);
  }
  std::size_t ahead() const override { return ahead_; }
  std::size_t scratch() const override { return states.empty() ? 0 : kTileRows * depth_; }
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

  std::size_t depth_, ahead_;
  Unary* activation_;
  PackedWeights packed_;
};

}  // namespace

std::unique_ptr<Layer> make_conv(const Kernels& kernels, std::int64_t inputs, std::int64_t size, std::int64_t width,
                                 std::int64_t ahead, const float* weight, const float* bias, std::int32_t activation,
                                 std::int64_t past_offset) {
  check_size(inputs, "conv: inputs");
  check_size(width, "conv: width");
  check_size(inputs * width, "conv: inputs times width");
  if (ahead < 0 || ahead >= width)
    throw ValueError("conv: ahead must be from 0 to " + std::to_string(width - 1) + ", less than width, found " +
                     std::to_string(ahead));
  if (width == 1 && past_offset != -1)
    throw ValueError("conv: a width of 1 has no state, so its offset must be -1, found " + std::to_string(past_offset));
  return std::make_unique<Conv>(kernels, static_cast<std::size_t>(inputs), check_size(size, "conv: size"),
                                static_cast<std::size_t>(width), static_cast<std::size_t>(ahead), weight, bias,
                                activation, past_offset);
}

}  // namespace tidegate
