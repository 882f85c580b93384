// Recurrent layers that have a kernel.
#pragma once

#include "known_cells.h"

namespace tidegate {

std::unique_ptr<Layer> make_recurrent(const Kernels&, const KnownCell& cell);
// Make the layer of any cell but the GRU, which has a kernel of its own.
std::unique_ptr<Layer> make_fused_cell(const Kernels&, const KnownCell& cell);

}  // namespace tidegate
