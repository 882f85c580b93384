// Recurrent layers: the rules of a tape, and what the fused layers share.
#pragma once

#include "layer.h"

namespace tidegate {

// Throw ValueError unless the tape is well formed.
void check_tape(const tidegate_recurrent& cell);

StateArray make_state_array(const tidegate_recurrent& cell, std::int32_t s);

// Return 0, 1 ... count - 1.
std::vector<std::int32_t> map_range(std::int32_t count);

// Return the column order of a product with several maps, each padded to whole vectors: rows of a matrix [_ * H,
// depth], and -1 for padding.
std::vector<std::int64_t> plane_order(const Layer& layer, std::size_t size, const std::vector<std::int32_t>& maps);

// Make the layer of a cell found by `find_known_cell`.
std::unique_ptr<Layer> make_fused_cell(const Kernels&, const tidegate_recurrent& cell, std::int32_t known_cell);

}  // namespace tidegate
