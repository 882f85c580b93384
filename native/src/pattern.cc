#include "pattern.h"

namespace tidegate {

Pattern::Register Pattern::state(std::int64_t size) {
  states_.push_back(-1);
  return append(TIDEGATE_OP_STATE, size, static_cast<std::int32_t>(states_.size()) - 1);
}

Pattern::Register Pattern::tensor(std::int64_t size) {
  tensors_.push_back(nullptr);
  return append(TIDEGATE_OP_TENSOR, size, static_cast<std::int32_t>(tensors_.size()) - 1);
}

Pattern::Register Pattern::constant() {
  constants_.push_back(0.0f);
  return append(TIDEGATE_OP_CONST, 1, static_cast<std::int32_t>(constants_.size()) - 1);
}

bool Pattern::matches(Register expected, std::int32_t found) {
  Row& own = rows_[static_cast<std::size_t>(expected)];
  if (own.found >= 0) return own.found == found;
  const std::int32_t* const row = program_.code + TIDEGATE_OPERATION_WIDTH * found;
  if (row[0] != own.opcode || row[1] != own.size) return false;
  own.found = found;
  const auto has_shape = [&] { return row[5] == own.p && row[6] == own.q && row[7] == own.r; };
  switch (own.opcode) {
    case TIDEGATE_OP_INPUT:
    case TIDEGATE_OP_STEPS: return true;
    case TIDEGATE_OP_STATE: states_[static_cast<std::size_t>(own.a)] = row[2]; return true;
    case TIDEGATE_OP_TENSOR: tensors_[static_cast<std::size_t>(own.a)] = program_.tensors[row[2]] + row[3]; return true;
    case TIDEGATE_OP_CONST: constants_[static_cast<std::size_t>(own.a)] = program_.consts[row[2]]; return true;
    case TIDEGATE_OP_TAKE: return row[3] == own.b && matches(own.a, row[2]);
    case TIDEGATE_OP_AFFINE: return matches(own.a, row[2]) && matches(own.b, row[3]) && matches(own.c, row[4]);
    case TIDEGATE_OP_CONCAT: {
      const std::int32_t* const joined = program_.joined + row[2];
      return row[3] == 2 && row[5] == 1 && matches(own.a, joined[0]) && matches(own.b, joined[1]);
    }
    case TIDEGATE_OP_PART:
    case TIDEGATE_OP_SUM:
    case TIDEGATE_OP_PEAK: return has_shape() && matches(own.a, row[2]);
    case TIDEGATE_OP_MEAN: return row[6] == own.q && matches(own.a, row[2]);
    case TIDEGATE_OP_DOT: return row[6] == own.q && matches(own.a, row[2]) && matches(own.b, row[3]);
    case TIDEGATE_OP_PUSH: return matches(own.a, row[2]) && matches(own.b, row[3]);
    default: return matches(own.a, row[2]) && (own.opcode < TIDEGATE_OP_ADD || matches(own.b, row[3]));
  }
}

bool Pattern::matches_states(const std::vector<Register>& next) {
  if (static_cast<std::size_t>(program_.states) != states_.size()) return false;
  std::vector<bool> used(states_.size());
  for (std::size_t s = 0; s < states_.size(); ++s) {
    if (states_[s] < 0 || used[static_cast<std::size_t>(states_[s])]) return false;
    used[static_cast<std::size_t>(states_[s])] = true;
    if (!matches(next[s], program_.next[states_[s]])) return false;
  }
  return true;
}

StateArray Pattern::array(std::size_t state) const {
  return {program_.state_offsets[states_[state]], program_.state_sizes[states_[state]]};
}

}  // namespace tidegate
