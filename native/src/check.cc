// The rules of a tape. A tape that passes them reads nothing out of bounds, whatever the model file contains.
#include <algorithm>

#include "recurrent.h"

namespace tidegate {
namespace {

struct Checker {
  const tidegate_recurrent& cell;

  [[noreturn]] static void fail(std::int32_t i, const std::string& fault) {
    throw ValueError("tape: instruction " + std::to_string(i) + ": " + fault);
  }

  static void check_index(std::int32_t i, const char* what, std::int32_t value, std::int32_t count) {
    if (value < 0 || value >= count)
      fail(i, std::string(what) + " " + std::to_string(value) + " does not exist, there are " + std::to_string(count));
  }

  static void check_operand(std::int32_t i, std::int32_t operand) {
    if (operand < 0 || operand >= i)
      fail(i, "can only read registers before it, found register " + std::to_string(operand));
  }

  void check_width(std::int32_t i, std::int64_t expected) const {
    if (cell.widths[i] != expected)
      fail(i, "must be " + std::to_string(expected) + " wide, found a width of " + std::to_string(cell.widths[i]));
  }

  void check_recur(std::int32_t i, std::int32_t map, std::int32_t operand) const {
    check_index(i, "recurrent map", map, cell.maps);
    check_operand(i, operand);
    if (cell.widths[operand] != outputs())
      fail(i, "a recurrent map's operand must be " + std::to_string(outputs()) + " wide, register " +
                  std::to_string(operand) + " is " + std::to_string(cell.widths[operand]));
    check_width(i, cell.size);
  }

  void check_project(std::int32_t i, std::int32_t operand) const {
    if (cell.project == 0) fail(i, "the cell has no projection");
    check_operand(i, operand);
    if (cell.widths[operand] != cell.size)
      fail(i, "a projection's operand must be " + std::to_string(cell.size) + " wide, register " +
                  std::to_string(operand) + " is " + std::to_string(cell.widths[operand]));
    check_width(i, cell.project);
  }

  std::int64_t outputs() const { return cell.project ? cell.project : cell.size; }

  void check_binary(std::int32_t i, std::int32_t a, std::int32_t b) const {
    check_operand(i, a);
    check_operand(i, b);
    const std::int32_t left = cell.widths[a], right = cell.widths[b];
    if (left != right && left != 1 && right != 1)
      fail(i, "operands must have equal widths or one of them must be 1 wide, found " + std::to_string(left) + " and " +
                  std::to_string(right));
    check_width(i, left == 1 ? right : left);
  }

  void check_instruction(std::int32_t i) const {
    const std::int32_t *row = cell.tape + 4 * i, opcode = row[0], a = row[1];
    if (opcode < 0 || opcode >= TIDEGATE_OPCODES) fail(i, "unknown opcode " + std::to_string(opcode));
    if (opcode >= TIDEGATE_ADD) return check_binary(i, a, row[2]);
    if (opcode >= TIDEGATE_NEG) {
      check_operand(i, a);
      return check_width(i, cell.widths[a]);
    }
    switch (opcode) {
      case TIDEGATE_INPUT: check_index(i, "gate", a, cell.gates); return check_width(i, cell.size);
      case TIDEGATE_STATE: check_index(i, "state", a, cell.states); return check_width(i, cell.state_sizes[a]);
      case TIDEGATE_PARAM:
        check_index(i, "parameter", a, cell.params_count);
        return check_width(i, cell.param_sizes[a]);
      case TIDEGATE_CONST: check_index(i, "constant", a, cell.consts_count); return check_width(i, 1);
      case TIDEGATE_PROJECT: return check_project(i, row[2]);
      default: return check_recur(i, a, row[2]);
    }
  }

  // Check the register that holds `what` after the step.
  void check_result(const std::string& what, std::int32_t reg, std::int64_t expected) const {
    if (reg < 0 || reg >= cell.instructions)
      throw ValueError("tape: " + what + " is register " + std::to_string(reg) + ", there are " +
                       std::to_string(cell.instructions));
    if (cell.widths[reg] != expected)
      throw ValueError("tape: " + what + " must be " + std::to_string(expected) + " wide, register " +
                       std::to_string(reg) + " is " + std::to_string(cell.widths[reg]));
  }
};

void check_count(const char* what, std::int64_t count, std::int64_t min, std::int64_t max) {
  if (count < min || count > max)
    throw ValueError(std::string("tape: the number of ") + what + " must be from " + std::to_string(min) + " to " +
                     std::to_string(max) + ", found " + std::to_string(count));
}

// Find the last instruction that reads each register; the number of instructions for the output and the next states.
std::vector<std::int32_t> find_last_reads(const tidegate_recurrent& cell) {
  std::vector<std::int32_t> last(static_cast<std::size_t>(cell.instructions));
  for (std::int32_t i = 0; i < cell.instructions; ++i) {
    const std::int32_t *row = cell.tape + 4 * i, opcode = row[0];
    last[i] = i;
    if (opcode == TIDEGATE_RECUR || opcode == TIDEGATE_PROJECT || opcode >= TIDEGATE_ADD) last[row[2]] = i;
    if (opcode >= TIDEGATE_NEG) last[row[1]] = i;
  }
  last[cell.output] = cell.instructions;
  for (std::int32_t s = 0; s < cell.states; ++s) last[cell.next[s]] = cell.instructions;
  return last;
}

void check_register_count(const std::vector<std::int32_t>& last) {
  const auto count = static_cast<std::int32_t>(last.size());
  for (std::int32_t i = 0; i < count; ++i) {
    const auto live = std::count_if(last.begin(), last.begin() + i, [&](std::int32_t read) { return read >= i; }) + 1;
    if (live > TIDEGATE_MAX_REGISTERS)
      throw ValueError("tape: at most " + std::to_string(TIDEGATE_MAX_REGISTERS) +
                       " registers may be in use at once, instruction " + std::to_string(i) + " needs " +
                       std::to_string(live));
  }
}

}  // namespace

void check_tape(const tidegate_recurrent& cell) {
  const Checker checker{cell};
  check_count("instructions", cell.instructions, 1, TIDEGATE_MAX_INSTRUCTIONS);
  check_count("gates", cell.gates, 0, TIDEGATE_MAX_INSTRUCTIONS);
  check_count("recurrent maps", cell.maps, 0, TIDEGATE_MAX_INSTRUCTIONS);
  check_count("states", cell.states, 0, TIDEGATE_MAX_INSTRUCTIONS);
  check_count("parameters", cell.params_count, 0, TIDEGATE_MAX_INSTRUCTIONS);
  check_count("constants", cell.consts_count, 0, TIDEGATE_MAX_INSTRUCTIONS);
  if (cell.project) check_size(cell.project, "tape: project");
  for (std::int32_t s = 0; s < cell.states; ++s) check_size(cell.state_sizes[s], "tape: a state's size");
  for (std::int32_t p = 0; p < cell.params_count; ++p) check_size(cell.param_sizes[p], "tape: a parameter's size");
  for (std::int32_t i = 0; i < cell.instructions; ++i) checker.check_instruction(i);
  checker.check_result("the output", cell.output, checker.outputs());
  for (std::int32_t s = 0; s < cell.states; ++s)
    checker.check_result("the next value of state " + std::to_string(s), cell.next[s], cell.state_sizes[s]);
  check_register_count(find_last_reads(cell));
}

}  // namespace tidegate
