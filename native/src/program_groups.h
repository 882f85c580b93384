// Groups of a program's operations that a kernel computes at once.
#pragma once

#include <map>

#include "program.h"

namespace tidegate {

// The rows of a program.
struct ProgramReader {
  const tidegate_program& program;

  const std::int32_t* row_of(std::size_t i) const { return program.code + TIDEGATE_OPERATION_WIDTH * i; }
  std::int32_t opcode_of(std::int32_t reg) const { return row_of(static_cast<std::size_t>(reg))[0]; }
  std::size_t size_of(std::int32_t reg) const {
    return static_cast<std::size_t>(row_of(static_cast<std::size_t>(reg))[1]);
  }
};

// What takes the place of the last operation of a group; see ProgramOperation.
struct ProgramGroup {
  std::int32_t opcode, a, b, p, q, r;
};

struct ProgramGroups {
  std::map<std::size_t, ProgramGroup> groups;  // by the last operation of each
  std::vector<bool> merged;                    // the operations before it
};

// reads: how many operations and results read each register.
ProgramGroups find_groups(const tidegate_program& program, const std::vector<std::int32_t>& reads);

}  // namespace tidegate
