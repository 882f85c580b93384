// A random cell: arrays of a tidegate_recurrent, each of the size that the header promises.
#pragma once

#include <functional>
#include <vector>

#include "input.h"
#include "tidegate.h"

namespace fuzz {

class Cell {
 public:
  // room(floats): the byte offset of a state array.
  Cell(Input& in, std::int64_t inputs, const std::function<std::int32_t(std::int64_t)>& room);
  // Valid as long as the cell lives.
  tidegate_recurrent described() const;

  std::int64_t size, project;

 private:
  void sizes(const std::function<std::int32_t(std::int64_t)>& room);
  void gru();
  void instructions(Input& in);
  void one(Input& in);
  void results(Input& in);
  void put(std::int32_t opcode, std::int32_t a, std::int32_t b, std::int64_t width);
  std::int32_t of_width(std::int64_t width, std::int32_t from) const;  // a register, or -1
  std::int64_t outputs() const { return project ? project : size; }

  Input& in_;
  std::int64_t inputs_;
  std::int32_t gates_, maps_, states_, params_count_, consts_count_, count_, output_ = 0;
  std::vector<std::int32_t> tape_, widths_, next_, offsets_, state_sizes_, param_sizes_;
  std::vector<float> consts_, W_, b_, R_, c_, Q_, params_;
};

}  // namespace fuzz
