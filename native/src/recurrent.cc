// Recurrent layers: the interpreter of tapes, the fused GRU, and the choice between them.
#include <cstring>
#include <utility>

#include "input_projection.h"
#include "known_cells.h"
#include "recurrent.h"
#include "tape.h"

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

class Interpreter final : public Layer {
 public:
  Interpreter(const Kernels& kernels, const tidegate_recurrent& cell)
      : Layer(kernels, "recurrent", check_size(cell.inputs, "recurrent: inputs"),
              check_size(cell.project ? cell.project : cell.size, "recurrent: size")),
        units_(check_size(cell.size, "recurrent: size")),
        tape_(*this, cell),
        gates_(cell.gates),
        output_(cell.output),
        next_(cell.next, cell.next + cell.states),
        inputs_(kernels, inputs, plane_order(*this, units_, map_range(cell.gates)), cell.W, cell.b) {
    const std::vector<float> no_bias(size);
    for (const MapGroup& group : tape_.groups)
      if (group.project)
        maps_.emplace_back(kernels, units_, plane_order(*this, size, {0}), cell.Q, no_bias.data());
      else
        maps_.emplace_back(kernels, size, plane_order(*this, units_, group.maps), cell.R, cell.c);
    for (std::int32_t s = 0; s < cell.states; ++s) states.push_back(make_state_array(cell, s));
    for (std::int32_t i = 0; i < cell.consts_count; ++i) {
      consts_.emplace_back(padded_size(1));
      for (std::size_t j = 0; j < padded_size(1); ++j) consts_.back().data()[j] = cell.consts[i];
    }
    const float* param = cell.params;
    for (std::int32_t p = 0; p < cell.params_count; param += cell.param_sizes[p++])
      params_.push_back(copy_padded(*this, param, static_cast<std::size_t>(cell.param_sizes[p])));
  }

  void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const override {
    const std::size_t out_row = padded_size(size), gate_row = gates_ * padded_size(units_);
    inputs_.run(chunk.items, x, tile.scratch);
    const float* inputs = tile.scratch;
    for (std::size_t t = 0; t < chunk.steps; ++t) {
      const std::size_t rows = chunk.rows[t];
      for (std::size_t r = 0; r < rows; r += block())
        step(r, rows - r < block() ? rows - r : block(), tile, {inputs + r * gate_row, gate_row}, out + r * out_row);
      for (std::size_t s = 0; s < states.size(); ++s) {
        store_state(tile, states[s], chunk.rows[t + 1], rows, {tile.spare[s], state_row(s)});
        std::swap(tile.state[s], tile.spare[s]);
      }
      inputs += rows * gate_row;
      out += rows * out_row;
    }
  }

  bool fold(const Layer& embed) override { return inputs_.fold(embed); }
  std::size_t scratch() const override {
    std::size_t row = tape_.slot_floats;
    for (const PackedWeights& map : maps_) row += map.matrix().vectors * kernels.lanes;
    return kTileRows * gates_ * padded_size(units_) + block() * row;
  }
  std::size_t work() const override {
    std::size_t columns = 0;
    for (const PackedWeights& map : maps_) columns += map.matrix().vectors * kernels.lanes;
    return gates_ * units_ * inputs + columns * size + tape_.operations.size() * units_;
  }

 private:
  // The rows that go through the tape together: few enough for the registers to stay in the L1 cache.
  std::size_t block() const {
    const std::size_t rows = 2048 / padded_size(units_) / 8 * 8;
    return rows < 8 ? 8 : rows > kTileRows ? kTileRows : rows;
  }
  std::size_t state_row(std::size_t s) const { return padded_size(static_cast<std::size_t>(states[s].size)); }
  std::size_t group_row(std::size_t g) const { return maps_[g].matrix().vectors * kernels.lanes; }

  // Run one step of `rows` rows, from row `first` of the tile on; write the output and the spare states.
  void step(std::size_t first, std::size_t rows, const Tile& tile, MatrixView inputs, float* out) const {
    float* const slots = tile.scratch + kTileRows * gates_ * padded_size(units_);
    float* groups[TIDEGATE_MAX_INSTRUCTIONS];
    float* end = slots + block() * tape_.slot_floats;
    for (std::size_t g = 0; g < maps_.size(); end += block() * group_row(g++)) groups[g] = end;
    MatrixView registers[TIDEGATE_MAX_INSTRUCTIONS];
    for (std::size_t i = 0; i < tape_.registers.size(); ++i) {
      const Register& reg = tape_.registers[i];
      switch (reg.storage) {
        case Storage::kInput: registers[i] = {inputs.data + reg.offset, inputs.ld}; break;
        case Storage::kState: registers[i] = {tile.state[reg.index] + first * reg.width, reg.width}; break;
        case Storage::kParam: registers[i] = {params_[reg.index].data(), 0}; break;
        case Storage::kConst: registers[i] = {consts_[reg.index].data(), 0}; break;
        case Storage::kGroup: registers[i] = {groups[reg.index] + reg.offset, group_row(reg.index)}; break;
        case Storage::kSlot: registers[i] = {slots + block() * reg.index, reg.width}; break;
      }
    }
    for (const Operation& op : tape_.operations) execute(op, rows, registers, groups);
    copy(rows, registers[output_], size, out, padded_size(size));
    for (std::size_t s = 0; s < states.size(); ++s)
      copy(rows, registers[next_[s]], static_cast<std::size_t>(states[s].size), tile.spare[s] + first * state_row(s),
           state_row(s));
  }

  void execute(const Operation& op, std::size_t rows, const MatrixView* registers, float* const* groups) const {
    const std::size_t width = tape_.registers[op.result].width;
    float* const result = const_cast<float*>(registers[op.result].data);
    if (op.group >= 0)
      kernels.matmul(rows, &maps_[op.group].matrix(), registers[op.a], groups[op.group], group_row(op.group));
    else if (op.norm)
      kernels.normalize(rows, op.norm, registers[op.a], TIDEGATE_NORM_EPS, result, width);
    else if (op.unary)
      op.unary(rows, width, registers[op.a], result, width);
    else
      op.binary(rows, width, op.broadcast, registers[op.a], registers[op.b], result, width);
  }

  static void copy(std::size_t rows, MatrixView from, std::size_t width, float* to, std::size_t ld) {
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(to + r * ld, from.data + r * from.ld, width * sizeof(float));
  }

  std::size_t units_;  // H; `size` is P
  Tape tape_;
  std::size_t gates_, output_;
  std::vector<std::int32_t> next_;
  InputProjection inputs_;
  std::vector<PackedWeights> maps_;
  std::vector<AlignedFloats> consts_, params_;
};

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
  return std::make_unique<Interpreter>(kernels, cell);
}

}  // namespace tidegate
