// The operations that a kernel was proved against, to be compared with those of a program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "layer.h"

namespace tidegate {

// A step, written by its operations. Each function appends one and returns its register; the sizes of results follow
// from the operands. A program matches if it computes its output and its next states by the same operations from the
// same operands, whatever their order; then the tensors, constants and states are those that stand at their places.
class Pattern {
 public:
  using Register = std::int32_t;

  explicit Pattern(const tidegate_program& program) : program_(program) {}

  Register input() { return append(TIDEGATE_OP_INPUT, program_.inputs); }
  Register take(Register table, std::int64_t size, std::int32_t id) {
    return append(TIDEGATE_OP_TAKE, size, table, id);
  }
  Register state(std::int64_t size);
  Register steps() { return append(TIDEGATE_OP_STEPS, 1); }
  Register tensor(std::int64_t size);
  Register constant();
  Register affine(Register x, Register weight, Register bias) {
    return append(TIDEGATE_OP_AFFINE, size_of(bias), x, weight, bias);
  }
  Register part(Register x, std::int64_t first, std::int64_t size) {
    return append(TIDEGATE_OP_PART, size, x, 0, 0, 1, size_of(x), first);
  }
  Register concat(Register a, Register b) { return append(TIDEGATE_OP_CONCAT, size_of(a) + size_of(b), a, b); }
  Register sum(Register x) { return append(TIDEGATE_OP_SUM, 1, x, 0, 0, 1, size_of(x), 1); }
  Register peak(Register x) { return append(TIDEGATE_OP_PEAK, 1, x, 0, 0, 1, size_of(x), 1); }
  Register mean(Register x) { return append(TIDEGATE_OP_MEAN, 1, x, 0, 0, 0, size_of(x)); }
  Register dot(Register a, Register b) { return append(TIDEGATE_OP_DOT, 1, a, b, 0, 0, size_of(a)); }
  Register push(Register window, Register x) { return append(TIDEGATE_OP_PUSH, size_of(window), window, x); }
  // Elementwise operations.
  Register unary(std::int32_t opcode, Register a) { return append(opcode, size_of(a), a); }
  Register binary(std::int32_t opcode, Register a, Register b) {
    return append(opcode, size_of(a) == 1 ? size_of(b) : size_of(a), a, b);
  }
  Register add(Register a, Register b) { return binary(TIDEGATE_OP_ADD, a, b); }
  Register sub(Register a, Register b) { return binary(TIDEGATE_OP_SUB, a, b); }
  Register mul(Register a, Register b) { return binary(TIDEGATE_OP_MUL, a, b); }
  Register div(Register a, Register b) { return binary(TIDEGATE_OP_DIV, a, b); }

  // Whether register `found` of the program has this value.
  bool matches(Register expected, std::int32_t found);
  // Whether the states are all that the program has, with these next values, in the order in which they were appended.
  // Call it after what reads the states has matched.
  bool matches_states(const std::vector<Register>& next);

  // Of registers that have matched.
  const float* values(Register tensor) const { return tensors_[index_of(tensor)]; }
  float value(Register constant) const { return constants_[index_of(constant)]; }
  StateArray array(std::size_t state) const;

 private:
  struct Row {
    std::int32_t opcode;
    std::int64_t size;
    std::int32_t a, b, c;
    std::int64_t p, q, r;
    std::int32_t found;  // the register of the program; -1: not yet
  };

  Register append(std::int32_t opcode, std::int64_t size, std::int32_t a = 0, std::int32_t b = 0, std::int32_t c = 0,
                  std::int64_t p = 0, std::int64_t q = 0, std::int64_t r = 0) {
    rows_.push_back({opcode, size, a, b, c, p, q, r, -1});
    return static_cast<Register>(rows_.size()) - 1;
  }
  std::int64_t size_of(Register reg) const { return rows_[static_cast<std::size_t>(reg)].size; }
  std::size_t index_of(Register reg) const { return static_cast<std::size_t>(rows_[static_cast<std::size_t>(reg)].a); }

  const tidegate_program& program_;
  std::vector<Row> rows_;
  std::vector<const float*> tensors_;
  std::vector<float> constants_;
  std::vector<std::int32_t> states_;  // of the program
};

}  // namespace tidegate
