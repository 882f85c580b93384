// Projections: a packed product, or a table of its results.
#include "projection.h"

#include <cstring>

namespace tidegate {
namespace {

constexpr std::size_t kTableFloats = std::size_t{8} << 20;  // 32 MB

}  // namespace

Projection::Projection(const Kernels& kernels, std::size_t depth, const std::vector<std::int64_t>& order,
                       const float* weights, const float* bias)
    : columns(order.size()), kernels_(kernels), packed_(kernels, depth, order, weights, bias) {}

bool Projection::fold(const Layer& embed) {
  const std::size_t count = embed.inputs, ld = embed.padded(embed.size);
  if (columns == 0 || count > kTableFloats / columns) return false;
  table_ = std::make_unique<Floats>(count * columns);
  const Floats rows(kTileRows * ld);
  for (std::size_t r = 0; r < count; r += kTileRows) {
    const std::size_t some = count - r < kTileRows ? count - r : kTileRows;
    embed.look_up(r, some, rows.data());
    kernels_.product(some, &packed_.product(), {rows.data(), ld}, table_->data() + r * columns, columns);
  }
  return true;
}

void Projection::run(std::size_t items, Rows x, float* out) const {
  if (columns == 0) return;
  if (!table_) return kernels_.product(items, &packed_.product(), x, out, columns);
  for (std::size_t i = 0; i < items; ++i) {
    std::int32_t id;
    std::memcpy(&id, x.data + i * x.ld, sizeof id);
    std::memcpy(out + i * columns, table_->data() + static_cast<std::size_t>(id) * columns, columns * sizeof(float));
  }
}

}  // namespace tidegate
