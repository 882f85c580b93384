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
  static bool is_product(std::int32_t opcode) {
    return opcode == TIDEGATE_OP_AFFINE || opcode == TIDEGATE_OP_MATMUL;
  }
  static bool reads_second(std::int32_t opcode) {
    return opcode == TIDEGATE_OP_SELECT || opcode == TIDEGATE_OP_DOT || opcode == TIDEGATE_OP_PUSH ||
           opcode >= TIDEGATE_OP_ADD;
  }
  bool is_view(std::size_t i) const { return row_of(i)[0] == TIDEGATE_OP_PART && row_of(i)[5] == 1; }

  // Visit the registers that operation i reads, but for the matrix and the bias of a product, which are packed.
  template <class Visit>
  void for_operands(std::size_t i, const Visit& visit) const {
    const std::int32_t *row = row_of(i), opcode = row[0];
    if (opcode == TIDEGATE_OP_CONCAT) {
      for (std::int32_t k = 0; k < row[3]; ++k) visit(program.joined[row[2] + k]);
      return;
    }
    if (opcode == TIDEGATE_OP_TAKE || opcode > TIDEGATE_OP_CONST) visit(row[2]);
    if (reads_second(opcode)) visit(row[3]);
    if (opcode == TIDEGATE_OP_SELECT) visit(row[4]);
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

// Return, for each state, whether it stays in its block, where rows run one by one: a long one whose only reader appends
// a step to it, or that steps only read. lanes: floats in a vector.
std::vector<bool> find_in_place(const tidegate_program& program, const std::vector<std::int32_t>& reads,
                                const ProgramGroups& found, std::size_t lanes);

}  // namespace tidegate
