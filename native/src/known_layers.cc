// Chooses what runs a program: the kernel that was proved against its operations, or the interpreter.
#include "known_cells.h"
#include "pattern.h"
#include "program.h"
#include "recurrent.h"

namespace tidegate {
namespace {

using Register = Pattern::Register;
using LayerPointer = std::unique_ptr<Layer>;

// Each function returns the layer of the kernel, or null if the program is another one.
struct Finder {
  const Kernels& kernels;
  const tidegate_program& program;

  const std::int32_t* row_of(std::int32_t reg) const { return program.code + TIDEGATE_OPERATION_WIDTH * reg; }
  std::int64_t size() const { return row_of(program.output)[1]; }

  LayerPointer find() const {
    if (program.ids) return find_embed();
    LayerPointer found = find_affine();
    for (const auto one : {&Finder::find_norm, &Finder::find_scale, &Finder::find_softmax, &Finder::find_pool,
                           &Finder::find_cell})
      if (!found) found = (this->*one)();
    return found;
  }

  LayerPointer find_embed() const {
    Pattern p(program);
    const Register table = p.tensor(program.inputs * size());
    Register total = p.take(table, size(), 0);
    for (std::int32_t k = 1; k < program.ids; ++k) total = p.add(total, p.take(table, size(), k));
    if (!p.matches(total, program.output) || !p.matches_states({})) return nullptr;
    return make_embed(kernels, static_cast<std::size_t>(program.inputs), static_cast<std::size_t>(size()),
                      static_cast<std::size_t>(program.ids), p.values(table));
  }

  // activation(W x + b), of the input or, with a state, of a window of steps of which it is the last.
  LayerPointer find_affine() const {
    if (program.states > 1) return nullptr;
    Pattern p(program);
    Register x = p.input();
    std::int64_t depth = program.inputs;
    std::vector<Register> next;
    if (program.states) {
      const Register past = p.state(program.state_sizes[0]);
      depth += program.state_sizes[0];
      next = {p.push(past, x)};
      x = p.concat(past, x);
    }
    const Register W = p.tensor(size() * depth), b = p.tensor(size());
    Register y = p.affine(x, W, b);
    const std::int32_t opcode = row_of(program.output)[0];
    const bool has_activation =
        opcode == TIDEGATE_OP_RELU || opcode == TIDEGATE_OP_TANH || opcode == TIDEGATE_OP_SIGMOID;
    if (has_activation) y = p.unary(opcode, y);
    if (!p.matches(y, program.output) || !p.matches_states(next)) return nullptr;
    const AffineWeights weights = {static_cast<std::size_t>(program.inputs), static_cast<std::size_t>(size()),
                                   p.values(W), p.values(b), unary_kernel(kernels, has_activation ? opcode : -1)};
    return next.empty() ? make_dense(kernels, weights) : make_conv(kernels, weights, p.array(0));
  }

  LayerPointer find_norm() const {
    Pattern p(program);
    const Register x = p.input(), gain = p.tensor(program.inputs), bias = p.tensor(program.inputs), eps = p.constant();
    const Register d = p.sub(x, p.mean(x));
    const Register deviation = p.unary(TIDEGATE_OP_SQRT, p.add(p.mean(p.mul(d, d)), eps));
    const Register y = p.add(p.mul(p.div(d, deviation), gain), bias);
    if (!p.matches(y, program.output) || !p.matches_states({})) return nullptr;
    return make_norm(kernels, static_cast<std::size_t>(program.inputs), p.values(gain), p.values(bias), p.value(eps));
  }

  LayerPointer find_scale() const {
    Pattern p(program);
    const Register x = p.input(), mean = p.tensor(program.inputs), deviation = p.tensor(program.inputs);
    if (!p.matches(p.div(p.sub(x, mean), deviation), program.output) || !p.matches_states({})) return nullptr;
    return make_scale(kernels, static_cast<std::size_t>(program.inputs), p.values(mean), p.values(deviation));
  }

  LayerPointer find_softmax() const {
    Pattern p(program);
    const Register x = p.input(), e = p.unary(TIDEGATE_OP_EXP, p.sub(x, p.peak(x)));
    if (!p.matches(p.div(e, p.sum(e)), program.output) || !p.matches_states({})) return nullptr;
    return make_softmax(kernels, static_cast<std::size_t>(program.inputs));
  }

  // One or more pools, side by side.
  LayerPointer find_pool() const {
    const std::int32_t* const row = row_of(program.output);
    const bool joins = row[0] == TIDEGATE_OP_CONCAT && row[5] == 1;
    const std::int32_t* const parts = joins ? program.joined + row[2] : &program.output;
    Pattern p(program);
    PoolWeights weights = {{}, {}, nullptr, 0.0f};
    Register x = p.input(), score = -1, bias = -1;
    std::vector<Register> next;
    for (std::int32_t i = 0; i < (joins ? row[3] : 1); ++i) {
      weights.over.push_back(kind_of(parts[i]));
      Register pooled = x;
      switch (weights.over.back()) {
        case TIDEGATE_MEAN:
          next.push_back(p.add(p.state(program.inputs), x));
          pooled = p.div(next.back(), p.steps());
          break;
        case TIDEGATE_MAX:
          next.push_back(pooled = p.binary(TIDEGATE_OP_MAXIMUM, p.state(program.inputs), x));
          break;
        case TIDEGATE_ATTENTION: {
          if (score >= 0) return nullptr;  // the kernel has one score
          score = p.tensor(program.inputs), bias = p.tensor(1);
          const Register peak = p.state(1), weight = p.state(1), sum = p.state(program.inputs);
          const Register e = p.add(p.dot(x, score), bias), top = p.binary(TIDEGATE_OP_MAXIMUM, peak, e);
          const Register keep = p.unary(TIDEGATE_OP_EXP, p.sub(peak, top));
          const Register take = p.unary(TIDEGATE_OP_EXP, p.sub(e, top));
          next.push_back(top);
          next.push_back(p.add(p.mul(weight, keep), take));
          next.push_back(p.add(p.mul(sum, keep), p.mul(take, x)));
          pooled = p.div(next[next.size() - 1], next[next.size() - 2]);
          break;
        }
        default: break;
      }
      if (!p.matches(pooled, parts[i])) return nullptr;
    }
    if (!p.matches_states(next)) return nullptr;
    for (std::size_t s = 0; s < next.size(); ++s) weights.states.push_back(p.array(s));
    if (score >= 0) weights.score = p.values(score), weights.score_bias = *p.values(bias);
    return make_pool(kernels, static_cast<std::size_t>(program.inputs), weights);
  }

  // Return the pool that ends in the operation of a register, if any does.
  std::int32_t kind_of(std::int32_t reg) const {
    const std::int32_t* const row = row_of(reg);
    if (row[0] == TIDEGATE_OP_MAXIMUM) return TIDEGATE_MAX;
    if (row[0] != TIDEGATE_OP_DIV) return TIDEGATE_LAST;
    return row_of(row[3])[0] == TIDEGATE_OP_STEPS ? TIDEGATE_MEAN : TIDEGATE_ATTENTION;
  }

  LayerPointer find_cell() const {
    if (!kernels.gru) return nullptr;  // this build has no fused kernels
    const std::unique_ptr<KnownCell> cell = find_known_cell(program);
    return cell ? make_recurrent(kernels, *cell) : nullptr;
  }
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Kernels& kernels, const tidegate_program& program, bool fused) {
  check_program(program);
  LayerPointer layer = fused ? Finder{kernels, program}.find() : nullptr;
  if (!layer) layer = make_program(kernels, program);
  layer->ahead = static_cast<std::size_t>(program.ahead);
  return layer;
}

}  // namespace tidegate
