#include "program.h"

#include <algorithm>

namespace fuzz {
namespace {

constexpr std::int64_t kWidest = 4096;  // of what is appended at random

bool is_valid(std::int64_t size) { return size >= 1 && size <= TIDEGATE_MAX_SIZE; }

}  // namespace

Program::Program(Input& in, std::int64_t inputs, std::int64_t ids, bool known, const ReserveState& reserve_state)
    : Program(in, inputs, ids) {
  consts_ = in.floats(3);
  if (known && is_valid(inputs))
    append_known(reserve_state);
  else
    append_drawn(reserve_state);
  if (in.once_in(6)) ahead = in.maybe_hostile(in.below(4));
  finish();
}

bool Program::takes(std::int64_t id) const {
  return std::any_of(code_.begin(), code_.end(),
                     [&](const Row& row) { return row[0] == TIDEGATE_OP_TAKE && row[3] == id; });
}

void Program::append_drawn(const ReserveState& reserve_state) {
  Input& in = in_;
  struct Window {
    std::int64_t n, groups, each;
  };
  std::vector<Window> windows;
  for (std::int64_t s = in.below(4); s > 0; --s) {
    const std::int64_t n = in.once_in(2) ? 1 + in.below(4) : in.once_in(2) ? 1 + in.below(40) : 60 + in.below(60);
    windows.push_back({n, 1 + in.below(3), 1 + in.below(in.once_in(4) ? 40 : 18)});
    state_sizes_.push_back(static_cast<std::int32_t>(in.size(n * windows.back().groups * windows.back().each)));
    offsets_.push_back(reserve_state(state_sizes_.back()));
  }
  append_of_size(1);
  std::vector<std::int32_t> pushed;
  for (std::size_t s = 0; s < windows.size(); ++s) {
    const Window& window = windows[s];
    const auto state = append(TIDEGATE_OP_STATE, state_sizes_[s], static_cast<std::int64_t>(s));
    const auto step = append_of_size(window.groups * window.each);
    pushed.push_back(in.once_in(4) ? state : append(TIDEGATE_OP_PUSH, state_sizes_[s], state, step));
    if (in.once_in(2)) append_attention(pushed.back(), window.n, window.groups, window.each);
  }
  for (std::int64_t left = in.below(32); left > 0; --left) append_random();
  for (std::size_t s = 0; s < windows.size(); ++s) {
    const std::int32_t other = find(state_sizes_[s]);
    next_.push_back(in.maybe_hostile32(in.once_in(4) && other >= 0 && size_of(other) == state_sizes_[s] ? other : pushed[s]));
  }
  output_ = in.maybe_hostile32(in.once_in(4) ? any() : count() - 1);
  if (output_ >= 0 && output_ < count() && code_[static_cast<std::size_t>(output_)][0] == TIDEGATE_OP_TENSOR && in.once_in(2))
    output_ = 0;
}

void Program::finish() {
  for (const std::vector<float>& tensor : tensors_) {
    tensor_data_.push_back(tensor.data());
    tensor_sizes_.push_back(static_cast<std::int64_t>(tensor.size()));
  }
  plain_ = code_;
  const auto past_both = [&](std::int32_t reg) { return reg < count() ? reg : INT32_MAX; };
  output_ = past_both(output_);  // a register that does not exist must not be one of those that follow
  for (std::int32_t& reg : next_) reg = past_both(reg);
  for (std::int32_t reg = 0; reg < count(); ++reg)
    plain_.push_back({TIDEGATE_OP_NEG, code_[static_cast<std::size_t>(reg)][1], reg, 0, 0, 0, 0, 0});
}

tidegate_program Program::as_struct(bool plain) const {
  const std::vector<Row>& code = plain ? plain_ : code_;
  tidegate_program program = {};
  program.inputs = inputs, program.ids = ids, program.ahead = ahead;
  program.operations = static_cast<std::int32_t>(code.size()), program.output = output_;
  program.code = code.front().data();
  program.joined_count = static_cast<std::int32_t>(joined_.size()), program.joined = joined_.data();
  program.consts_count = static_cast<std::int32_t>(consts_.size()), program.consts = consts_.data();
  program.tensors_count = static_cast<std::int32_t>(tensors_.size());
  program.tensors = tensor_data_.data(), program.tensor_sizes = tensor_sizes_.data();
  program.states = static_cast<std::int32_t>(next_.size()), program.next = next_.data();
  program.state_offsets = offsets_.data(), program.state_sizes = state_sizes_.data();
  return program;
}

std::int32_t Program::append(std::int32_t opcode, std::int64_t size, std::int64_t a, std::int64_t b, std::int64_t c,
                             std::int64_t p, std::int64_t q, std::int64_t r) {
  Row row;
  std::int32_t* field = row.data();
  for (const std::int64_t value : {std::int64_t{opcode}, size, a, b, c, p, q, r}) *field++ = in_.maybe_hostile32(value);
  if (row[1] > kWidest && row[1] <= TIDEGATE_MAX_SIZE) throw Skip();
  code_.push_back(row);
  return count() - 1;
}

std::int32_t Program::append_tensor(std::int64_t size) {
  const std::int64_t first = in_.below(4);
  tensors_.push_back(in_.floats(first + std::max<std::int64_t>(size, 1) + in_.below(3)));
  return append(TIDEGATE_OP_TENSOR, size, static_cast<std::int64_t>(tensors_.size()) - 1, first);
}

std::int32_t Program::append_of_size(std::int64_t size) {
  if (ids) {
    tensors_.push_back(in_.floats(inputs, size));
    const auto table = static_cast<std::int64_t>(tensors_.size()) - 1;
    code_.push_back({TIDEGATE_OP_TENSOR, static_cast<std::int32_t>(is_valid(inputs) ? inputs * size : 1),
                     static_cast<std::int32_t>(table), 0, 0, 0, 0, 0});
    const std::int64_t first = in_.below(256) % ids;
    if (in_.once_in(3)) return append(TIDEGATE_OP_BAG, size, count() - 1, first, 1 + in_.below(256) % (ids - first));
    return append(TIDEGATE_OP_TAKE, size, count() - 1, first);
  }
  const std::int32_t x = append(TIDEGATE_OP_INPUT, inputs);
  if (size < inputs && is_valid(inputs) && in_.once_in(3))
    return append(TIDEGATE_OP_PART, size, x, 0, 0, 1, inputs, in_.below(256) % (inputs - size + 1));
  const std::int32_t W = append_tensor(is_valid(inputs) ? size * inputs : 1);
  if (in_.once_in(2)) return append(TIDEGATE_OP_MATMUL, size, x, W);
  const std::int32_t bias = append_tensor(size);
  return append(TIDEGATE_OP_AFFINE, size, x, W, bias);
}

std::int32_t Program::find(std::int64_t size) {
  const std::int32_t from = any();
  for (std::int32_t k = 0; k < count(); ++k)
    if (size_of((from + k) % count()) == size || size_of((from + k) % count()) == 1) return (from + k) % count();
  return -1;
}

std::int64_t Program::divisor(std::int64_t size) {
  if (size < 1) return 1;
  const std::int64_t wanted = 1 + in_.below(20);
  return size % wanted == 0 ? wanted : in_.once_in(2) ? size : 1;
}

void Program::append_leaf() {
  const std::int64_t states = static_cast<std::int64_t>(state_sizes_.size());
  switch (in_.below(6)) {
    case 0: append(TIDEGATE_OP_CONST, 1, in_.below(3)); return;
    case 1: append(TIDEGATE_OP_STEPS, 1); return;
    case 2: append_tensor(1 + in_.below(40)); return;
    case 3:
      if (states) {
        const std::int64_t s = in_.below(256) % states;
        append(TIDEGATE_OP_STATE, state_sizes_[static_cast<std::size_t>(s)], s);
        return;
      }
      [[fallthrough]];
    default: append_of_size(1 + in_.below(40));
  }
}

void Program::append_reduction(std::int32_t opcode, std::int32_t a) {
  const std::int64_t size = size_of(a), r = divisor(size), q = divisor(size / r), p = size / r / q;
  if (opcode == TIDEGATE_OP_EXPAND) {
    const std::int64_t repeats = 1 + in_.below(9);
    if (size * repeats <= kWidest) append(opcode, size * repeats, a, 0, 0, size / r, repeats, r);
    return;
  }
  if (opcode == TIDEGATE_OP_MEAN) append(opcode, size / r, a, 0, 0, 0, r);
  else append(opcode, p * r, a, 0, 0, p, q, r);
}

void Program::append_dot(std::int32_t a) {
  const std::int64_t q = divisor(size_of(a)), groups = size_of(a) / q;
  std::int32_t b = any();
  for (std::int32_t k = 0; k < count(); ++k, b = (b + 1) % count()) {
    const std::int64_t others = size_of(b) / q;
    if (size_of(b) < q || size_of(b) % q || (groups % others && others % groups)) continue;
    append(TIDEGATE_OP_DOT, std::max(groups, others), a, b, 0, 0, q);
    return;
  }
}

void Program::append_concat(std::int32_t a) {
  const std::int64_t p = divisor(size_of(a)), first = static_cast<std::int64_t>(joined_.size());
  std::int64_t size = size_of(a);
  joined_.push_back(in_.maybe_hostile32(a));
  for (std::int64_t left = in_.below(4); left > 0; --left) {
    const std::int32_t b = any();
    if (size_of(b) % p || size + size_of(b) > kWidest) continue;
    joined_.push_back(in_.maybe_hostile32(b));
    size += size_of(b);
  }
  append(TIDEGATE_OP_CONCAT, size, first, static_cast<std::int64_t>(joined_.size()) - first, 0, p);
}

void Program::append_product(std::int32_t a, bool bias) {
  const std::int64_t size = 1 + in_.below(in_.once_in(4) ? 60 : 20);
  const std::int32_t W = append_tensor(size * size_of(a));
  if (!bias) append(TIDEGATE_OP_MATMUL, size, a, W);
  else append(TIDEGATE_OP_AFFINE, size, a, W, append_tensor(size));
}

// What attention does with a window of steps: dot products, and a sum over the window with a weight for each.
void Program::append_attention(std::int32_t window, std::int64_t n, std::int64_t groups, std::int64_t each) {
  const std::int64_t size = n * groups * each;
  if (size != size_of(window)) return;
  std::int32_t scores = append_of_size(n * groups);
  if (in_.once_in(2)) scores = append(TIDEGATE_OP_DOT, n * groups, append_of_size(groups * each), window, 0, 0, each);
  const std::int32_t peak = append(TIDEGATE_OP_PEAK, groups, scores, 0, 0, 1, n, groups);
  const std::int32_t peaks = append(TIDEGATE_OP_EXPAND, n * groups, peak, 0, 0, 1, n, groups);
  const std::int32_t weights = append(TIDEGATE_OP_EXP, n * groups, append(TIDEGATE_OP_SUB, n * groups, scores, peaks));
  const std::int32_t wide = append(TIDEGATE_OP_EXPAND, size, in_.once_in(2) ? weights : scores, 0, 0, n * groups, each, 1);
  const std::int32_t product = append(TIDEGATE_OP_MUL, size, wide, window);
  append(TIDEGATE_OP_SUM, groups * each, product, 0, 0, 1, n, groups * each);
}

void Program::append_random() {
  const std::int32_t a = any();
  const std::int64_t size = size_of(a);
  if (!is_valid(size) || size > kWidest) return;
  const auto fits = [&](std::int32_t b) { return b >= 0 && (size_of(b) == size || size == 1 || size_of(b) == 1); };
  switch (in_.below(12)) {
    case 0:
    case 1: append(static_cast<std::int32_t>(TIDEGATE_OP_NEG + in_.below(8)), size, a); return;
    case 2:
    case 3: {
      const std::int32_t b = in_.once_in(8) ? any() : find(size);
      if (fits(b))
        append(static_cast<std::int32_t>(TIDEGATE_OP_ADD + in_.below(7)), std::max(size, size_of(b)), a, b);
      return;
    }
    case 4: {
      const std::int32_t b = find(size), c = find(size);
      if (b >= 0 && c >= 0) append(TIDEGATE_OP_SELECT, size, a, b, c);
      return;
    }
    case 5: {
      const std::int64_t p = divisor(size), q = size / p, first = in_.below(256) % q, n = 1 + in_.below(256) % (q - first);
      append(TIDEGATE_OP_PART, p * n, a, 0, 0, p, q, first);
      return;
    }
    case 6: append_concat(a); return;
    case 7: append_reduction(static_cast<std::int32_t>(TIDEGATE_OP_SUM + in_.below(3)), a); return;
    case 8: append_reduction(TIDEGATE_OP_EXPAND, a); return;
    case 9: append_dot(a); return;
    case 10: append_product(a, in_.once_in(2)); return;
    default: {
      const std::int32_t b = any();
      if (size_of(b) > 0 && size % size_of(b) == 0 && in_.once_in(2)) append(TIDEGATE_OP_PUSH, size, a, b);
      else append_leaf();
    }
  }
}

}  // namespace fuzz
