// The interpreter of programs: any layer, one operation after the other, on blocks of rows that stay in the cache.
#include "program.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

namespace tidegate {
namespace {

// Where the value of a register is stored. A spare is the next value of a state, written in place.
enum class Storage { kInput, kState, kSpare, kTensor, kConst, kSlot };

struct Register {
  Storage storage;
  std::size_t index;  // of the state, tensor or constant; of a slot, its offset in floats
  std::size_t offset; // floats from the start of the row
  std::size_t row;    // floats from row to row; 0 if all rows have the same
  std::size_t size;
  bool view;  // whether it is a part of an older register
};

struct Operation {
  std::int32_t opcode, a, b, c, result;
  std::size_t p, q, r;
  Unary* unary;
  Binary* binary;
  Broadcast broadcast;
  std::size_t matrix;  // index of its packed weights
};

Unary* unary_kernel(const Kernels& kernels, std::int32_t opcode) {
  Unary* const table[] = {kernels.neg,  kernels.abs,  kernels.exp, kernels.sigmoid,
                          kernels.tanh, kernels.relu, nullptr,     kernels.sqrt};
  const bool is_unary = opcode >= TIDEGATE_OP_NEG && opcode <= TIDEGATE_OP_SQRT;
  return is_unary ? table[opcode - TIDEGATE_OP_NEG] : nullptr;
}

Binary* binary_kernel(const Kernels& kernels, std::int32_t opcode) {
  Binary* const table[] = {kernels.add,     kernels.sub,     kernels.mul, kernels.div,
                           kernels.minimum, kernels.maximum, kernels.less};
  return opcode >= TIDEGATE_OP_ADD ? table[opcode - TIDEGATE_OP_ADD] : nullptr;
}

// Allocates slots; a released one serves the next register of the same size.
class Slots {
 public:
  std::size_t acquire(std::size_t floats) {
    auto& free = free_[floats];
    if (free.empty()) {
      free.push_back(total_);
      total_ += floats;
    }
    const std::size_t at = free.back();
    free.pop_back();
    return at;
  }
  void release(std::size_t floats, std::size_t at) { free_[floats].push_back(at); }
  std::size_t total() const { return total_; }

 private:
  std::map<std::size_t, std::vector<std::size_t>> free_;
  std::size_t total_ = 0;
};

class ProgramLayer final : public Layer {
 public:
  ProgramLayer(const Kernels& kernels, const tidegate_program& program)
      : Layer(kernels, "program", static_cast<std::size_t>(program.inputs),
              check_size(program.code[TIDEGATE_OPERATION_WIDTH * program.output + 1], "program: the output's size")),
        ids_(static_cast<std::size_t>(program.ids)),
        output_(static_cast<std::size_t>(program.output)),
        next_(program.next, program.next + program.states) {
    for (std::int32_t s = 0; s < program.states; ++s)
      states.push_back({program.state_offsets[s], program.state_sizes[s]});
    for (std::int32_t i = 0; i < program.consts_count; ++i) {
      consts_.emplace_back(padded_size(1));
      std::fill_n(consts_.back().data(), padded_size(1), program.consts[i]);
    }
    const std::vector<std::int32_t> last = find_last_reads(program);
    block_ = choose_block(program);
    copies_input_ = reads_parts(program);
    Slots slots;
    for (std::int32_t i = 0; i < program.operations; ++i) add_operation(program, i, last, slots);
    slot_floats_ = slots.total();
    copy_tensors(program);
  }

  void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const override {
    const std::size_t ld = padded_size(size);
    if (!by_steps_) {
      for (std::size_t i = 0; i < chunk.items; i += block_)
        run_block(std::min(block_, chunk.items - i), 0, 0, tile, {x.data + i * x.ld, x.ld}, out + i * ld);
      return;
    }
    for (std::size_t t = 0; t < chunk.steps; ++t) {
      const std::size_t rows = chunk.rows[t];
      for (std::size_t r = 0; r < rows; r += block_)
        run_block(std::min(block_, rows - r), r, chunk.first + t + 1, tile, {x.data + r * x.ld, x.ld}, out + r * ld);
      for (std::size_t s = 0; s < states.size(); ++s) {
        store_state(tile, states[s], chunk.rows[t + 1], rows, {tile.spare[s], state_row(s)});
        std::swap(tile.state[s], tile.spare[s]);
      }
      x.data += rows * x.ld;
      out += rows * ld;
    }
  }

  std::size_t ids() const override { return ids_; }
  std::size_t scratch() const override { return view_floats() + slot_floats_ + kSlack; }
  std::size_t work() const override { return work_; }

 private:
  // Kernels may read and write whole vectors, past the end of the last row of a slot.
  static constexpr std::size_t kSlack = 16;

  std::size_t state_row(std::size_t s) const { return padded_size(static_cast<std::size_t>(states[s].size)); }
  std::size_t view_floats() const {
    const std::size_t bytes = registers_.size() * sizeof(MatrixView);
    return (bytes / sizeof(float) + 15) / 16 * 16;
  }

  // Whether an operation reads whole vectors from the middle of a row. Those of the input could be past its end.
  static bool reads_parts(const tidegate_program& program) {
    for (std::int32_t i = 0; i < program.operations; ++i) {
      const std::int32_t opcode = program.code[TIDEGATE_OPERATION_WIDTH * i];
      if (opcode == TIDEGATE_OP_PART || opcode == TIDEGATE_OP_MEAN || opcode == TIDEGATE_OP_DOT) return true;
    }
    return false;
  }

  // As many rows as let the widest register stay in the L1 cache.
  std::size_t choose_block(const tidegate_program& program) const {
    std::size_t widest = 1;
    for (std::int32_t i = 0; i < program.operations; ++i) {
      const std::int32_t* row = program.code + TIDEGATE_OPERATION_WIDTH * i;
      if (row[0] != TIDEGATE_OP_TENSOR) widest = std::max(widest, padded_size(static_cast<std::size_t>(row[1])));
    }
    return std::max<std::size_t>(1, std::min(kTileRows, 4096 / widest));
  }

  // The last operation that reads each register; the number of operations for the output and the next states. A part
  // that needs no copy keeps its operand alive.
  std::vector<std::int32_t> find_last_reads(const tidegate_program& program) const {
    std::vector<std::int32_t> last(static_cast<std::size_t>(program.operations));
    for (std::int32_t i = 0; i < program.operations; ++i) {
      last[i] = i;
      for_operands(program, i, [&](std::int32_t reg) { last[reg] = i; });
    }
    last[program.output] = program.operations;
    for (std::int32_t s = 0; s < program.states; ++s) last[program.next[s]] = program.operations;
    for (std::int32_t i = program.operations - 1; i >= 0; --i) {
      const std::int32_t* row = program.code + TIDEGATE_OPERATION_WIDTH * i;
      if (row[0] == TIDEGATE_OP_PART && row[5] == 1) last[row[2]] = std::max(last[row[2]], last[i]);
    }
    return last;
  }

  template <class Visit>
  static void for_operands(const tidegate_program& program, std::int32_t i, const Visit& visit) {
    const std::int32_t *row = program.code + TIDEGATE_OPERATION_WIDTH * i, opcode = row[0];
    if (opcode == TIDEGATE_OP_CONCAT) {
      for (std::int32_t k = 0; k < row[3]; ++k) visit(program.list[row[2] + k]);
      return;
    }
    const bool reads = opcode == TIDEGATE_OP_TAKE || opcode > TIDEGATE_OP_CONST;
    const bool binary = opcode == TIDEGATE_OP_AFFINE || opcode == TIDEGATE_OP_MATMUL || opcode == TIDEGATE_OP_SELECT ||
                        opcode == TIDEGATE_OP_DOT || opcode == TIDEGATE_OP_PUSH || opcode >= TIDEGATE_OP_ADD;
    if (reads) visit(row[2]);
    if (binary) visit(row[3]);
    if (opcode == TIDEGATE_OP_AFFINE || opcode == TIDEGATE_OP_SELECT) visit(row[4]);
  }

  void add_operation(const tidegate_program& program, std::int32_t i, const std::vector<std::int32_t>& last,
                     Slots& slots) {
    const std::int32_t *row = program.code + TIDEGATE_OPERATION_WIDTH * i, opcode = row[0];
    const auto floats = static_cast<std::size_t>(row[1]), a = static_cast<std::size_t>(row[2]);
    switch (opcode) {
      case TIDEGATE_OP_INPUT:
        if (copies_input_) break;
        registers_.push_back({Storage::kInput, 0, 0, 0, floats, false});
        return;
      case TIDEGATE_OP_STATE:
        by_steps_ = true;
        registers_.push_back({Storage::kState, a, 0, state_row(a), floats, false});
        return;
      case TIDEGATE_OP_TENSOR:
        registers_.push_back({Storage::kTensor, a, static_cast<std::size_t>(row[3]), 0, floats, false});
        return;
      case TIDEGATE_OP_CONST: registers_.push_back({Storage::kConst, a, 0, 0, floats, false}); return;
      case TIDEGATE_OP_PART:
        if (row[5] != 1) break;
        registers_.push_back(registers_[a]);  // a view into its operand
        registers_.back().offset += static_cast<std::size_t>(row[7]);
        registers_.back().size = floats;
        registers_.back().view = true;
        return;
      case TIDEGATE_OP_STEPS: by_steps_ = true; break;
      default: break;
    }
    Operation op = {opcode,
                    row[2],
                    row[3],
                    row[4],
                    i,
                    static_cast<std::size_t>(row[5]),
                    static_cast<std::size_t>(row[6]),
                    static_cast<std::size_t>(row[7]),
                    unary_kernel(kernels, opcode),
                    binary_kernel(kernels, opcode),
                    kBroadcastNone,
                    0};
    if (op.binary) op.broadcast = find_broadcast(registers_[a].size, registers_[static_cast<std::size_t>(row[3])].size);
    if (opcode == TIDEGATE_OP_AFFINE || opcode == TIDEGATE_OP_MATMUL) pack(program, op, floats);
    if (opcode == TIDEGATE_OP_CONCAT) {
      op.a = static_cast<std::int32_t>(list_.size());
      list_.insert(list_.end(), program.list + row[2], program.list + row[2] + row[3]);
    }
    work_ += opcode == TIDEGATE_OP_DOT || opcode == TIDEGATE_OP_MEAN ? floats * op.q : floats;
    registers_.push_back(place(i, floats, slots));
    operations_.push_back(op);
    for_operands(program, i, [&](std::int32_t reg) { release(reg, i, last, slots); });
    release(i, i, last, slots);
  }

  static Broadcast find_broadcast(std::size_t a, std::size_t b) {
    return a == b ? kBroadcastNone : a == 1 ? kBroadcastLeft : kBroadcastRight;
  }

  // A result that is only the next value of one state is written to where that value goes.
  Register place(std::int32_t i, std::size_t floats, Slots& slots) {
    const std::size_t row = padded_size(floats);
    for (std::size_t s = 0; s < next_.size(); ++s)
      if (next_[s] == i) return {Storage::kSpare, s, 0, row, floats, false};
    return {Storage::kSlot, slots.acquire(row * block_), 0, row, floats, false};
  }

  void release(std::int32_t reg, std::int32_t i, const std::vector<std::int32_t>& last, Slots& slots) {
    const Register& r = registers_[static_cast<std::size_t>(reg)];
    if (last[static_cast<std::size_t>(reg)] == i && r.storage == Storage::kSlot && !r.view)
      slots.release(r.row * block_, r.index);
  }

  void pack(const tidegate_program& program, Operation& op, std::size_t outputs) {
    const std::int32_t* matrix = program.code + TIDEGATE_OPERATION_WIDTH * op.b;
    const std::size_t depth = registers_[static_cast<std::size_t>(op.a)].size;
    std::vector<float> bias(outputs);
    if (op.opcode == TIDEGATE_OP_AFFINE) {
      const std::int32_t* row = program.code + TIDEGATE_OPERATION_WIDTH * op.c;
      std::copy_n(program.tensors[row[2]] + row[3], outputs, bias.begin());
    }
    op.matrix = matrices_.size();
    matrices_.emplace_back(kernels, depth, make_range(outputs), program.tensors[matrix[2]] + matrix[3], bias.data());
    work_ += depth * outputs;
  }

  // Copy the tensors that operations read; what only products read is packed already. Tables are rounded where matrices
  // are.
  void copy_tensors(const tidegate_program& program) {
    std::vector<bool> used(static_cast<std::size_t>(program.tensors_count)), table(used.size());
    const auto mark = [&](std::int32_t reg) {
      const Register& r = registers_[static_cast<std::size_t>(reg)];
      if (r.storage == Storage::kTensor) used[r.index] = true;
    };
    for (const Operation& op : operations_) {
      if (op.opcode == TIDEGATE_OP_TAKE) table[registers_[static_cast<std::size_t>(op.a)].index] = true;
      if (op.opcode == TIDEGATE_OP_AFFINE || op.opcode == TIDEGATE_OP_MATMUL)
        mark(op.a);
      else
        for_operands(program, op.result, mark);
    }
    for (std::size_t t = 0; t < used.size(); ++t) {
      const auto count = used[t] ? static_cast<std::size_t>(program.tensor_sizes[t]) : 0;
      tensors_.emplace_back(count);
      for (std::size_t n = 0; n < count; ++n) {
        const float value = program.tensors[t][n];
        tensors_.back().data()[n] = table[t] && kernels.precision != kFloat32 ? from_bf16(to_bf16(value)) : value;
      }
    }
  }

  // Run one step of `rows` rows, from row `first` of the tile on; write the output and the next states.
  void run_block(std::size_t rows, std::size_t first, std::size_t step, const Tile& tile, MatrixView x,
                 float* out) const {
    auto* const views = reinterpret_cast<MatrixView*>(tile.scratch);
    float* const slots = tile.scratch + view_floats();
    for (std::size_t i = 0; i < registers_.size(); ++i) {
      const Register& reg = registers_[i];
      switch (reg.storage) {
        case Storage::kInput: views[i] = {x.data + reg.offset, x.ld}; break;
        case Storage::kState: views[i] = {tile.state[reg.index] + first * reg.row + reg.offset, reg.row}; break;
        case Storage::kSpare: views[i] = {tile.spare[reg.index] + first * reg.row + reg.offset, reg.row}; break;
        case Storage::kTensor: views[i] = {tensors_[reg.index].data() + reg.offset, 0}; break;
        case Storage::kConst: views[i] = {consts_[reg.index].data(), 0}; break;
        case Storage::kSlot: views[i] = {slots + reg.index + reg.offset, reg.row}; break;
      }
    }
    for (const Operation& op : operations_) {
      if (op.opcode == TIDEGATE_OP_INPUT)
        copy(rows, x, inputs, writable(views[op.result]), views[op.result].ld);
      else if (op.opcode == TIDEGATE_OP_STEPS)
        count_steps(rows, first, step, tile, views[op.result]);
      else if (op.opcode == TIDEGATE_OP_TAKE)
        take(rows, op, x, views);
      else
        execute(rows, op, views);
    }
    copy(rows, views[output_], size, out, padded_size(size));
    for (std::size_t s = 0; s < states.size(); ++s) {
      float* const to = tile.spare[s] + first * state_row(s);
      if (views[next_[s]].data != to) copy(rows, views[next_[s]], static_cast<std::size_t>(states[s].size), to, state_row(s));
    }
  }

  static void copy(std::size_t rows, MatrixView from, std::size_t floats, float* to, std::size_t ld) {
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(to + r * ld, from.data + r * from.ld, floats * sizeof(float));
  }

  static float* writable(MatrixView view) { return const_cast<float*>(view.data); }

  void count_steps(std::size_t rows, std::size_t first, std::size_t step, const Tile& tile, MatrixView to) const {
    for (std::size_t r = 0; r < rows; ++r)
      writable(to)[r * to.ld] = static_cast<float>(static_cast<std::int64_t>(tile.past_steps[first + r] + step));
  }

  void take(std::size_t rows, const Operation& op, MatrixView x, const MatrixView* views) const {
    const std::size_t floats = registers_[static_cast<std::size_t>(op.result)].size;
    const MatrixView to = views[op.result];
    for (std::size_t r = 0; r < rows; ++r) {
      std::int32_t id;
      std::memcpy(&id, x.data + r * x.ld + op.b, sizeof id);
      std::memcpy(writable(to) + r * to.ld, views[op.a].data + static_cast<std::size_t>(id) * floats,
                  floats * sizeof(float));
    }
  }

  void execute(std::size_t rows, const Operation& op, const MatrixView* views) const {
    const Register& result = registers_[static_cast<std::size_t>(op.result)];
    const MatrixView a = views[op.a], to = views[op.result];
    float* const out = writable(to);
    if (op.unary) return op.unary(rows, padded_size(result.size), a, out, to.ld);
    if (op.binary) return op.binary(rows, padded_size(result.size), op.broadcast, a, views[op.b], out, to.ld);
    switch (op.opcode) {
      case TIDEGATE_OP_AFFINE:
      case TIDEGATE_OP_MATMUL: return kernels.matmul(rows, &matrices_[op.matrix].matrix(), a, out, to.ld);
      case TIDEGATE_OP_NORM: return kernels.normalize(rows, result.size, a, TIDEGATE_NORM_EPS, out, to.ld);
      case TIDEGATE_OP_CONCAT: return concat(rows, op, views);
      default:
        for (std::size_t r = 0; r < rows; ++r) execute_row(op, r, views, result.size);
    }
  }

  // What is not a kernel over rows: operations on one row.
  void execute_row(const Operation& op, std::size_t r, const MatrixView* views, std::size_t floats) const {
    const float* const a = views[op.a].data + r * views[op.a].ld;
    const float* const b = views[op.b].data + r * views[op.b].ld;
    float* const out = writable(views[op.result]) + r * views[op.result].ld;
    switch (op.opcode) {
      case TIDEGATE_OP_SUM: return kernels.sum_axis(op.p, op.q, op.r, a, out);
      case TIDEGATE_OP_PEAK: return kernels.peak_axis(op.p, op.q, op.r, a, out);
      case TIDEGATE_OP_MEAN: return kernels.means(floats, op.q, a, out);
      case TIDEGATE_OP_DOT: {
        const std::size_t x = registers_[op.a].size / op.q, y = registers_[op.b].size / op.q;
        return kernels.dots(floats, op.q, x, a, y, b, out);
      }
      case TIDEGATE_OP_SELECT: {
        const float* const c = views[op.c].data + r * views[op.c].ld;
        const std::size_t i = registers_[op.a].size > 1, j = registers_[op.b].size > 1, k = registers_[op.c].size > 1;
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
        for (std::size_t o = 0; o < op.p; ++o)
          std::memcpy(out + o * width, a + o * op.q + op.r, width * sizeof(float));
        return;
      }
      case TIDEGATE_OP_PUSH: {
        const std::size_t step = registers_[op.b].size;
        std::memcpy(out, a + step, (floats - step) * sizeof(float));
        std::memcpy(out + floats - step, b, step * sizeof(float));
        return;
      }
      default: return;
    }
  }

  void concat(std::size_t rows, const Operation& op, const MatrixView* views) const {
    const MatrixView to = views[op.result];
    const std::size_t row = registers_[static_cast<std::size_t>(op.result)].size / op.p;
    std::size_t at = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(op.b); ++k) {
      const auto part = static_cast<std::size_t>(list_[static_cast<std::size_t>(op.a) + k]);
      const std::size_t width = registers_[part].size / op.p;
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t o = 0; o < op.p; ++o)
          std::memcpy(writable(to) + r * to.ld + o * row + at, views[part].data + r * views[part].ld + o * width,
                      width * sizeof(float));
      at += width;
    }
  }

  const std::size_t ids_, output_;
  std::vector<std::int32_t> next_, list_;
  std::vector<Register> registers_;
  std::vector<Operation> operations_;
  std::vector<PackedWeights> matrices_;
  std::vector<AlignedFloats> consts_, tensors_;
  std::size_t block_ = 1, slot_floats_ = 0, work_ = 0;
  bool by_steps_ = false, copies_input_ = false;
};

}  // namespace

std::unique_ptr<Layer> make_program(const Kernels& kernels, const tidegate_program& program) {
  check_program(program);
  return std::make_unique<ProgramLayer>(kernels, program);
}

}  // namespace tidegate
