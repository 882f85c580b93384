// What all layers share: aligned floats, packed weights, writing states.
#include "layer.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tidegate {

// calloc does not touch the pages of large blocks, so that room for rows that are never used costs no memory.
AlignedFloats::AlignedFloats(std::size_t count) {
  if (count > SIZE_MAX / 8) throw std::bad_alloc();
  block_.reset(std::calloc((count + 16) * sizeof(float) + 64, 1));
  if (!block_) throw std::bad_alloc();
  const auto address = reinterpret_cast<std::uintptr_t>(block_.get());
  data_ = reinterpret_cast<float*>((address + 63) / 64 * 64);
}

void AlignedFloats::Free::operator()(void* block) const { std::free(block); }

std::size_t check_size(std::int64_t value, const char* what) {
  if (value < 1 || value > TIDEGATE_MAX_SIZE)
    throw ValueError(std::string(what) + " must be from 1 to " + std::to_string(TIDEGATE_MAX_SIZE) + ", found " +
                     std::to_string(value));
  return static_cast<std::size_t>(value);
}

Unary* unary_kernel(const Kernels& kernels, std::int32_t opcode) {
  Unary* const table[] = {kernels.neg,  kernels.abs,  kernels.exp, kernels.sigmoid,
                          kernels.tanh, kernels.relu, nullptr,     kernels.sqrt};
  const bool is_unary = opcode >= TIDEGATE_OP_NEG && opcode <= TIDEGATE_OP_SQRT;
  return is_unary ? table[opcode - TIDEGATE_OP_NEG] : nullptr;
}

std::vector<std::int64_t> make_range(std::size_t n) {
  std::vector<std::int64_t> order(n);
  for (std::size_t j = 0; j < n; ++j) order[j] = static_cast<std::int64_t>(j);
  return order;
}

namespace {

std::size_t round_up(std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

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

float from_bf16(std::uint16_t bf16) {
  const std::uint32_t bits = static_cast<std::uint32_t>(bf16) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Column j is in a block of `width` columns, which stores `k_pack` values of k for each column in turn.
PackedWeights::PackedWeights(const Kernels& kernels, std::size_t depth, const std::vector<std::int64_t>& order,
                             const float* weights, const float* bias)
    : weights_(round_up(depth, kernels.depth_multiple) * round_up(order.size(), kernels.lanes) / kernels.k_pack),
      bias_(round_up(order.size(), kernels.lanes)) {
  const std::size_t columns = round_up(order.size(), kernels.lanes), k_pack = kernels.k_pack;
  const std::size_t block = kBlockVectors * kernels.lanes, depth_multiple = round_up(depth, kernels.depth_multiple);
  auto* const bf16 = reinterpret_cast<std::uint16_t*>(weights_.data());
  for (std::size_t j = 0; j < order.size(); ++j) {
    if (order[j] < 0) continue;
    const std::size_t first = j / block * block, width = first + block <= columns ? block : columns - first;
    const float* from = weights + static_cast<std::size_t>(order[j]) * depth;
    for (std::size_t k = 0; k < depth; ++k) {
      const std::size_t to = first * depth_multiple + (k / k_pack * width + (j - first)) * k_pack + k % k_pack;
      if (kernels.precision == kFloat32)
        weights_.data()[to] = from[k];
      else
        bf16[to] = to_bf16(from[k]);
    }
    bias_.data()[j] = bias[order[j]];
  }
  matrix_ = {depth, columns / kernels.lanes, weights_.data(), bias_.data()};
}

AlignedFloats copy_padded(const Layer& layer, const float* values, std::size_t n) {
  AlignedFloats copy(layer.padded_size(n));
  std::memcpy(copy.data(), values, n * sizeof(float));
  return copy;
}

void store_state(const Tile& tile, const StateArray& array, std::size_t from, std::size_t to, MatrixView values) {
  for (std::size_t r = from; r < to; ++r)
    std::memcpy(tile.block[r] + array.offset, values.data + r * values.ld,
                static_cast<std::size_t>(array.size) * sizeof(float));
}

}  // namespace tidegate
