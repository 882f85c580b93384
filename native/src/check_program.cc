// The rules of a program. One that passes them reads nothing out of bounds, whatever the model file contains.
#include "program.h"

namespace tidegate {
namespace {

struct Checker {
  const tidegate_program& program;
  std::int32_t i;  // the operation that is checked
  const std::int32_t* row;

  std::int64_t size_of(std::int32_t reg) const { return program.code[TIDEGATE_OPERATION_WIDTH * reg + 1]; }
  const std::int32_t* row_of(std::int32_t reg) const { return program.code + TIDEGATE_OPERATION_WIDTH * reg; }

  [[noreturn]] void fail(const std::string& fault) const {
    throw ValueError("program: operation " + std::to_string(i) + ": " + fault);
  }
  void check_index(const char* what, std::int32_t value, std::int32_t count) const {
    if (value < 0 || value >= count)
      fail(std::string(what) + " " + std::to_string(value) + " does not exist, there are " + std::to_string(count));
  }
  std::int64_t operand(std::int32_t reg) const {
    if (reg < 0 || reg >= i) fail("can only read registers before it, found register " + std::to_string(reg));
    return size_of(reg);
  }
  void expect(const char* what, std::int64_t found, std::int64_t expected) const {
    if (found != expected)
      fail(std::string(what) + " must be " + std::to_string(expected) + ", found " + std::to_string(found));
  }
  void check_positive(const char* what, std::int64_t value) const {
    if (value < 1 || value > TIDEGATE_MAX_SIZE) fail(std::string(what) + " is " + std::to_string(value));
  }
  // Return the tensor's numbers from `start` on. The register must be a tensor.
  std::int64_t tensor_operand(std::int32_t reg) const {
    operand(reg);
    if (row_of(reg)[0] != TIDEGATE_OP_TENSOR) fail("reads register " + std::to_string(reg) + " as a tensor");
    return size_of(reg);
  }

  void check() const {
    const std::int64_t size = row[1];
    const std::int32_t a = row[2], b = row[3], c = row[4], p = row[5], q = row[6], r = row[7];
    if (row[0] < 0 || row[0] >= TIDEGATE_OPERATIONS) fail("unknown opcode " + std::to_string(row[0]));
    if (row[0] == TIDEGATE_OP_TENSOR ? size < 1 : size < 1 || size > TIDEGATE_MAX_SIZE)
      fail("its size is " + std::to_string(size));
    switch (row[0]) {
      case TIDEGATE_OP_INPUT:
        if (program.ids) fail("reads numbers, the input is ids");
        return expect("its size", size, program.inputs);
      case TIDEGATE_OP_STATE:
        check_index("state", a, program.states);
        return expect("its size", size, program.state_sizes[a]);
      case TIDEGATE_OP_STEPS: return expect("its size", size, 1);
      case TIDEGATE_OP_TENSOR:
        check_index("tensor", a, program.tensors_count);
        if (b < 0 || b + size > program.tensor_sizes[a]) fail("reads past the end of tensor " + std::to_string(a));
        return;
      case TIDEGATE_OP_CONST: check_index("constant", a, program.consts_count); return expect("its size", size, 1);
      case TIDEGATE_OP_TAKE:
        check_index("id", b, static_cast<std::int32_t>(program.ids));
        return expect("its table", tensor_operand(a), program.inputs * size);
      case TIDEGATE_OP_BAG:
        check_positive("the number of ids", c);
        if (b < 0 || std::int64_t{b} + c > program.ids)
          fail("sums ids " + std::to_string(b) + " to " + std::to_string(std::int64_t{b} + c - 1) + ", there are " +
               std::to_string(program.ids));
        return expect("its table", tensor_operand(a), program.inputs * size);
      case TIDEGATE_OP_AFFINE: expect("its bias", tensor_operand(c), size); [[fallthrough]];
      case TIDEGATE_OP_MATMUL: return expect("its matrix", tensor_operand(b), size * operand(a));
      case TIDEGATE_OP_SELECT: {
        const std::int32_t operands[] = {a, b, c};
        for (const std::int32_t reg : operands)
          if (operand(reg) != 1) expect("an operand", operand(reg), size);
        return;
      }
      case TIDEGATE_OP_EXPAND:
      case TIDEGATE_OP_SUM:
      case TIDEGATE_OP_PEAK: {
        check_positive("outer", p), check_positive("n", q), check_positive("inner", r);
        const std::int64_t less = std::int64_t{p} * r, more = less * q;
        const bool expands = row[0] == TIDEGATE_OP_EXPAND;
        expect("its operand", operand(a), expands ? less : more);
        return expect("its size", size, expands ? more : less);
      }
      case TIDEGATE_OP_PART:
        check_positive("outer", p), check_positive("the width", q);
        expect("its operand", operand(a), std::int64_t{p} * q);
        if (size % p || r < 0 || r + size / p > q) fail("takes a part that does not exist");
        return;
      case TIDEGATE_OP_CONCAT: {
        check_positive("outer", p), check_positive("the number of parts", b);
        if (a < 0 || std::int64_t{a} + b > program.joined_count) fail("reads past the end of the list of registers");
        std::int64_t total = 0;
        for (std::int32_t k = a; k < a + b; ++k) {
          if (operand(program.joined[k]) % p) fail("joins parts that do not fit");
          total += size_of(program.joined[k]);
        }
        return expect("its size", size, total);
      }
      case TIDEGATE_OP_MEAN: check_positive("n", q); return expect("its operand", operand(a), size * q);
      case TIDEGATE_OP_DOT:
        check_positive("n", q);
        if (operand(a) % q || operand(b) % q || size % (size_of(a) / q) || size % (size_of(b) / q))
          fail("multiplies operands that do not fit");
        return;
      case TIDEGATE_OP_PUSH:
        if (operand(a) % operand(b)) fail("appends a step that does not fit");
        return expect("its size", size, size_of(a));
      default: break;
    }
    const std::int64_t left = operand(a), right = row[0] >= TIDEGATE_OP_ADD ? operand(b) : left;
    if (left != right && left != 1 && right != 1) fail("its operands must have equal sizes, or one of them size 1");
    expect("its size", size, left == 1 ? right : left);
  }
};

void check_count(const char* what, std::int64_t count, std::int64_t min, std::int64_t max) {
  if (count < min || count > max)
    throw ValueError(std::string("program: the number of ") + what + " must be from " + std::to_string(min) + " to " +
                     std::to_string(max) + ", found " + std::to_string(count));
}

void check_result(const tidegate_program& program, const std::string& what, std::int32_t reg, std::int64_t expected) {
  if (reg < 0 || reg >= program.operations)
    throw ValueError("program: " + what + " is register " + std::to_string(reg) + ", there are " +
                     std::to_string(program.operations));
  const std::int64_t found = program.code[TIDEGATE_OPERATION_WIDTH * reg + 1];
  if (expected && found != expected)
    throw ValueError("program: " + what + " must have size " + std::to_string(expected) + ", found " +
                     std::to_string(found));
}

}  // namespace

void check_program(const tidegate_program& program) {
  check_count("operations", program.operations, 1, TIDEGATE_MAX_OPERATIONS);
  check_count("tensors", program.tensors_count, 0, TIDEGATE_MAX_OPERATIONS);
  check_count("constants", program.consts_count, 0, TIDEGATE_MAX_OPERATIONS);
  check_count("states", program.states, 0, TIDEGATE_MAX_OPERATIONS);
  check_count("steps ahead", program.ahead, 0, TIDEGATE_MAX_LOOK_AHEAD);
  check_count("ids", program.ids, 0, TIDEGATE_MAX_IDS);
  check_count(program.ids ? "rows" : "inputs", program.inputs, 1, program.ids ? INT32_MAX : TIDEGATE_MAX_SIZE);
  for (std::int32_t s = 0; s < program.states; ++s) check_size(program.state_sizes[s], "program: a state's size");
  for (std::int32_t i = 0; i < program.operations; ++i)
    Checker{program, i, program.code + TIDEGATE_OPERATION_WIDTH * i}.check();
  check_result(program, "the output", program.output, 0);
  for (std::int32_t s = 0; s < program.states; ++s)
    check_result(program, "the next value of state " + std::to_string(s), program.next[s], program.state_sizes[s]);
}

}  // namespace tidegate
