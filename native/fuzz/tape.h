// A random cell: the arrays of a tidegate_recurrent, each of the length that the header asks for.
#pragma once

#include <functional>
#include <vector>

#include "input.h"
#include "tidegate.h"

namespace fuzz {

class Cell {
 public:
  // reserve_state(floats) returns the byte offset of a state array.
  Cell(Input& in, std::int64_t inputs, const std::function<std::int32_t(std::int64_t)>& reserve_state);
  // The result points into this cell.
  tidegate_recurrent as_struct() const;

  std::int64_t size, project;

 private:
  void choose_sizes(const std::function<std::int32_t(std::int64_t)>& reserve_state);
  void append_gru();
  void append_instructions(Input& in);
  void append_random(Input& in);
  void choose_outputs(Input& in);
  void append(std::int32_t opcode, std::int32_t a, std::int32_t b, std::int64_t width);
  std::int32_t find_register(std::int64_t width, std::int32_t from) const;  // a register of this width, or -1
  std::int64_t outputs() const { return project ? project : size; }

  Input& in_;
  std::int64_t inputs_;
  std::int32_t gates_, maps_, states_, params_count_, consts_count_, count_, output_ = 0;
  std::vector<std::int32_t> tape_, widths_, next_, offsets_, state_sizes_, param_sizes_;
  std::vector<float> consts_, W_, b_, R_, c_, Q_, params_;
};

}  // namespace fuzz
