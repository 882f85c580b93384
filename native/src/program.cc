// The interpreter of programs: any layer, one operation after the other, on blocks of rows that stay in the cache.
#include "program.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tidegate {
namespace {

// An id that is taken anywhere must be a row of the table, whatever else reads it.
std::vector<IdUse> find_id_uses(const tidegate_program& program) {
  std::vector<IdUse> uses(static_cast<std::size_t>(program.ids), IdUse::kNone);
  for (std::int32_t i = 0; i < program.operations; ++i) {
    const std::int32_t* const row = program.code + TIDEGATE_OPERATION_WIDTH * i;
    if (row[0] != TIDEGATE_OP_TAKE && row[0] != TIDEGATE_OP_BAG) continue;
    const IdUse use = row[0] == TIDEGATE_OP_TAKE ? IdUse::kRow : IdUse::kRowOrNone;
    const auto first = uses.begin() + row[3], end = first + (row[0] == TIDEGATE_OP_TAKE ? 1 : row[4]);
    for (auto one = first; one != end; ++one) *one = std::max(*one, use);
  }
  return uses;
}

class ProgramLayer final : public Layer {
 public:
  ProgramLayer(const Kernels& kernels, const tidegate_program& program)
      : Layer(kernels, "program", static_cast<std::size_t>(program.inputs),
              check_size(program.code[TIDEGATE_OPERATION_WIDTH * program.output + 1], "program: the output's size")),
        ids_(find_id_uses(program)),
        output_(static_cast<std::size_t>(program.output)),
        next_(program.next, program.next + program.states),
        plan_(*this, program) {
    for (std::int32_t s = 0; s < program.states; ++s)
      states.push_back({program.state_offsets[s], program.state_sizes[s], plan_.in_place[static_cast<std::size_t>(s)],
                        is_held(program, s)});
  }

  void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const override {
    const std::size_t ld = padded_size(size), block = plan_.block;
    if (!plan_.by_steps) {
      for (std::size_t i = 0; i < chunk.items; i += block)
        run_block({std::min(block, chunk.items - i), 0, i, 0}, tile, x, out + i * ld);
      return;
    }
    run_early(chunk.items, tile, x);
    std::size_t item = 0;
    for (std::size_t t = 0; t < chunk.steps; ++t) {
      const std::size_t rows = chunk.rows[t];
      for (std::size_t r = 0; r < rows; r += block)
        run_block({std::min(block, rows - r), r, item + r, chunk.first + t + 1}, tile, x, out + (item + r) * ld);
      for (std::size_t s = 0; s < states.size(); ++s) {
        if (states[s].in_place || states[s].held) continue;
        store_state(tile, states[s], chunk.rows[t + 1], rows, {tile.spare[s], state_row(s)});
        std::swap(tile.state[s], tile.spare[s]);
      }
      item += rows;
    }
  }

  std::vector<IdUse> ids() const override { return ids_; }
  bool fused() const override { return false; }
  void look_up(std::size_t first, std::size_t count, float* out) const override {
    const AlignedFloats memory(scratch()), rows(count);
    for (std::size_t r = 0; r < count; ++r) {
      const auto id = static_cast<std::int32_t>(first + r);
      std::memcpy(rows.data() + r, &id, sizeof id);
    }
    run({0, 1, count, nullptr}, {nullptr, nullptr, nullptr, 0, nullptr, nullptr, memory.data()}, {rows.data(), 1}, out);
  }
  bool looks_up() const override { return ids_.size() == 1 && ids_[0] == IdUse::kRow && !plan_.by_steps; }
  // Look up the products of the table's rows, if a product alone reads the input.
  bool fold(const Layer& embed) override {
    return plan_.input_product >= 0 && plan_.matrices[static_cast<std::size_t>(plan_.input_product)].fold(embed);
  }
  std::size_t scratch() const override { return view_floats() + plan_.early_floats + plan_.slot_floats + kSlack; }
  std::size_t work() const override { return plan_.work; }

 private:
  // Kernels may read and write whole vectors, past the end of the last row of a slot.
  static constexpr std::size_t kSlack = 16;

  // Rows that run together: their number, the first one's index in the tile, its item's index in the chunk, and the
  // number of the step, counted from the start of the run; 0 if the program does not run by steps.
  struct Block {
    std::size_t rows, first, item, step;
  };

  std::size_t state_row(std::size_t s) const { return padded_size(static_cast<std::size_t>(states[s].size)); }
  std::size_t view_floats() const {
    const std::size_t bytes = plan_.registers.size() * sizeof(MatrixView);
    return (bytes / sizeof(float) + 15) / 16 * 16;
  }

  // Find where each register of a block is.
  MatrixView* make_views(const Block& block, const Tile& tile, MatrixView x, float* out) const {
    auto* const views = reinterpret_cast<MatrixView*>(tile.scratch);
    float* const early = tile.scratch + view_floats();
    float* const slots = early + plan_.early_floats;
    for (const std::size_t i : plan_.used) {
      const ProgramRegister& reg = plan_.registers[i];
      const float* data = nullptr;
      switch (reg.storage) {
        case Storage::kInput: views[i] = {x.data + block.item * x.ld, x.ld}; continue;
        case Storage::kState: data = tile.state[reg.index] + block.first * reg.row; break;
        case Storage::kSpare: data = tile.spare[reg.index] + block.first * reg.row; break;
        case Storage::kBlock: {
          const StateArray& array = states[reg.index];
          const auto at = static_cast<std::size_t>(array.offset);
          const std::uint8_t* const from =
              array.held ? tile.held[block.first] + (at - tile.held_from) : tile.block[block.first] + at;
          data = reinterpret_cast<const float*>(from);
          break;
        }
        case Storage::kTensor: data = plan_.tensors[reg.index].data(); break;
        case Storage::kConst: data = plan_.consts[reg.index].data(); break;
        case Storage::kEarly: data = early + reg.index + block.item * reg.row; break;
        case Storage::kSlot: data = slots + reg.index; break;
        case Storage::kOut: data = out; break;
      }
      views[i] = {data + reg.offset, reg.row};
    }
    return views;
  }

  // Compute, for all items of a chunk, what no state has a part in.
  void run_early(std::size_t items, const Tile& tile, MatrixView x) const {
    const Block all = {items, 0, 0, 0};
    const MatrixView* const views = make_views(all, tile, x, nullptr);
    for (const ProgramOperation& op : plan_.early) execute(op, all, tile, x, views);
  }

  // Run one step of a block; write the output and the next states.
  void run_block(const Block& block, const Tile& tile, MatrixView x, float* out) const {
    const MatrixView* const views = make_views(block, tile, x, out);
    for (const ProgramOperation& op : plan_.late) execute(op, block, tile, x, views);
    if (views[output_].data != out) copy(block.rows, views[output_], size, out, padded_size(size));
    for (std::size_t s = 0; s < states.size(); ++s) {
      if (states[s].in_place || states[s].held) continue;
      float* const to = tile.spare[s] + block.first * state_row(s);
      const MatrixView next = views[next_[s]];
      if (next.data != to) copy(block.rows, next, static_cast<std::size_t>(states[s].size), to, state_row(s));
    }
  }

  static void copy(std::size_t rows, MatrixView from, std::size_t floats, float* to, std::size_t ld) {
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(to + r * ld, from.data + r * from.ld, floats * sizeof(float));
  }

  static float* writable(MatrixView view) { return const_cast<float*>(view.data); }
  const ProgramRegister& reg(std::int32_t i) const { return plan_.registers[static_cast<std::size_t>(i)]; }

  void execute(const ProgramOperation& op, const Block& block, const Tile& tile, MatrixView x,
               const MatrixView* views) const {
    const std::size_t rows = block.rows, floats = reg(op.result).size;
    const MatrixView to = views[op.result];
    float* const out = writable(to);
    if (op.unary) return op.unary(rows, padded_size(floats), views[op.a], out, to.ld);
    if (op.binary) return op.binary(rows, padded_size(floats), op.broadcast, views[op.a], views[op.b], out, to.ld);
    switch (op.opcode) {
      case TIDEGATE_OP_INPUT: return copy(rows, {x.data + block.item * x.ld, x.ld}, floats, out, to.ld);
      case TIDEGATE_OP_AFFINE:
      case TIDEGATE_OP_MATMUL: return plan_.matrices[op.matrix].run(rows, views[op.a], out);
      case TIDEGATE_OP_NORM: return kernels.normalize(rows, floats, views[op.a], TIDEGATE_NORM_EPS, out, to.ld);
      case kNormalize: return kernels.normalize(rows, floats, views[op.a], *views[op.b].data, out, to.ld);
      case kNorm:
        return kernels.norm(rows, floats, views[op.a], views[op.p].data, views[op.q].data, *views[op.b].data, out, to.ld);
      case kSoftmax: return kernels.softmax(rows, floats, views[op.a], out, to.ld);
      case TIDEGATE_OP_CONCAT: return concat(rows, op, views);
      case TIDEGATE_OP_TAKE: return take(rows, op, {x.data + block.item * x.ld, x.ld}, views);
      case TIDEGATE_OP_BAG: return bag(rows, op, {x.data + block.item * x.ld, x.ld}, views);
      case TIDEGATE_OP_STEPS:
        for (std::size_t r = 0; r < rows; ++r)
          out[r * to.ld] =
              static_cast<float>(static_cast<std::int64_t>(tile.past_steps[block.first + r] + block.step - delay));
        return;
      default:
        for (std::size_t r = 0; r < rows; ++r) execute_row(op, r, views, floats);
    }
  }

  static std::int32_t id(MatrixView x, std::size_t item, std::int32_t column) {
    std::int32_t value;
    std::memcpy(&value, x.data + item * x.ld + column, sizeof value);
    return value;
  }

  void bag(std::size_t rows, const ProgramOperation& op, MatrixView x, const MatrixView* views) const {
    const std::size_t floats = reg(op.result).size;
    const MatrixView to = views[op.result];
    for (std::size_t r = 0; r < rows; ++r) {
      float* const sum = writable(to) + r * to.ld;
      std::fill_n(sum, floats, 0.0f);
      for (std::int32_t column = op.b; column < op.b + op.c; ++column) {
        const std::int32_t row = id(x, r, column);
        if (row < 0) continue;
        const float* const from = views[op.a].data + static_cast<std::size_t>(row) * floats;
        for (std::size_t i = 0; i < floats; ++i) sum[i] += from[i];
      }
    }
  }

  void take(std::size_t rows, const ProgramOperation& op, MatrixView x, const MatrixView* views) const {
    const std::size_t floats = reg(op.result).size;
    const MatrixView to = views[op.result];
    for (std::size_t r = 0; r < rows; ++r)
      std::memcpy(writable(to) + r * to.ld, views[op.a].data + static_cast<std::size_t>(id(x, r, op.b)) * floats,
                  floats * sizeof(float));
  }

  void concat(std::size_t rows, const ProgramOperation& op, const MatrixView* views) const {
    const MatrixView to = views[op.result];
    const std::size_t row = reg(op.result).size / op.p;
    std::size_t at = 0;
    for (std::int32_t k = op.a; k < op.a + op.b; ++k) {
      const std::int32_t part = plan_.joined[static_cast<std::size_t>(k)];
      const std::size_t width = reg(part).size / op.p;
      const bool in_place = views[part].data == to.data + at && op.p == 1;
      for (std::size_t r = 0; r < rows && !in_place; ++r)
        for (std::size_t o = 0; o < op.p; ++o)
          std::memcpy(writable(to) + r * to.ld + o * row + at, views[part].data + r * views[part].ld + o * width,
                      width * sizeof(float));
      at += width;
    }
  }

  // What is not a kernel over rows: operations on one row.
  void execute_row(const ProgramOperation& op, std::size_t r, const MatrixView* views, std::size_t floats) const {
    const float* const a = views[op.a].data + r * views[op.a].ld;
    const float* const b = views[op.b].data + r * views[op.b].ld;
    float* const out = writable(views[op.result]) + r * views[op.result].ld;
    switch (op.opcode) {
      case TIDEGATE_OP_SUM: return kernels.sum_axis(op.p, op.q, op.r, a, out);
      case TIDEGATE_OP_PEAK: return kernels.peak_axis(op.p, op.q, op.r, a, out);
      case TIDEGATE_OP_MEAN: return kernels.means(floats, op.q, a, out);
      case TIDEGATE_OP_DOT: return kernels.dots(floats, op.q, reg(op.a).size / op.q, a, reg(op.b).size / op.q, b, out);
      case kSumOfProducts: return kernels.sum_products(op.q, op.p, op.r, a, b, out);
      case TIDEGATE_OP_SELECT: {
        const float* const c = views[op.c].data + r * views[op.c].ld;
        const std::size_t i = reg(op.a).size > 1, j = reg(op.b).size > 1, k = reg(op.c).size > 1;
        for (std::size_t n = 0; n < floats; ++n) out[n] = a[n * i] != 0.0f ? b[n * j] : c[n * k];
        return;
      }
      case TIDEGATE_OP_EXPAND:
        for (std::size_t o = 0; o < op.p; ++o)
          for (std::size_t n = 0; n < op.q; ++n)
            if (op.r == 1)
              out[o * op.q + n] = a[o];
            else
              std::memcpy(out + (o * op.q + n) * op.r, a + o * op.r, op.r * sizeof(float));
        return;
      case TIDEGATE_OP_PART: {
        const std::size_t width = floats / op.p;
        for (std::size_t o = 0; o < op.p; ++o) std::memcpy(out + o * width, a + o * op.q + op.r, width * sizeof(float));
        return;
      }
      case TIDEGATE_OP_PUSH: {
        const std::size_t step = reg(op.b).size;
        std::memmove(out, a + step, (floats - step) * sizeof(float));  // it may be the same array
        std::memcpy(out + floats - step, b, step * sizeof(float));
        return;
      }
      default: return;
    }
  }

  const std::vector<IdUse> ids_;
  const std::size_t output_;
  const std::vector<std::int32_t> next_;
  ProgramPlan plan_;
};

}  // namespace

std::unique_ptr<Layer> make_program(const Kernels& kernels, const tidegate_program& program) {
  return std::make_unique<ProgramLayer>(kernels, program);
}

}  // namespace tidegate
