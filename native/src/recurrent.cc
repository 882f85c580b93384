// Recurrent layers: the fused GRU, any other cell as a program, and the choice between them.
#include <array>
#include <cstring>

#include "input_projection.h"
#include "known_cells.h"
#include "program.h"
#include "recurrent.h"

namespace tidegate {
namespace {

// Return the column order of three gates by vectors: r z n of the first `lanes` units, then of the next.
std::vector<std::int64_t> interleave_gates(const Layer& layer) {
  const auto H = static_cast<std::int64_t>(layer.size), lanes = static_cast<std::int64_t>(layer.kernels.lanes);
  std::vector<std::int64_t> order;
  for (std::int64_t unit = 0; unit < H; unit += lanes)
    for (std::int64_t gate = 0; gate < 3; ++gate)
      for (std::int64_t j = unit; j < unit + lanes; ++j) order.push_back(j < H ? gate * H + j : -1);
  return order;
}

class FusedGru final : public Layer {
 public:
  FusedGru(const Kernels& kernels, const tidegate_recurrent& cell)
      : Layer(kernels, "recurrent", check_size(cell.inputs, "recurrent: inputs"),
              check_size(cell.size, "recurrent: size")),
        inputs_(kernels, inputs, interleave_gates(*this), cell.W, cell.b),
        recurrent_(kernels, size, interleave_gates(*this), cell.R, cell.c) {
    states.push_back(make_state_array(cell, 0));
  }

  void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const override {
    const std::size_t H = padded_size(size), gate_row = 3 * H;
    // a single step computes it on the way
    const PackedMatrix* const input = chunk.items == 1 ? inputs_.matrix() : nullptr;
    if (!input) inputs_.run(chunk.items, x, tile.scratch);
    float* inputs = tile.scratch;
    MatrixView h = {tile.state[0], H};
    for (std::size_t t = 0; t < chunk.steps; ++t) {
      const std::size_t rows = chunk.rows[t];
      if (rows == 1)
        kernels.gru_step(input, x.data, inputs, &recurrent_.matrix(), h.data, tile.scratch + kTileRows * gate_row, out,
                         (tile.past_steps[0] + chunk.first + t) % 2);
      else
        kernels.gru(rows, &recurrent_.matrix(), {inputs, gate_row}, h, out, H);
      store_state(tile, states[0], chunk.rows[t + 1], rows, {out, H});
      h.data = out;  // the output is also the next state
      inputs += rows * gate_row;
      out += rows * H;
    }
    std::memcpy(tile.state[0], h.data, chunk.rows[chunk.steps] * H * sizeof(float));
  }
  bool fold(const Layer& embed) override { return inputs_.fold(embed); }
  bool fused() const override { return true; }
  std::size_t scratch() const override { return (kTileRows + 1) * 3 * padded_size(size); }
  std::size_t work() const override { return 3 * size * (inputs + size + 16); }

 private:
  InputProjection inputs_;
  PackedWeights recurrent_;
};

// A cell's tape as a program: the gates are parts of W x + b, and each recurrent map is a product.
class CellProgram {
 public:
  explicit CellProgram(const tidegate_recurrent& cell)
      : cell_(cell), H_(static_cast<std::int32_t>(cell.size)), I_(static_cast<std::int32_t>(cell.inputs)),
        P_(static_cast<std::int32_t>(cell.project ? cell.project : cell.size)) {
    add_tensor(cell.W, cell.gates * cell.size * cell.inputs);
    add_tensor(cell.b, cell.gates * cell.size);
    add_tensor(cell.R, cell.maps * cell.size * P_);
    add_tensor(cell.c, cell.maps * cell.size);
    add_tensor(cell.Q, cell.Q ? cell.size * P_ : 0);
    const float* param = cell.params;
    for (std::int32_t p = 0; p < cell.params_count; param += cell.param_sizes[p++])
      add_tensor(param, cell.param_sizes[p]);
    const std::int32_t gates = cell.gates * H_;
    if (gates) {
      const std::int32_t x = add(TIDEGATE_OP_INPUT, I_), W = tensor(0, 0, gates * I_), b = tensor(1, 0, gates);
      gates_ = add(TIDEGATE_OP_AFFINE, gates, x, W, b);
    }
    for (std::int32_t i = 0; i < cell.instructions; ++i) places_.push_back(add_instruction(i));
    for (std::int32_t s = 0; s < cell.states; ++s) next_.push_back(places_[static_cast<std::size_t>(cell.next[s])]);
  }

  tidegate_program program() const {
    tidegate_program program = {};
    program.inputs = cell_.inputs, program.operations = static_cast<std::int32_t>(code_.size());
    program.output = places_[static_cast<std::size_t>(cell_.output)], program.code = code_.front().data();
    program.consts_count = cell_.consts_count, program.consts = cell_.consts;
    program.tensors_count = static_cast<std::int32_t>(tensors_.size());
    program.tensors = tensors_.data(), program.tensor_sizes = sizes_.data();
    program.states = cell_.states, program.next = next_.data();
    program.state_offsets = cell_.state_offsets, program.state_sizes = cell_.state_sizes;
    return program;
  }

 private:
  void add_tensor(const float* values, std::int64_t size) {
    tensors_.push_back(values);
    sizes_.push_back(size);
  }
  std::int32_t add(std::int32_t opcode, std::int32_t size, std::int32_t a = 0, std::int32_t b = 0, std::int32_t c = 0,
                   std::int32_t p = 0, std::int32_t q = 0, std::int32_t r = 0) {
    code_.push_back({opcode, size, a, b, c, p, q, r});
    return static_cast<std::int32_t>(code_.size()) - 1;
  }
  std::int32_t tensor(std::int32_t index, std::int32_t first, std::int32_t size) {
    return add(TIDEGATE_OP_TENSOR, size, index, first);
  }

  std::int32_t add_instruction(std::int32_t i) {
    const std::int32_t *row = cell_.tape + 4 * i, opcode = row[0], a = row[1], width = cell_.widths[i];
    const auto place = [&](std::int32_t reg) { return places_[static_cast<std::size_t>(reg)]; };
    switch (opcode) {
      case TIDEGATE_INPUT: return add(TIDEGATE_OP_PART, H_, gates_, 0, 0, 1, cell_.gates * H_, a * H_);
      case TIDEGATE_STATE: return add(TIDEGATE_OP_STATE, width, a);
      case TIDEGATE_PARAM: return tensor(5 + a, 0, width);
      case TIDEGATE_CONST: return add(TIDEGATE_OP_CONST, 1, a);
      case TIDEGATE_RECUR: {
        const std::int32_t R = tensor(2, a * H_ * P_, H_ * P_), c = tensor(3, a * H_, H_);
        return add(TIDEGATE_OP_AFFINE, H_, place(row[2]), R, c);
      }
      case TIDEGATE_PROJECT: {
        const std::int32_t Q = tensor(4, 0, H_ * P_);
        return add(TIDEGATE_OP_MATMUL, P_, place(row[2]), Q);
      }
      default: break;
    }
    if (opcode < TIDEGATE_ADD) return add(opcode - TIDEGATE_NEG + TIDEGATE_OP_NEG, width, place(a));
    return add(opcode - TIDEGATE_ADD + TIDEGATE_OP_ADD, width, place(a), place(row[2]));
  }

  const tidegate_recurrent& cell_;
  const std::int32_t H_, I_, P_;
  std::int32_t gates_ = 0;  // the register of W x + b
  std::vector<const float*> tensors_;
  std::vector<std::int64_t> sizes_;
  std::vector<std::array<std::int32_t, TIDEGATE_OPERATION_WIDTH>> code_;
  std::vector<std::int32_t> places_, next_;  // of each instruction's result, and of each state's next value
};

}  // namespace

StateArray make_state_array(const tidegate_recurrent& cell, std::int32_t s) {
  return {cell.state_offsets[s], cell.state_sizes[s]};
}

std::vector<std::int64_t> plane_order(const Layer& layer, std::size_t size, const std::vector<std::int32_t>& maps) {
  const auto H = static_cast<std::int64_t>(size), wide = static_cast<std::int64_t>(layer.padded_size(size));
  std::vector<std::int64_t> order;
  for (const std::int32_t map : maps)
    for (std::int64_t j = 0; j < wide; ++j) order.push_back(j < H ? map * H + j : -1);
  return order;
}

std::vector<std::int32_t> map_range(std::int32_t count) {
  std::vector<std::int32_t> maps;
  for (std::int32_t g = 0; g < count; ++g) maps.push_back(g);
  return maps;
}

std::unique_ptr<Layer> make_recurrent(const Kernels& kernels, const tidegate_recurrent& cell, bool fused) {
  check_tape(cell);
  const std::int32_t known_cell = fused && kernels.gru ? find_known_cell(cell) : -1;
  if (known_cell == TIDEGATE_CELL_GRU) return std::make_unique<FusedGru>(kernels, cell);
  if (known_cell >= 0) return make_fused_cell(kernels, cell, known_cell);
  check_size(cell.inputs, "recurrent: inputs");
  check_size(cell.size, "recurrent: size");
  return make_program(kernels, CellProgram(cell).program(), "recurrent");
}

}  // namespace tidegate
