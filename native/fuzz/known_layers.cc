// Programs with the equations that kernels were proved against, and some that differ from one in one place.
#include "program.h"

namespace fuzz {
namespace {

struct CellShape {
  std::int32_t gates, maps;
};
constexpr CellShape kCells[] = {{3, 3}, {3, 3}, {4, 4}, {1, 1}, {1, 1}, {2, 0}, {3, 3}, {3, 3}, {4, 4}};
static_assert(sizeof kCells / sizeof *kCells == TIDEGATE_CELLS, "every cell has its shape here");

}  // namespace

Program Program::make_delay(Input& in, std::int64_t inputs, std::int64_t ahead, const ReserveState& reserve_state) {
  Program delay(in, inputs, 0);
  delay.ahead = ahead;
  const std::int32_t x = delay.append(TIDEGATE_OP_INPUT, inputs);
  const std::int32_t past = delay.append_state(inputs * ahead, reserve_state);
  delay.output_ = delay.append(TIDEGATE_OP_PART, inputs, past, 0, 0, 1, inputs * ahead, 0);
  delay.next_ = {delay.append(TIDEGATE_OP_PUSH, inputs * ahead, past, x)};
  delay.finish();
  return delay;
}

void Program::append_known(const ReserveState& reserve_state) {
  const std::int64_t size = in_.size(1 + in_.below(in_.once_in(4) ? 70 : 20));
  if (size < 1 || size > kMaxSize) throw Skip();
  if (ids) {
    output_ = append_embed(size);
  } else {
    const std::int64_t steps = in_.below(6);
    switch (in_.below(8)) {
      case 0: output_ = append_window(size, 0, reserve_state); break;
      case 1: output_ = append_window(size, steps, reserve_state); break;
      case 2: output_ = append_norm(append(TIDEGATE_OP_INPUT, inputs)); break;
      case 3: {
        const std::int32_t x = append(TIDEGATE_OP_INPUT, inputs), mean = append_tensor(inputs);
        output_ = binary(TIDEGATE_OP_DIV, binary(TIDEGATE_OP_SUB, x, mean), append_tensor(inputs));
        break;
      }
      case 4: {
        const std::int32_t x = append(TIDEGATE_OP_INPUT, inputs);
        const std::int32_t peak = append(TIDEGATE_OP_PEAK, 1, x, 0, 0, 1, inputs, 1);
        const std::int32_t e = unary(TIDEGATE_OP_EXP, binary(TIDEGATE_OP_SUB, x, peak));
        output_ = binary(TIDEGATE_OP_DIV, e, append(TIDEGATE_OP_SUM, 1, e, 0, 0, 1, inputs, 1));
        break;
      }
      case 5: output_ = append_pools(reserve_state); break;
      default: output_ = append_cell(size, reserve_state);
    }
  }
  if (in_.once_in(4)) change_one();
}

std::int32_t Program::append_state(std::int64_t size, const ReserveState& reserve_state) {
  state_sizes_.push_back(in_.maybe_hostile32(size));
  offsets_.push_back(reserve_state(size));
  return append(TIDEGATE_OP_STATE, size, static_cast<std::int64_t>(state_sizes_.size()) - 1);
}

std::int32_t Program::affine(std::int32_t x, std::int64_t size) {
  const std::int32_t W = append_tensor(size * size_of(x)), b = append_tensor(size);
  return append(TIDEGATE_OP_AFFINE, size, x, W, b);
}

std::int32_t Program::append_embed(std::int64_t size) {
  const std::int32_t table = append_tensor(inputs * size);
  std::int32_t total = append(TIDEGATE_OP_TAKE, size, table, 0);
  for (std::int64_t k = 1; k < ids && k < TIDEGATE_MAX_IDS; ++k)
    total = binary(TIDEGATE_OP_ADD, total, append(TIDEGATE_OP_TAKE, size, table, k));
  return total;
}

// activation(W (the last `steps` inputs and this one) + b)
std::int32_t Program::append_window(std::int64_t size, std::int64_t steps, const ReserveState& reserve_state) {
  std::int32_t x = append(TIDEGATE_OP_INPUT, inputs);
  if (steps) {
    const std::int32_t past = append_state(steps * inputs, reserve_state);
    next_.push_back(append(TIDEGATE_OP_PUSH, steps * inputs, past, x));
    joined_ = {past, x};
    x = append(TIDEGATE_OP_CONCAT, (steps + 1) * inputs, 0, 2, 0, 1);
  }
  const std::int32_t y = affine(x, size), opcodes[] = {TIDEGATE_OP_RELU, TIDEGATE_OP_TANH, TIDEGATE_OP_SIGMOID, -1};
  const std::int32_t opcode = opcodes[in_.below(4)];
  return opcode < 0 ? y : unary(opcode, y);
}

std::int32_t Program::append_norm(std::int32_t x) {
  const std::int64_t size = size_of(x);
  const std::int32_t d = binary(TIDEGATE_OP_SUB, x, append(TIDEGATE_OP_MEAN, 1, x, 0, 0, 0, size));
  const std::int32_t variance = append(TIDEGATE_OP_MEAN, 1, binary(TIDEGATE_OP_MUL, d, d), 0, 0, 0, size);
  const std::int32_t deviation =
      unary(TIDEGATE_OP_SQRT, binary(TIDEGATE_OP_ADD, variance, append(TIDEGATE_OP_CONST, 1, in_.below(3))));
  const std::int32_t scaled = binary(TIDEGATE_OP_MUL, binary(TIDEGATE_OP_DIV, d, deviation), append_tensor(size));
  return binary(TIDEGATE_OP_ADD, scaled, append_tensor(size));
}

std::int32_t Program::append_pools(const ReserveState& reserve_state) {
  const std::int32_t x = append(TIDEGATE_OP_INPUT, inputs);
  std::vector<std::int32_t> parts;
  for (std::int64_t left = in_.below(4); left >= 0; --left) switch (in_.below(4)) {
      case 0: parts.push_back(x); break;
      case 1:
        next_.push_back(binary(TIDEGATE_OP_ADD, append_state(inputs, reserve_state), x));
        parts.push_back(binary(TIDEGATE_OP_DIV, next_.back(), append(TIDEGATE_OP_STEPS, 1)));
        break;
      case 2:
        next_.push_back(binary(TIDEGATE_OP_MAXIMUM, append_state(inputs, reserve_state), x));
        parts.push_back(next_.back());
        break;
      default: {
        const std::int32_t peak = append_state(1, reserve_state), weight = append_state(1, reserve_state),
                           sum = append_state(inputs, reserve_state);
        const std::int32_t dot = append(TIDEGATE_OP_DOT, 1, x, append_tensor(inputs), 0, 0, inputs);
        const std::int32_t e = binary(TIDEGATE_OP_ADD, dot, append_tensor(1));
        const std::int32_t top = binary(TIDEGATE_OP_MAXIMUM, peak, e);
        const std::int32_t keep = unary(TIDEGATE_OP_EXP, binary(TIDEGATE_OP_SUB, peak, top));
        const std::int32_t take = unary(TIDEGATE_OP_EXP, binary(TIDEGATE_OP_SUB, e, top));
        const std::int32_t total = binary(TIDEGATE_OP_ADD, binary(TIDEGATE_OP_MUL, weight, keep), take);
        const std::int32_t kept = binary(TIDEGATE_OP_MUL, sum, keep);
        const std::int32_t mixed = binary(TIDEGATE_OP_ADD, kept, binary(TIDEGATE_OP_MUL, take, x));
        next_.insert(next_.end(), {top, total, mixed});
        parts.push_back(binary(TIDEGATE_OP_DIV, mixed, total));
      }
    }
  if (parts.size() == 1) return parts[0];
  joined_ = parts;
  const auto many = static_cast<std::int64_t>(parts.size());
  return append(TIDEGATE_OP_CONCAT, many * inputs, 0, many, 0, 1);
}

std::int32_t Program::append_cell(std::int64_t size, const ReserveState& reserve_state) {
  const std::int64_t cell = in_.below(TIDEGATE_CELLS);
  const bool has_norms = in_.once_in(3);
  const std::int32_t gates = kCells[cell].gates;
  const std::int32_t h = append_state(size, reserve_state), z = affine(append(TIDEGATE_OP_INPUT, inputs), gates * size);
  const auto norm = [&](std::int32_t value) {
    if (!has_norms) return value;
    const std::int32_t scaled = binary(TIDEGATE_OP_MUL, unary(TIDEGATE_OP_NORM, value), append_tensor(size));
    return binary(TIDEGATE_OP_ADD, scaled, append_tensor(size));
  };
  const auto input = [&](std::int64_t g) {
    return norm(gates == 1 ? z : append(TIDEGATE_OP_PART, size, z, 0, 0, 1, gates * size, g * size));
  };
  const auto recur = [&](std::int32_t v) { return norm(affine(v, size)); };
  const auto gate = [&](std::int64_t g) {
    const std::int32_t x = input(g);
    return binary(TIDEGATE_OP_ADD, x, recur(h));
  };
  const auto sigmoid = [&](std::int32_t v) { return unary(TIDEGATE_OP_SIGMOID, v); };
  const auto tanh = [&](std::int32_t v) { return unary(TIDEGATE_OP_TANH, v); };
  const auto mix = [&](std::int32_t from, std::int32_t to, std::int32_t share) {
    const std::int32_t way = binary(TIDEGATE_OP_SUB, to, from);
    return binary(TIDEGATE_OP_ADD, from, binary(TIDEGATE_OP_MUL, share, way));
  };
  if (cell == TIDEGATE_CELL_LSTM || cell == TIDEGATE_CELL_LSTM_PEEPHOLES) {
    const auto peep = [&](std::int32_t v, std::int32_t c) {
      if (cell == TIDEGATE_CELL_LSTM) return sigmoid(v);
      return sigmoid(binary(TIDEGATE_OP_ADD, v, binary(TIDEGATE_OP_MUL, append_tensor(size), c)));
    };
    const std::int32_t c = append_state(size, reserve_state), i = peep(gate(0), c), f = peep(gate(1), c);
    const std::int32_t kept = binary(TIDEGATE_OP_MUL, f, c), g = tanh(gate(2));
    const std::int32_t next_c = binary(TIDEGATE_OP_ADD, kept, binary(TIDEGATE_OP_MUL, i, g));
    const std::int32_t o = peep(gate(3), next_c), y = binary(TIDEGATE_OP_MUL, o, tanh(next_c));
    next_ = {y, next_c};
  } else if (cell == TIDEGATE_CELL_RNN_TANH || cell == TIDEGATE_CELL_RNN_RELU) {
    next_ = {unary(cell == TIDEGATE_CELL_RNN_TANH ? TIDEGATE_OP_TANH : TIDEGATE_OP_RELU, gate(0))};
  } else if (cell == TIDEGATE_CELL_MINGRU) {
    const std::int32_t share = sigmoid(input(0)), n = input(1);
    next_ = {mix(h, n, share)};
  } else {
    const bool before = cell == TIDEGATE_CELL_GRU_BEFORE || cell == TIDEGATE_CELL_GRU_BEFORE_REPLACE;
    const bool keep = cell == TIDEGATE_CELL_GRU || cell == TIDEGATE_CELL_GRU_BEFORE;
    const std::int32_t r = sigmoid(gate(0)), share = sigmoid(gate(1)), x = input(2);
    const std::int32_t product =
        before ? recur(binary(TIDEGATE_OP_MUL, r, h)) : binary(TIDEGATE_OP_MUL, r, recur(h));
    const std::int32_t n = tanh(binary(TIDEGATE_OP_ADD, x, product));
    next_ = {keep ? mix(n, h, share) : mix(h, n, share)};
  }
  return next_[0];
}

// Change an operand, an operation or a result, so that it may be another layer.
void Program::change_one() {
  const auto i = static_cast<std::size_t>(any());
  Row& row = code_[i];
  const std::int64_t kind = in_.below(4);
  if (kind == 0 && !next_.empty()) next_[static_cast<std::size_t>(in_.below(256)) % next_.size()] = any();
  else if (kind == 1 && row[0] >= TIDEGATE_OP_ADD)
    row[0] = static_cast<std::int32_t>(TIDEGATE_OP_ADD + in_.below(7));
  else if (kind == 1 && row[0] >= TIDEGATE_OP_NEG)
    row[0] = static_cast<std::int32_t>(TIDEGATE_OP_NEG + in_.below(8));
  else
    row[static_cast<std::size_t>(2 + in_.below(3))] = static_cast<std::int32_t>(in_.byte() % (i + 2));
}

}  // namespace fuzz
