// A random program: the arrays of a tidegate_program, each of the length that the header asks for.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "input.h"
#include "tidegate.h"

namespace fuzz {

class Program {
 public:
  using ReserveState = std::function<std::int32_t(std::int64_t)>;  // floats -> byte offset of a state array

  // ids: 0 for a layer that takes numbers. known: an equation that a kernel was proved against, mostly.
  Program(Input& in, std::int64_t inputs, std::int64_t ids, bool known, const ReserveState& reserve_state);
  // The input, `ahead` steps late.
  static Program make_delay(Input& in, std::int64_t inputs, std::int64_t ahead, const ReserveState& reserve_state);

  // The result points into this program. plain: with an operation more for each register, which reads it at the very
  // end and which nothing needs: then no memory is used twice, nothing is merged and no state changes in its block.
  tidegate_program as_struct(bool plain) const;
  std::int64_t width() const { return output_ >= 0 && output_ < count() ? size_of(output_) : 0; }

  // Whether a table's row is taken by this id of a step, so that it must not be negative.
  bool takes(std::int64_t id) const;

  std::int64_t inputs, ids, ahead = 0;

 private:
  Program(Input& in, std::int64_t inputs, std::int64_t ids) : inputs(inputs), ids(ids), in_(in) {}

  using Row = std::array<std::int32_t, TIDEGATE_OPERATION_WIDTH>;

  std::int32_t append(std::int32_t opcode, std::int64_t size, std::int64_t a = 0, std::int64_t b = 0,
                      std::int64_t c = 0, std::int64_t p = 0, std::int64_t q = 0, std::int64_t r = 0);
  // known_layers.cc
  void append_known(const ReserveState& reserve_state);
  std::int32_t append_embed(std::int64_t size);
  std::int32_t append_window(std::int64_t size, std::int64_t steps, const ReserveState& reserve_state);
  std::int32_t append_norm(std::int32_t x);
  std::int32_t append_pools(const ReserveState& reserve_state);
  std::int32_t append_cell(std::int64_t size, const ReserveState& reserve_state);
  void change_one();
  std::int32_t append_state(std::int64_t size, const ReserveState& reserve_state);
  std::int32_t binary(std::int32_t opcode, std::int32_t a, std::int32_t b) {
    return append(opcode, size_of(a) == 1 ? size_of(b) : size_of(a), a, b);
  }
  std::int32_t unary(std::int32_t opcode, std::int32_t a) { return append(opcode, size_of(a), a); }
  std::int32_t affine(std::int32_t x, std::int64_t size);

  void append_drawn(const ReserveState& reserve_state);
  void finish();
  void append_random();
  void append_leaf();
  void append_reduction(std::int32_t opcode, std::int32_t a);
  void append_dot(std::int32_t a);
  void append_concat(std::int32_t a);
  void append_product(std::int32_t a, bool bias);
  void append_attention(std::int32_t window, std::int64_t n, std::int64_t groups, std::int64_t each);
  std::int32_t append_tensor(std::int64_t size);
  std::int32_t append_of_size(std::int64_t size);  // a register of this size, whatever its value

  std::int32_t count() const { return static_cast<std::int32_t>(code_.size()); }
  std::int64_t size_of(std::int32_t reg) const { return code_[static_cast<std::size_t>(reg)][1]; }
  std::int32_t any() { return static_cast<std::int32_t>(in_.below(256) % count()); }
  std::int32_t find(std::int64_t size);       // a register of this size, or any that is one wide, or -1
  std::int64_t divisor(std::int64_t size);    // of a size

  Input& in_;
  std::int32_t output_ = 0;
  std::vector<Row> code_, plain_;
  std::vector<std::int32_t> joined_, next_, offsets_, state_sizes_;
  std::vector<float> consts_;
  std::vector<std::vector<float>> tensors_;
  std::vector<const float*> tensor_data_;
  std::vector<std::int64_t> tensor_sizes_;
};

}  // namespace fuzz
