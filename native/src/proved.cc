// The equations that fused kernels were proved against, written down as tapes, in the order in which a cell's file
// reads.
#include "proved.h"

#include <algorithm>
#include <array>
#include <vector>

namespace tidegate {
namespace {

using Instruction = std::array<std::int32_t, 3>;  // opcode, a, b

struct Counts {
  std::int32_t gates, maps, own;  // own: parameters that are no norm's
};

// Writes a tape. With norms, what a gate or a map gives is scaled, times a gain, plus a bias: parameters by turns.
class Equation {
 public:
  Equation(std::int32_t cell, const Counts& counts)
      : gates(counts.gates), maps(counts.maps), own(counts.own), normed(cell & TIDEGATE_CELL_NORMED) {
    write(cell & ~TIDEGATE_CELL_NORMED);
  }

  const std::int32_t gates, maps, own;
  const bool normed;
  std::vector<Instruction> instructions;
  std::vector<std::int32_t> next;  // states' registers; the first is the output as well

 private:
  std::int32_t op(std::int32_t opcode, std::int32_t a, std::int32_t b = 0) {
    instructions.push_back({opcode, a, b});
    return static_cast<std::int32_t>(instructions.size()) - 1;
  }
  std::int32_t add(std::int32_t a, std::int32_t b) { return op(TIDEGATE_ADD, a, b); }
  std::int32_t sub(std::int32_t a, std::int32_t b) { return op(TIDEGATE_SUB, a, b); }
  std::int32_t mul(std::int32_t a, std::int32_t b) { return op(TIDEGATE_MUL, a, b); }
  std::int32_t sigmoid(std::int32_t a) { return op(TIDEGATE_SIGMOID, a); }
  std::int32_t tanh(std::int32_t a) { return op(TIDEGATE_TANH, a); }

  std::int32_t state(std::int32_t s) {
    if (states_[s] < 0) states_[s] = op(TIDEGATE_STATE, s);
    return states_[s];
  }
  std::int32_t part(std::int32_t value, std::int32_t norm) {
    if (!normed) return value;
    const std::int32_t scaled = op(TIDEGATE_NORM, value), gained = mul(scaled, op(TIDEGATE_PARAM, own + 2 * norm));
    return add(gained, op(TIDEGATE_PARAM, own + 2 * norm + 1));
  }
  std::int32_t input(std::int32_t gate) { return part(op(TIDEGATE_INPUT, gate), gate); }
  std::int32_t recur(std::int32_t map, std::int32_t v) { return part(op(TIDEGATE_RECUR, map, v), gates + map); }
  // x.g + R.g(h)
  std::int32_t gate(std::int32_t g) {
    const std::int32_t x = input(g);
    return add(x, recur(g, state(0)));
  }

  void write(std::int32_t cell) {
    switch (cell) {
      case TIDEGATE_CELL_GRU: return gru(false, true);
      case TIDEGATE_CELL_GRU_REPLACE: return gru(false, false);
      case TIDEGATE_CELL_GRU_BEFORE: return gru(true, true);
      case TIDEGATE_CELL_GRU_BEFORE_REPLACE: return gru(true, false);
      case TIDEGATE_CELL_LSTM: return lstm(false);
      case TIDEGATE_CELL_LSTM_PEEPHOLES: return lstm(true);
      case TIDEGATE_CELL_RNN_TANH: next = {tanh(gate(0))}; return;
      case TIDEGATE_CELL_RNN_RELU: next = {op(TIDEGATE_RELU, gate(0))}; return;
      default: return mingru();
    }
  }

  void gru(bool before, bool keep) {
    const std::int32_t r = sigmoid(gate(0)), z = sigmoid(gate(1)), x = input(2), h = state(0);
    const std::int32_t product = before ? recur(2, mul(r, h)) : mul(r, recur(2, h));
    const std::int32_t n = tanh(add(x, product));
    next = {keep ? add(n, mul(z, sub(h, n))) : add(h, mul(z, sub(n, h)))};
  }

  // Gate g, to which parameter p times the cell state is added.
  std::int32_t seeing(bool peepholes, std::int32_t g, std::int32_t p, std::int32_t c) {
    const std::int32_t value = gate(g);
    return sigmoid(peepholes ? add(value, mul(op(TIDEGATE_PARAM, p), c)) : value);
  }

  void lstm(bool peepholes) {
    const std::int32_t c = state(1), i = seeing(peepholes, 0, 0, c), f = seeing(peepholes, 1, 1, c), kept = mul(f, c);
    const std::int32_t now = add(kept, mul(i, tanh(gate(2))));
    const std::int32_t o = seeing(peepholes, 3, 2, now);
    next = {mul(o, tanh(now)), now};
  }

  void mingru() {
    const std::int32_t h = state(0), z = sigmoid(input(0)), n = input(1);
    next = {add(h, mul(z, sub(n, h)))};
  }

  std::int32_t states_[2] = {-1, -1};
};

constexpr Counts kCounts[TIDEGATE_CELLS] = {{3, 3, 0}, {3, 3, 0}, {4, 4, 0}, {1, 1, 0}, {1, 1, 0},
                                            {2, 0, 0}, {3, 3, 0}, {3, 3, 0}, {4, 4, 3}};

bool reads_b(std::int32_t opcode) { return opcode == TIDEGATE_RECUR || opcode >= TIDEGATE_ADD; }

bool same(const Equation& proved, const tidegate_recurrent& cell) {
  const auto instructions = static_cast<std::int32_t>(proved.instructions.size());
  const auto states = static_cast<std::int32_t>(proved.next.size());
  const std::int32_t params = proved.own + (proved.normed ? 2 * (proved.gates + proved.maps) : 0);
  if (cell.instructions != instructions || cell.gates != proved.gates || cell.maps != proved.maps || cell.project ||
      cell.states != states || cell.params_count != params || cell.output != proved.next[0])
    return false;
  for (std::int32_t i = 0; i < instructions; ++i) {
    const std::int32_t* const row = cell.tape + 4 * i;
    const auto [opcode, a, b] = proved.instructions[i];
    if (row[0] != opcode || row[1] != a || (reads_b(opcode) && row[2] != b)) return false;
  }
  const auto wide = [&](std::int32_t size) { return size == cell.size; };
  return std::equal(proved.next.begin(), proved.next.end(), cell.next) &&
         std::all_of(cell.state_sizes, cell.state_sizes + states, wide) &&
         std::all_of(cell.param_sizes, cell.param_sizes + params, wide);
}

}  // namespace

std::int32_t proved_cell(const tidegate_recurrent& cell) {
  for (const std::int32_t norm : {0, static_cast<std::int32_t>(TIDEGATE_CELL_NORMED)})
    for (std::int32_t i = 0; i < TIDEGATE_CELLS; ++i)
      if (same(Equation(i + norm, kCounts[i]), cell)) return i + norm;
  return -1;
}

}  // namespace tidegate
