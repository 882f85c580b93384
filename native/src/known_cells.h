// Recognises the equations of cells that have a fused kernel.
#pragma once

#include <memory>
#include <vector>

#include "layer.h"

namespace tidegate {

// A cell that has a kernel, and its weights in a program's tensors. H: its size.
struct KnownCell {
  std::int32_t cell;  // a tidegate_cell, plus TIDEGATE_CELL_WITH_NORMS if it has norms
  std::size_t inputs, size, gates, maps;
  const float *W, *b;          // [gates * H, inputs], [gates * H]
  std::vector<float> R, c;     // [maps * H, H], [maps * H]
  std::vector<const float*> params;  // [H] each: those that are not a norm's
  std::vector<const float*> gains, biases;  // [H] each: of the gates, then of the maps
  std::vector<StateArray> states;  // the first is the output too

  bool has_norms() const { return cell & TIDEGATE_CELL_WITH_NORMS; }
};

// Return the cell whose equations are exactly this program; null if there is none.
std::unique_ptr<KnownCell> find_known_cell(const tidegate_program& program);

}  // namespace tidegate
