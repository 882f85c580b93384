// Which cell a tape is, of those that fused kernels were proved against.
#pragma once

#include <cstdint>

#include "tidegate.h"

namespace tidegate {

// The tidegate_cell, plus TIDEGATE_CELL_NORMED with norms, whose equation is this very tape; -1 for none.
std::int32_t proved_cell(const tidegate_recurrent& cell);

}  // namespace tidegate
