// The rules of a tape. Whatever the file says, a tape that passes reads nothing but what it may.
#include "tape.h"

namespace tidegate {
namespace {

struct Checker {
  const tidegate_recurrent& cell;

  [[noreturn]] static void fail(std::int32_t i, const std::string& fault) {
    throw ValueError("tape: instruction " + std::to_string(i) + ": " + fault);
  }

  static void index(std::int32_t i, const char* what, std::int32_t value, std::int32_t count) {
    if (value < 0 || value >= count)
      fail(i, std::string(what) + " " + std::to_string(value) + " does not exist, there are " + std::to_string(count));
  }

  static void older(std::int32_t i, std::int32_t operand) {
    if (operand < 0 || operand >= i)
      fail(i, "may read registers older than itself only, found register " + std::to_string(operand));
  }

  void width(std::int32_t i, std::int64_t expected) const {
    if (cell.widths[i] != expected)
      fail(i, "must be " + std::to_string(expected) + " wide, its width is given as " + std::to_string(cell.widths[i]));
  }

  void recur(std::int32_t i, std::int32_t map, std::int32_t operand) const {
    index(i, "recurrent map", map, cell.maps);
    older(i, operand);
    if (cell.widths[operand] != outputs())
      fail(i, "a recurrent map's operand must be " + std::to_string(outputs()) + " wide, register " +
                  std::to_string(operand) + " is " + std::to_string(cell.widths[operand]));
    width(i, cell.size);
  }

  void project(std::int32_t i, std::int32_t operand) const {
    if (cell.project == 0) fail(i, "projects, but the cell has no projection");
    older(i, operand);
    if (cell.widths[operand] != cell.size)
      fail(i, "a projection's operand must be " + std::to_string(cell.size) + " wide, register " +
                  std::to_string(operand) + " is " + std::to_string(cell.widths[operand]));
    width(i, cell.project);
  }

  std::int64_t outputs() const { return cell.project ? cell.project : cell.size; }

  void binary(std::int32_t i, std::int32_t a, std::int32_t b) const {
    older(i, a);
    older(i, b);
    const std::int32_t left = cell.widths[a], right = cell.widths[b];
    if (left != right && left != 1 && right != 1)
      fail(i, "operands must be equally wide or one of them 1, found " + std::to_string(left) + " and " +
                  std::to_string(right));
    width(i, left == 1 ? right : left);
  }

  void instruction(std::int32_t i) const {
    const std::int32_t *row = cell.tape + 4 * i, opcode = row[0], a = row[1];
    if (opcode < 0 || opcode >= TIDEGATE_OPCODES) fail(i, "unknown opcode " + std::to_string(opcode));
    if (opcode >= TIDEGATE_ADD) return binary(i, a, row[2]);
    if (opcode >= TIDEGATE_NEG) {
      older(i, a);
      return width(i, cell.widths[a]);
    }
    switch (opcode) {
      case TIDEGATE_INPUT: index(i, "gate", a, cell.gates); return width(i, cell.size);
      case TIDEGATE_STATE: index(i, "state", a, cell.states); return width(i, cell.state_sizes[a]);
      case TIDEGATE_PARAM: index(i, "parameter", a, cell.params_count); return width(i, cell.param_sizes[a]);
      case TIDEGATE_CONST: index(i, "constant", a, cell.consts_count); return width(i, 1);
      case TIDEGATE_PROJECT: return project(i, row[2]);
      default: return recur(i, a, row[2]);
    }
  }

  // The register that holds `what` after the step.
  void result(const std::string& what, std::int32_t reg, std::int64_t expected) const {
    if (reg < 0 || reg >= cell.instructions)
      throw ValueError("tape: " + what + " is register " + std::to_string(reg) + ", there are " +
                       std::to_string(cell.instructions));
    if (cell.widths[reg] != expected)
      throw ValueError("tape: " + what + " must be " + std::to_string(expected) + " wide, register " +
                       std::to_string(reg) + " is " + std::to_string(cell.widths[reg]));
  }
};

void check_count(const char* what, std::int64_t count, std::int64_t least, std::int64_t most) {
  if (count < least || count > most)
    throw ValueError(std::string("tape: the number of ") + what + " must be from " + std::to_string(least) + " to " +
                     std::to_string(most) + ", found " + std::to_string(count));
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
  if (cell.project) checked_size(cell.project, "tape: project");
  for (std::int32_t s = 0; s < cell.states; ++s) checked_size(cell.state_sizes[s], "tape: a state's size");
  for (std::int32_t p = 0; p < cell.params_count; ++p) checked_size(cell.param_sizes[p], "tape: a parameter's size");
  for (std::int32_t i = 0; i < cell.instructions; ++i) checker.instruction(i);
  checker.result("the output", cell.output, checker.outputs());
  for (std::int32_t s = 0; s < cell.states; ++s)
    checker.result("the next value of state " + std::to_string(s), cell.next[s], cell.state_sizes[s]);
}

}  // namespace tidegate
