// A layer given as a program: operations over whole rows, checked, with a place for each value.
#pragma once

#include "input_projection.h"

namespace tidegate {

// Where the value of a register is stored. An early one is computed for all items of a chunk at once, because no state
// has a part in it. A spare is the next value of a state, written where it goes; a state that is changed in place stays
// in its block. The output goes where the caller wants it.
enum class Storage { kInput, kState, kBlock, kSpare, kTensor, kConst, kEarly, kSlot, kOut };

struct ProgramRegister {
  Storage storage;
  std::size_t index;   // of the state, tensor or constant; of an early value or a slot, its first float
  std::size_t offset;  // floats from the start of the row
  std::size_t row;     // floats from row to row; 0 if all rows have the same
  std::size_t size;
};

struct ProgramOperation {
  std::int32_t opcode, a, b, c, result;
  std::size_t p, q, r;
  Unary* unary;
  Binary* binary;
  Broadcast broadcast;
  std::size_t matrix;  // index of its packed weights
};

// A program that is ready to run. Products of one operand are one product, and a sum of products is one operation, with
// the same bits.
struct ProgramPlan {
  // Throws ValueError unless the program follows the rules of tidegate.h. One that does reads nothing out of bounds.
  ProgramPlan(const Layer& layer, const tidegate_program& program);

  std::vector<ProgramRegister> registers;
  std::vector<std::size_t> used;  // registers that operations read or write
  std::vector<ProgramOperation> early, late;
  std::vector<std::int32_t> joined;  // registers that are joined
  std::vector<InputProjection> matrices;
  std::vector<AlignedFloats> consts, tensors;
  std::vector<bool> in_place;      // by state
  bool by_steps = false;           // whether a step depends on earlier ones
  std::size_t block = 1;           // rows that run together
  std::size_t early_floats = 0;    // for all early values of a chunk
  std::size_t slot_floats = 0;     // for all slots of a block
  std::size_t work = 0;
  std::int32_t input_product = -1;  // the product that alone reads the input; -1 if there is none
};

// Operations of the plan alone: what several of the program's are together.
enum PlanOperation : std::int32_t {
  kSumOfProducts = TIDEGATE_OPERATIONS,  // sum over k of a[k, g] b[k, g, i]
  kSoftmax,                              // of a
  kNormalize,                            // a, with mean 0 and variance 1; b: what is added to the variance
  kNorm,                                 // the same, times register p, plus register q
};

void check_program(const tidegate_program& program);

// Whether the steps of a program only read a state: its next value is itself.
bool is_held(const tidegate_program& program, std::int32_t state);

std::unique_ptr<Layer> make_program(const Kernels& kernels, const tidegate_program& program);

}  // namespace tidegate
