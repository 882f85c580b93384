// The equations of the cells that have a fused kernel, written as tapes with the instructions in the order in which a
// model file has them.
#include "known_cells.h"

#include <algorithm>
#include <array>
#include <vector>

namespace tidegate {
namespace {

using Instruction = std::array<std::int32_t, 3>;  // opcode, a, b

struct CellCounts {
  std::int32_t gates, maps, params;  // params: those that are not a norm's
};

// Builds the tape of a cell. With norms, the value of each gate and map is normalized, multiplied by a gain, and a bias
// is added; gains and biases alternate in the parameters.
class KnownTape {
 public:
  KnownTape(std::int32_t cell, const CellCounts& counts)
      : gates(counts.gates), maps(counts.maps), params(counts.params), has_norms(cell & TIDEGATE_CELL_WITH_NORMS) {
    write_cell(cell & ~TIDEGATE_CELL_WITH_NORMS);
  }

  const std::int32_t gates, maps, params;
  const bool has_norms;
  std::vector<Instruction> instructions;
  std::vector<std::int32_t> next;  // registers of the states; the first is the output too

 private:
  std::int32_t append(std::int32_t opcode, std::int32_t a, std::int32_t b = 0) {
    instructions.push_back({opcode, a, b});
    return static_cast<std::int32_t>(instructions.size()) - 1;
  }
  std::int32_t add(std::int32_t a, std::int32_t b) { return append(TIDEGATE_ADD, a, b); }
  std::int32_t sub(std::int32_t a, std::int32_t b) { return append(TIDEGATE_SUB, a, b); }
  std::int32_t mul(std::int32_t a, std::int32_t b) { return append(TIDEGATE_MUL, a, b); }
  std::int32_t sigmoid(std::int32_t a) { return append(TIDEGATE_SIGMOID, a); }
  std::int32_t tanh(std::int32_t a) { return append(TIDEGATE_TANH, a); }

  std::int32_t state(std::int32_t s) {
    if (states_[s] < 0) states_[s] = append(TIDEGATE_STATE, s);
    return states_[s];
  }
  std::int32_t apply_norm(std::int32_t value, std::int32_t norm) {
    if (!has_norms) return value;
    const std::int32_t normalized = append(TIDEGATE_NORM, value);
    const std::int32_t scaled = mul(normalized, append(TIDEGATE_PARAM, params + 2 * norm));
    return add(scaled, append(TIDEGATE_PARAM, params + 2 * norm + 1));
  }
  std::int32_t input(std::int32_t gate) { return apply_norm(append(TIDEGATE_INPUT, gate), gate); }
  std::int32_t recur(std::int32_t map, std::int32_t v) {
    return apply_norm(append(TIDEGATE_RECUR, map, v), gates + map);
  }
  // x.g + R.g(h)
  std::int32_t gate(std::int32_t g) {
    const std::int32_t x = input(g);
    return add(x, recur(g, state(0)));
  }

  void write_cell(std::int32_t cell) {
    switch (cell) {
      case TIDEGATE_CELL_GRU: return gru(false, true);
      case TIDEGATE_CELL_GRU_REPLACE: return gru(false, false);
      case TIDEGATE_CELL_GRU_BEFORE: return gru(true, true);
      case TIDEGATE_CELL_GRU_BEFORE_REPLACE: return gru(true, false);
      case TIDEGATE_CELL_LSTM: return lstm(false);
      case TIDEGATE_CELL_LSTM_PEEPHOLES: return lstm(true);
      case TIDEGATE_CELL_RNN_TANH: next = {tanh(gate(0))}; return;
      case TIDEGATE_CELL_RNN_RELU: next = {append(TIDEGATE_RELU, gate(0))}; return;
      default: return mingru();
    }
  }

  void gru(bool reset_before, bool update_keep) {
    const std::int32_t r = sigmoid(gate(0)), z = sigmoid(gate(1)), x = input(2), h = state(0);
    const std::int32_t product = reset_before ? recur(2, mul(r, h)) : mul(r, recur(2, h));
    const std::int32_t n = tanh(add(x, product));
    next = {update_keep ? add(n, mul(z, sub(h, n))) : add(h, mul(z, sub(n, h)))};
  }

  // Gate g; with peepholes, parameter p times the cell state c is added.
  std::int32_t peephole_gate(bool peepholes, std::int32_t g, std::int32_t p, std::int32_t c) {
    const std::int32_t value = gate(g);
    return sigmoid(peepholes ? add(value, mul(append(TIDEGATE_PARAM, p), c)) : value);
  }

  void lstm(bool peepholes) {
    const std::int32_t c = state(1), i = peephole_gate(peepholes, 0, 0, c), f = peephole_gate(peepholes, 1, 1, c),
                       fc = mul(f, c);
    const std::int32_t next_c = add(fc, mul(i, tanh(gate(2))));
    const std::int32_t o = peephole_gate(peepholes, 3, 2, next_c);
    next = {mul(o, tanh(next_c)), next_c};
  }

  void mingru() {
    const std::int32_t h = state(0), z = sigmoid(input(0)), n = input(1);
    next = {add(h, mul(z, sub(n, h)))};
  }

  std::int32_t states_[2] = {-1, -1};
};

constexpr CellCounts kCellCounts[TIDEGATE_CELLS] = {{3, 3, 0}, {3, 3, 0}, {4, 4, 0}, {1, 1, 0}, {1, 1, 0},
                                                    {2, 0, 0}, {3, 3, 0}, {3, 3, 0}, {4, 4, 3}};

bool reads_b(std::int32_t opcode) { return opcode == TIDEGATE_RECUR || opcode >= TIDEGATE_ADD; }

bool matches(const KnownTape& known, const tidegate_recurrent& cell) {
  const auto instructions = static_cast<std::int32_t>(known.instructions.size());
  const auto states = static_cast<std::int32_t>(known.next.size());
  const std::int32_t params = known.params + (known.has_norms ? 2 * (known.gates + known.maps) : 0);
  if (cell.instructions != instructions || cell.gates != known.gates || cell.maps != known.maps || cell.project ||
      cell.states != states || cell.params_count != params || cell.output != known.next[0])
    return false;
  for (std::int32_t i = 0; i < instructions; ++i) {
    const std::int32_t* const row = cell.tape + 4 * i;
    const auto [opcode, a, b] = known.instructions[i];
    if (row[0] != opcode || row[1] != a || (reads_b(opcode) && row[2] != b)) return false;
  }
  const auto is_cell_wide = [&](std::int32_t size) { return size == cell.size; };
  return std::equal(known.next.begin(), known.next.end(), cell.next) &&
         std::all_of(cell.state_sizes, cell.state_sizes + states, is_cell_wide) &&
         std::all_of(cell.param_sizes, cell.param_sizes + params, is_cell_wide);
}

}  // namespace

std::int32_t find_known_cell(const tidegate_recurrent& cell) {
  for (const std::int32_t norm : {0, static_cast<std::int32_t>(TIDEGATE_CELL_WITH_NORMS)})
    for (std::int32_t i = 0; i < TIDEGATE_CELLS; ++i)
      if (matches(KnownTape(i + norm, kCellCounts[i]), cell)) return i + norm;
  return -1;
}

}  // namespace tidegate
