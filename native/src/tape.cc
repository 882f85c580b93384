// Turns a checked tape into operations on buffers. A buffer is used again when no later instruction reads it.
#include "tape.h"

#include <algorithm>
#include <map>

namespace tidegate {
namespace {

Unary* unary_kernel(const Kernels& kernels, std::int32_t opcode) {
  switch (opcode) {
    case TIDEGATE_NEG: return kernels.neg;
    case TIDEGATE_ABS: return kernels.abs;
    case TIDEGATE_EXP: return kernels.exp;
    case TIDEGATE_SIGMOID: return kernels.sigmoid;
    case TIDEGATE_TANH: return kernels.tanh;
    case TIDEGATE_RELU: return kernels.relu;
    default: return nullptr;
  }
}

Binary* binary_kernel(const Kernels& kernels, std::int32_t opcode) {
  switch (opcode) {
    case TIDEGATE_ADD: return kernels.add;
    case TIDEGATE_SUB: return kernels.sub;
    case TIDEGATE_MUL: return kernels.mul;
    case TIDEGATE_DIV: return kernels.div;
    case TIDEGATE_MINIMUM: return kernels.minimum;
    case TIDEGATE_MAXIMUM: return kernels.maximum;
    default: return nullptr;
  }
}

Broadcast find_broadcast(std::int32_t a_width, std::int32_t b_width) {
  if (a_width == b_width) return kBroadcastNone;
  return a_width == 1 ? kBroadcastLeft : kBroadcastRight;
}

// Allocates slots of padded widths; a released slot serves the next register of the same width.
class Slots {
 public:
  std::size_t acquire(std::size_t width) {
    auto& free = free_[width];
    if (free.empty()) {
      free.push_back(floats_);
      floats_ += width;
    }
    const std::size_t offset = free.back();
    free.pop_back();
    return offset;
  }
  void release(std::size_t width, std::size_t offset) { free_[width].push_back(offset); }
  std::size_t floats() const { return floats_; }

 private:
  std::map<std::size_t, std::vector<std::size_t>> free_;
  std::size_t floats_ = 0;
};

// Find the last instruction that reads each register; the number of instructions for the output and the next states.
std::vector<std::int32_t> find_last_reads(const tidegate_recurrent& cell) {
  std::vector<std::int32_t> last(static_cast<std::size_t>(cell.instructions));
  for (std::int32_t i = 0; i < cell.instructions; ++i) {
    const std::int32_t *row = cell.tape + 4 * i, opcode = row[0];
    last[i] = i;
    if (opcode == TIDEGATE_RECUR || opcode == TIDEGATE_PROJECT || opcode >= TIDEGATE_ADD) last[row[2]] = i;
    if (opcode >= TIDEGATE_NEG) last[row[1]] = i;
  }
  last[cell.output] = cell.instructions;
  for (std::int32_t s = 0; s < cell.states; ++s) last[cell.next[s]] = cell.instructions;
  return last;
}

void check_register_count(const std::vector<std::int32_t>& last) {
  const auto count = static_cast<std::int32_t>(last.size());
  for (std::int32_t i = 0; i < count; ++i) {
    const auto live = std::count_if(last.begin(), last.begin() + i, [&](std::int32_t read) { return read >= i; }) + 1;
    if (live > TIDEGATE_MAX_REGISTERS)
      throw ValueError("tape: at most " + std::to_string(TIDEGATE_MAX_REGISTERS) +
                       " registers may be in use at once, instruction " + std::to_string(i) + " needs " +
                       std::to_string(live));
  }
}

}  // namespace

Tape::Tape(const Layer& layer, const tidegate_recurrent& cell) {
  check_tape(cell);
  const std::vector<std::int32_t> last = find_last_reads(cell);
  check_register_count(last);
  const std::size_t H = layer.padded_size(static_cast<std::size_t>(cell.size));
  Slots slots;
  const auto release = [&](std::int32_t r, std::int32_t i) {
    Register& reg = registers[r];
    if (last[r] == i && reg.storage == Storage::kSlot) slots.release(reg.width, reg.index);
  };
  for (std::int32_t i = 0; i < cell.instructions; ++i) {
    const std::int32_t *row = cell.tape + 4 * i, opcode = row[0], a = row[1], b = row[2];
    const std::size_t width = layer.padded_size(static_cast<std::size_t>(cell.widths[i])), index = a;
    switch (opcode) {
      case TIDEGATE_INPUT: registers.push_back({Storage::kInput, index, index * H, H}); continue;
      case TIDEGATE_STATE: registers.push_back({Storage::kState, index, 0, width}); continue;
      case TIDEGATE_PARAM: registers.push_back({Storage::kParam, index, 0, width}); continue;
      case TIDEGATE_CONST: registers.push_back({Storage::kConst, index, 0, width}); continue;
      case TIDEGATE_RECUR: {
        auto group =
            std::find_if(groups.begin(), groups.end(), [&](const MapGroup& g) { return g.operand == b && !g.project; });
        if (group == groups.end()) {
          operations.push_back(
              {nullptr, nullptr, kBroadcastNone, 0, static_cast<std::int32_t>(groups.size()), b, b, i});
          group = groups.insert(groups.end(), {b, false, {}, {}});
        }
        registers.push_back(
            {Storage::kGroup, static_cast<std::size_t>(group - groups.begin()), group->maps.size() * H, H});
        group->maps.push_back(a);
        group->results.push_back(i);
        continue;
      }
      case TIDEGATE_PROJECT:
        operations.push_back({nullptr, nullptr, kBroadcastNone, 0, static_cast<std::int32_t>(groups.size()), b, b, i});
        registers.push_back({Storage::kGroup, groups.size(), 0, width});
        groups.push_back({b, true, {}, {i}});
        continue;
      default: break;
    }
    registers.push_back({Storage::kSlot, slots.acquire(width), 0, width});
    Operation operation = {
        unary_kernel(layer.kernels, opcode), binary_kernel(layer.kernels, opcode), kBroadcastNone, 0, -1, a, a, i};
    if (opcode == TIDEGATE_NORM) operation.norm = static_cast<std::size_t>(cell.widths[i]);
    if (operation.binary) operation.b = b, operation.broadcast = find_broadcast(cell.widths[a], cell.widths[b]);
    operations.push_back(operation);
    release(a, i);
    if (operation.b != a) release(operation.b, i);
    release(i, i);
  }
  slot_floats = slots.floats();
}

}  // namespace tidegate
