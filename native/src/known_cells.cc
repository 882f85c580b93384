// The equations of the cells that have a fused kernel.
#include "known_cells.h"

#include "pattern.h"

namespace tidegate {
namespace {

using Register = Pattern::Register;

struct CellCounts {
  std::int32_t gates, maps, params;  // params: those that are not a norm's
};

constexpr CellCounts kCellCounts[TIDEGATE_CELLS] = {{3, 3, 0}, {3, 3, 0}, {4, 4, 0}, {1, 1, 0}, {1, 1, 0},
                                                    {2, 0, 0}, {3, 3, 0}, {3, 3, 0}, {4, 4, 3}};

// The step of a cell. The gates' inputs are parts of W x + b. With norms, the value of each gate and map is normalized,
// multiplied by a gain, and a bias is added.
class CellPattern {
 public:
  CellPattern(const tidegate_program& program, std::int64_t size, std::int32_t cell)
      : cell_(cell), counts_(kCellCounts[cell & ~TIDEGATE_CELL_WITH_NORMS]), H_(size), inputs_(program.inputs),
        pattern_(program) {
    for (std::int32_t k = 0; k < counts_.maps; ++k) R_.push_back(tensor(H_ * H_)), c_.push_back(tensor(H_));
    for (std::int32_t p = 0; p < counts_.params; ++p) params_.push_back(tensor(H_));
    for (std::int32_t k = 0; cell & TIDEGATE_CELL_WITH_NORMS && k < counts_.gates + counts_.maps; ++k)
      gains_.push_back(tensor(H_)), biases_.push_back(tensor(H_));
    W_ = tensor(counts_.gates * H_ * inputs_), b_ = tensor(counts_.gates * H_);
    z_ = pattern_.affine(pattern_.input(), W_, b_);
    write_cell(cell & ~TIDEGATE_CELL_WITH_NORMS);
  }

  bool matches(std::int32_t output) { return pattern_.matches(next_[0], output) && pattern_.matches_states(next_); }

  std::unique_ptr<KnownCell> read() const {
    auto found = std::make_unique<KnownCell>();
    const auto H = static_cast<std::size_t>(H_);
    found->cell = cell_;
    found->inputs = static_cast<std::size_t>(inputs_), found->size = H;
    found->gates = static_cast<std::size_t>(counts_.gates), found->maps = static_cast<std::size_t>(counts_.maps);
    found->W = pattern_.values(W_), found->b = pattern_.values(b_);
    for (const Register R : R_) found->R.insert(found->R.end(), pattern_.values(R), pattern_.values(R) + H * H);
    for (const Register c : c_) found->c.insert(found->c.end(), pattern_.values(c), pattern_.values(c) + H);
    for (const Register param : params_) found->params.push_back(pattern_.values(param));
    for (const Register gain : gains_) found->gains.push_back(pattern_.values(gain));
    for (const Register bias : biases_) found->biases.push_back(pattern_.values(bias));
    for (std::size_t s = 0; s < next_.size(); ++s) found->states.push_back(pattern_.array(s));
    return found;
  }

 private:
  Register tensor(std::int64_t size) { return pattern_.tensor(size); }
  Register state() { return pattern_.state(H_); }
  Register add(Register a, Register b) { return pattern_.add(a, b); }
  Register sub(Register a, Register b) { return pattern_.sub(a, b); }
  Register mul(Register a, Register b) { return pattern_.mul(a, b); }
  Register sigmoid(Register a) { return pattern_.unary(TIDEGATE_OP_SIGMOID, a); }
  Register tanh(Register a) { return pattern_.unary(TIDEGATE_OP_TANH, a); }

  Register apply_norm(Register value, std::int32_t k) {
    if (gains_.empty()) return value;
    const auto i = static_cast<std::size_t>(k);
    return add(mul(pattern_.unary(TIDEGATE_OP_NORM, value), gains_[i]), biases_[i]);
  }
  Register input(std::int32_t gate) {
    return apply_norm(counts_.gates == 1 ? z_ : pattern_.part(z_, gate * H_, H_), gate);
  }
  Register recur(std::int32_t map, Register v) {
    const auto i = static_cast<std::size_t>(map);
    return apply_norm(pattern_.affine(v, R_[i], c_[i]), counts_.gates + map);
  }
  // x.g + R.g(h)
  Register gate(std::int32_t g, Register h) { return add(input(g), recur(g, h)); }

  void write_cell(std::int32_t cell) {
    const Register h = state();
    switch (cell) {
      case TIDEGATE_CELL_GRU: return gru(h, false, true);
      case TIDEGATE_CELL_GRU_REPLACE: return gru(h, false, false);
      case TIDEGATE_CELL_GRU_BEFORE: return gru(h, true, true);
      case TIDEGATE_CELL_GRU_BEFORE_REPLACE: return gru(h, true, false);
      case TIDEGATE_CELL_LSTM: return lstm(h, false);
      case TIDEGATE_CELL_LSTM_PEEPHOLES: return lstm(h, true);
      case TIDEGATE_CELL_RNN_TANH: next_ = {tanh(gate(0, h))}; return;
      case TIDEGATE_CELL_RNN_RELU: next_ = {pattern_.unary(TIDEGATE_OP_RELU, gate(0, h))}; return;
      default: return mingru(h);
    }
  }

  void gru(Register h, bool reset_before, bool update_keep) {
    const Register r = sigmoid(gate(0, h)), z = sigmoid(gate(1, h));
    const Register product = reset_before ? recur(2, mul(r, h)) : mul(r, recur(2, h));
    const Register n = tanh(add(input(2), product));
    next_ = {update_keep ? add(n, mul(z, sub(h, n))) : add(h, mul(z, sub(n, h)))};
  }

  // Gate g; with peepholes, parameter p times the cell state c is added.
  Register peephole_gate(Register h, bool peepholes, std::int32_t g, std::size_t p, Register c) {
    const Register value = gate(g, h);
    return sigmoid(peepholes ? add(value, mul(params_[p], c)) : value);
  }

  void lstm(Register h, bool peepholes) {
    const Register c = state(), i = peephole_gate(h, peepholes, 0, 0, c), f = peephole_gate(h, peepholes, 1, 1, c);
    const Register next_c = add(mul(f, c), mul(i, tanh(gate(2, h))));
    next_ = {mul(peephole_gate(h, peepholes, 3, 2, next_c), tanh(next_c)), next_c};
  }

  void mingru(Register h) {
    const Register z = sigmoid(input(0));
    next_ = {add(h, mul(z, sub(input(1), h)))};
  }

  const std::int32_t cell_;
  const CellCounts counts_;
  const std::int64_t H_, inputs_;
  Pattern pattern_;
  Register W_, b_, z_;  // z_: W x + b
  std::vector<Register> R_, c_, params_, gains_, biases_;
  std::vector<Register> next_;  // of the states; the first is the output too
};

}  // namespace

std::unique_ptr<KnownCell> find_known_cell(const tidegate_program& program) {
  if (program.ids || program.states < 1) return nullptr;
  const std::int64_t size = program.code[TIDEGATE_OPERATION_WIDTH * program.output + 1];
  for (const std::int32_t norm : {0, static_cast<std::int32_t>(TIDEGATE_CELL_WITH_NORMS)})
    for (std::int32_t i = 0; i < TIDEGATE_CELLS; ++i) {
      CellPattern pattern(program, size, i + norm);
      if (pattern.matches(program.output)) return pattern.read();
    }
  return nullptr;
}

}  // namespace tidegate
