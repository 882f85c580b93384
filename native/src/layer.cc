// What layers share: aligned floats, packing, state rows.
#include "layer.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace tidegate {

// calloc leaves large blocks untouched, so that room for rows that never come costs no memory.
Floats::Floats(std::size_t count) {
  if (count > SIZE_MAX / 8) throw std::bad_alloc();
  block_.reset(std::calloc((count + 16) * sizeof(float) + 64, 1));
  if (!block_) throw std::bad_alloc();
  const auto address = reinterpret_cast<std::uintptr_t>(block_.get());
  data_ = reinterpret_cast<float*>((address + 63) / 64 * 64);
}

void Floats::Free::operator()(void* block) const { std::free(block); }

std::size_t checked_size(std::int64_t value, const char* what) {
  if (value < 1 || value > TIDEGATE_MAX_SIZE)
    throw ValueError(std::string(what) + " must be from 1 to " + std::to_string(TIDEGATE_MAX_SIZE) + ", found " +
                     std::to_string(value));
  return static_cast<std::size_t>(value);
}

Unary* activation_kernel(const Kernels& kernels, std::int32_t activation) {
  switch (activation) {
    case TIDEGATE_NONE: return nullptr;
    case TIDEGATE_ACTIVATION_RELU: return kernels.relu;
    case TIDEGATE_ACTIVATION_TANH: return kernels.tanh;
    case TIDEGATE_ACTIVATION_SIGMOID: return kernels.sigmoid;
  }
  throw ValueError("unknown activation " + std::to_string(activation));
}

std::vector<std::int64_t> in_order(std::size_t n) {
  std::vector<std::int64_t> order(n);
  for (std::size_t j = 0; j < n; ++j) order[j] = static_cast<std::int64_t>(j);
  return order;
}

Packed::Packed(const Kernels& kernels, std::size_t depth, const std::vector<std::int64_t>& order, const float* weights,
               const float* bias)
    : weights_(depth * ((order.size() + kernels.lanes - 1) / kernels.lanes * kernels.lanes)),
      bias_((order.size() + kernels.lanes - 1) / kernels.lanes * kernels.lanes) {
  const std::size_t vectors = (order.size() + kernels.lanes - 1) / kernels.lanes, columns = vectors * kernels.lanes;
  const std::size_t block = kBlockVectors * kernels.lanes;
  for (std::size_t j = 0; j < order.size(); ++j) {
    if (order[j] < 0) continue;
    const std::size_t first = j / block * block, width = first + block <= columns ? block : columns - first;
    float* to = weights_.data() + first * depth + (j - first);
    const float* from = weights + static_cast<std::size_t>(order[j]) * depth;
    for (std::size_t k = 0; k < depth; ++k) to[k * width] = from[k];
    bias_.data()[j] = bias[order[j]];
  }
  product_ = {depth, vectors, weights_.data(), bias_.data()};
}

Floats padded_copy(const Layer& layer, const float* values, std::size_t n) {
  Floats copy(layer.padded(n));
  std::memcpy(copy.data(), values, n * sizeof(float));
  return copy;
}

void store_state(const Tile& tile, const StateArray& array, std::size_t from, std::size_t to, Rows values) {
  for (std::size_t r = from; r < to; ++r)
    std::memcpy(tile.block[r] + array.offset, values.data + r * values.ld,
                static_cast<std::size_t>(array.size) * sizeof(float));
}

}  // namespace tidegate
