// Recognises the tapes of cells that have a fused kernel.
#pragma once

#include <cstdint>

#include "tidegate.h"

namespace tidegate {

// Return the tidegate_cell, plus TIDEGATE_CELL_WITH_NORMS if it has norms, whose equations are exactly this tape; -1 if
// there is none.
std::int32_t find_known_cell(const tidegate_recurrent& cell);

}  // namespace tidegate
