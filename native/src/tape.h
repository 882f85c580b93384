// A cell's tape, checked and ready to run: which kernel reads and writes which buffers.
#pragma once

#include "layer.h"

namespace tidegate {

// A unary or binary operation, a norm over the first `norm` floats, or, where `group` >= 0, the product of a group.
struct Operation {
  Unary* unary;
  Binary* binary;
  Broadcast broadcast;
  std::size_t norm;
  std::int32_t group, a, b, result;
};

// The recurrent maps that multiply the same operand, computed as one product; or the operand's projection.
struct MapGroup {
  std::int32_t operand;
  bool project;
  std::vector<std::int32_t> maps, results;  // index of each map, and the register of its result
};

// Where the value of a register is stored.
enum class Storage { kInput, kState, kParam, kConst, kGroup, kSlot };

struct Register {
  Storage storage;
  std::size_t index;   // of the gate, state, parameter, constant or group; for a slot, its offset in floats per row
  std::size_t offset;  // floats from the start of the row, for a gate or a part of a group
  std::size_t width;   // in floats, padded
};

struct Tape {
  // Throws ValueError if the cell's tape breaks a rule of tidegate.h.
  Tape(const Layer& layer, const tidegate_recurrent& cell);

  std::vector<Register> registers;
  std::vector<Operation> operations;
  std::vector<MapGroup> groups;
  std::size_t slot_floats;  // floats per row for all slots
};

// Throw ValueError unless the tape is well formed.
void check_tape(const tidegate_recurrent& cell);

}  // namespace tidegate
