// Recurrent layers: what the interpreter and the fused ones share.
#pragma once

#include "layer.h"

namespace tidegate {

StateArray state_array(const tidegate_recurrent& cell, std::int32_t s);

// 0, 1 ... count - 1.
std::vector<std::int32_t> first_maps(std::int32_t count);

// Column order of maps side by side, each padded to whole vectors: rows of a matrix [_ * H, depth], -1 for padding.
std::vector<std::int64_t> side_by_side(const Layer& layer, std::size_t size, const std::vector<std::int32_t>& maps);

// Of a cell by `proved_cell`.
std::unique_ptr<Layer> make_fused_cell(const Kernels&, const tidegate_recurrent& cell, std::int32_t proved);

}  // namespace tidegate
