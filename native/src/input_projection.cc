// Input projections: a packed product, or a table of its results.
#include "input_projection.h"

#include <cstring>

namespace tidegate {
namespace {

constexpr std::size_t kTableFloats = std::size_t{8} << 20;  // 32 MB

}  // namespace

InputProjection::InputProjection(const Kernels& kernels, std::size_t depth, const std::vector<std::int64_t>& order,
                                 const float* weights, const float* bias)
    : columns(order.size()), kernels_(kernels), packed_(kernels, depth, order, weights, bias) {}

bool InputProjection::fold(const Layer& embed) {
  const std::size_t count = embed.inputs, ld = embed.padded_size(embed.size);
  if (columns == 0 || count > kTableFloats / columns) return false;
  table_ = std::make_unique<AlignedFloats>(count * columns);
  const AlignedFloats rows(kTileRows * ld);
  for (std::size_t r = 0; r < count; r += kTileRows) {
    const std::size_t rows_now = count - r < kTileRows ? count - r : kTileRows;
    embed.look_up(r, rows_now, rows.data());
    kernels_.matmul(rows_now, &packed_.matrix(), {rows.data(), ld}, table_->data() + r * columns, columns);
  }
  return true;
}

void InputProjection::run(std::size_t items, MatrixView x, float* out) const {
  if (columns == 0) return;
  if (!table_) return kernels_.matmul(items, &packed_.matrix(), x, out, columns);
  for (std::size_t i = 0; i < items; ++i) {
    std::int32_t id;
    std::memcpy(&id, x.data + i * x.ld, sizeof id);
    std::memcpy(out + i * columns, table_->data() + static_cast<std::size_t>(id) * columns, columns * sizeof(float));
  }
}

}  // namespace tidegate
