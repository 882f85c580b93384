// Pooling over the steps so far: last, mean, max and attention, concatenated. It updates its state step by step, like
// any other layer.
#include <cstring>

#include "layer.h"

namespace tidegate {
namespace {

struct Item {
  std::int32_t over;  // tidegate_pool
  std::size_t state;  // index of its first state array
};

class Pool final : public Layer {
 public:
  Pool(const Kernels& kernels, std::size_t size, const PoolWeights& weights)
      : Layer(kernels, "pool", size, size * weights.over.size()), score_bias_(weights.score_bias) {
    states = weights.states;
    if (weights.score) score_ = copy_padded(*this, weights.score, size);
    std::size_t state = 0;
    for (const std::int32_t over : weights.over) {
      items_.push_back({over, state});
      state += over == TIDEGATE_ATTENTION ? 3 : over == TIDEGATE_LAST ? 0 : 1;
    }
  }

  void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const override {
    const std::size_t ld = padded_size(size);
    for (std::size_t t = 0; t < chunk.steps; ++t) {
      for (std::size_t r = 0; r < chunk.rows[t]; ++r, x.data += x.ld, out += ld)
        for (std::size_t i = 0; i < items_.size(); ++i) {
          pool(items_[i], tile, r, chunk.first + t, x.data);
          std::memcpy(out + i * inputs, tile.scratch, inputs * sizeof(float));
        }
      for (std::size_t s = 0; s < states.size(); ++s)
        store_state(tile, states[s], chunk.rows[t + 1], chunk.rows[t], {tile.state[s], row(s)});
    }
  }
  std::size_t scratch() const override { return padded_size(inputs); }
  std::size_t work() const override { return size * 4; }

 private:
  std::size_t row(std::size_t s) const { return padded_size(static_cast<std::size_t>(states[s].size)); }

  // Write the pooled value of row r after this step to scratch.
  void pool(const Item& item, const Tile& tile, std::size_t r, std::size_t step, const float* x) const {
    const auto state = [&](std::size_t s) { return tile.state[item.state + s] + r * row(item.state + s); };
    switch (item.over) {
      case TIDEGATE_LAST: std::memcpy(tile.scratch, x, inputs * sizeof(float)); break;
      case TIDEGATE_MEAN: {
        const auto steps = static_cast<std::int64_t>(tile.past_steps[r] - delay + step + 1);
        kernels.pool_mean(inputs, x, static_cast<float>(steps), state(0), tile.scratch);
        break;
      }
      case TIDEGATE_MAX: kernels.pool_max(inputs, x, state(0), tile.scratch); break;
      case TIDEGATE_ATTENTION:
        kernels.pool_attention(inputs, x, score_.data(), score_bias_, state(0), state(1), state(2), tile.scratch);
        break;
    }
  }

  std::vector<Item> items_;
  AlignedFloats score_;
  float score_bias_;
};

}  // namespace

std::unique_ptr<Layer> make_pool(const Kernels& kernels, std::size_t size, const PoolWeights& weights) {
  return std::make_unique<Pool>(kernels, size, weights);
}

}  // namespace tidegate
