// Finds the states that a program can change where they are.
#include <algorithm>

#include "program_groups.h"

namespace tidegate {
namespace {

constexpr std::size_t kInPlaceFloats = 1024;  // a state from this size on is not copied
constexpr std::size_t kMaxLanes = 16;         // of any target

struct InPlaceFinder : ProgramReader {
  const std::vector<std::int32_t>& reads;  // how many operations and results read each register
  const ProgramGroups& found;
  const std::size_t lanes, count;

  std::vector<bool> find() const {
    std::vector<bool> in_place(static_cast<std::size_t>(program.states));
    for (std::int32_t s = 0; s < program.states; ++s) {
      const auto next = static_cast<std::size_t>(program.next[s]);
      if (is_held(program, s)) {  // never changes, so any number of operations may load it
        const bool is_large = program.state_sizes[s] >= static_cast<std::int32_t>(kInPlaceFloats);
        in_place[static_cast<std::size_t>(s)] = is_large && (has_slack(s) || loads_read_exactly(s));
        continue;
      }
      const std::int32_t* row = row_of(next);
      if (row[0] != TIDEGATE_OP_PUSH || row[1] < static_cast<std::int32_t>(kInPlaceFloats)) continue;
      const std::int32_t* state = row_of(static_cast<std::size_t>(row[2]));
      const bool alone = std::count(program.next, program.next + program.states, program.next[s]) == 1;
      in_place[static_cast<std::size_t>(s)] =
          alone && state[0] == TIDEGATE_OP_STATE && state[2] == s && count_loads(s) == 1 &&
          reads[static_cast<std::size_t>(row[2])] == 1 && row[3] != row[2] && (has_slack(s) || reads_exactly(next));
    }
    return in_place;
  }
  // How many operations load the state: one that comes after the change would read the next value.
  std::size_t count_loads(std::int32_t s) const {
    std::size_t loads = 0;
    for (std::size_t i = 0; i < count; ++i) loads += row_of(i)[0] == TIDEGATE_OP_STATE && row_of(i)[2] == s;
    return loads;
  }
  bool loads_read_exactly(std::int32_t s) const {
    bool exact = true;
    for (std::size_t i = 0; i < count; ++i)
      if (row_of(i)[0] == TIDEGATE_OP_STATE && row_of(i)[2] == s) exact = exact && reads_exactly(i);
    return exact;
  }
  // Whether a whole vector may be read from anywhere in the state: another one of this layer follows it in the block.
  bool has_slack(std::int32_t s) const {
    for (std::int32_t t = 0; t < program.states; ++t)
      if (program.state_sizes[t] >= static_cast<std::int32_t>(kMaxLanes) &&
          program.state_offsets[t] >= std::int64_t{4} * program.state_sizes[s] + program.state_offsets[s])
        return true;
    return false;
  }
  // Whether the operations that read a register read no number past its end: kernels over rows read whole vectors.
  bool reads_exactly(std::size_t reg) const {
    bool exact = true;
    for (std::size_t i = 0; i < count; ++i)
      for_operands(i, [&](std::int32_t operand) {
        if (static_cast<std::size_t>(operand) != reg) return;
        switch (row_of(i)[0]) {
          case TIDEGATE_OP_SELECT:
          case TIDEGATE_OP_EXPAND:
          case TIDEGATE_OP_CONCAT:
          case TIDEGATE_OP_SUM:
          case TIDEGATE_OP_PEAK:
          case TIDEGATE_OP_PUSH: return;
          case TIDEGATE_OP_MEAN:
          case TIDEGATE_OP_DOT: exact = exact && static_cast<std::size_t>(row_of(i)[6]) % lanes == 0; return;
          default:  // a sum of products reads what it multiplies
            exact = exact && row_of(i)[0] == TIDEGATE_OP_MUL && found.merged[i];
        }
      });
    return exact;
  }
};

}  // namespace

bool is_held(const tidegate_program& program, std::int32_t state) {
  const std::int32_t* const row = program.code + TIDEGATE_OPERATION_WIDTH * program.next[state];
  return row[0] == TIDEGATE_OP_STATE && row[2] == state;
}

std::vector<bool> find_in_place(const tidegate_program& program, const std::vector<std::int32_t>& reads,
                                const ProgramGroups& found, std::size_t lanes) {
  return InPlaceFinder{{program}, reads, found, lanes, reads.size()}.find();
}

}  // namespace tidegate
