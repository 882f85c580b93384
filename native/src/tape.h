// A cell's tape, checked and made ready to run: which kernel, on which buffers.
#pragma once

#include "layer.h"

namespace tidegate {

// One unary or binary operation, a norm of its first `norm` floats, or (`group` >= 0) one packed product of a group.
struct Operation {
  Unary* unary;
  Binary* binary;
  Form form;
  std::size_t norm;
  std::int32_t group, a, b, result;
};

// The recurrent maps of one operand, side by side; or the projection of it.
struct Group {
  std::int32_t operand;
  bool project;
  std::vector<std::int32_t> maps, results;  // map of each part, register that holds it
};

// Where a register lives.
enum class Place { kInput, kState, kParam, kConst, kGroup, kSlot };

struct Register {
  Place place;
  std::size_t index;   // gate, state, parameter, constant, group; or offset of the slot in floats a row
  std::size_t offset;  // floats into the row: of a gate, or of a part of a group
  std::size_t width;   // padded
};

struct Tape {
  // Throws ValueError if the cell's tape breaks any rule of tidegate.h.
  Tape(const Layer& layer, const tidegate_recurrent& cell);

  std::vector<Register> registers;
  std::vector<Operation> operations;
  std::vector<Group> groups;
  std::size_t slot_floats;  // floats a row for all slots
};

// Throws ValueError unless the tape is well formed.
void check_tape(const tidegate_recurrent& cell);

}  // namespace tidegate
