// What layers share: aligned floats, packing, state rows.
#include "layer.h"

#include <cmath>
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

namespace {

std::size_t multiple(std::size_t n, std::size_t of) { return (n + of - 1) / of * of; }

}  // namespace

std::uint16_t to_bf16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (x != x) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  const std::uint32_t half = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  if ((half & 0x7fff) == 0x7f80 && std::isfinite(x))
    throw ValueError("a weight of " + std::to_string(static_cast<double>(x) / 1e38) +
                     "e38 is too large for bfloat16; keep the weights as float32");
  return static_cast<std::uint16_t>(half);
}

// Column j stands in a block of `width` columns, a group of `together` k after another.
Packed::Packed(const Kernels& kernels, std::size_t depth, const std::vector<std::int64_t>& order, const float* weights,
               const float* bias)
    : weights_(multiple(depth, kernels.deep) * multiple(order.size(), kernels.lanes) / kernels.together),
      bias_(multiple(order.size(), kernels.lanes)) {
  const std::size_t columns = multiple(order.size(), kernels.lanes), together = kernels.together;
  const std::size_t block = kBlockVectors * kernels.lanes, deep = multiple(depth, kernels.deep);
  auto* const halves = reinterpret_cast<std::uint16_t*>(weights_.data());
  for (std::size_t j = 0; j < order.size(); ++j) {
    if (order[j] < 0) continue;
    const std::size_t first = j / block * block, width = first + block <= columns ? block : columns - first;
    const float* from = weights + static_cast<std::size_t>(order[j]) * depth;
    for (std::size_t k = 0; k < depth; ++k) {
      const std::size_t to = first * deep + (k / together * width + (j - first)) * together + k % together;
      if (kernels.precision == kFloat32)
        weights_.data()[to] = from[k];
      else
        halves[to] = to_bf16(from[k]);
    }
    bias_.data()[j] = bias[order[j]];
  }
  product_ = {depth, columns / kernels.lanes, weights_.data(), bias_.data()};
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
