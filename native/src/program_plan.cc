// Turns a program into operations on buffers: what runs for all items at once, which products are one, and where each
// value is stored. A buffer is used again when no later operation reads it.
#include <algorithm>
#include <cstring>
#include <map>

#include "program_groups.h"
#include "slots.h"

namespace tidegate {
namespace {

constexpr std::size_t kBlockFloats = 8192;     // the widest register of a block of rows, to stay in the L1 cache
constexpr std::size_t kEarlyFloats = 1 << 18;  // of an item; all items of a chunk take kTileRows times as many

Binary* binary_kernel(const Kernels& kernels, std::int32_t opcode) {
  Binary* const table[] = {kernels.add,     kernels.sub,     kernels.mul, kernels.div,
                           kernels.minimum, kernels.maximum, kernels.less};
  return opcode >= TIDEGATE_OP_ADD ? table[opcode - TIDEGATE_OP_ADD] : nullptr;
}

struct PlanBuilder : ProgramReader {
  const Layer& layer;
  ProgramPlan& plan;
  std::size_t count;
  std::vector<bool> early;               // by register
  std::vector<std::int32_t> reads;       // how many operations and results read it
  std::vector<std::int32_t> owner;       // the register whose slot holds it
  std::vector<std::int32_t> last;        // by owner: the last operation that reads it
  std::map<std::pair<std::int32_t, bool>, std::vector<std::int32_t>> products;  // by operand: one product
  std::vector<std::int32_t> joins;       // the operation that alone joins it to others; -1 if there is none
  std::map<std::size_t, std::size_t> whole_rows;  // by that operation: its slot
  ProgramGroups found;
  bool copies_input = false;
  Slots early_slots, slots;

  PlanBuilder(const Layer& layer, const tidegate_program& program, ProgramPlan& plan)
      : ProgramReader{program}, layer(layer), plan(plan), count(static_cast<std::size_t>(program.operations)),
        early(count), reads(count), owner(count), last(count), joins(count, -1) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::int32_t opcode = row_of(i)[0];
      plan.by_steps = plan.by_steps || opcode == TIDEGATE_OP_STATE || opcode == TIDEGATE_OP_STEPS;
      // These read whole vectors from the middle of a row; those of the input could be past its end.
      const bool has_parts = opcode == TIDEGATE_OP_MEAN || opcode == TIDEGATE_OP_DOT ? row_of(i)[1] > 1 : is_view(i);
      if (has_parts)
        for_operands(i, [&](std::int32_t reg) { copies_input = copies_input || opcode_of(reg) == TIDEGATE_OP_INPUT; });
      early[i] = opcode != TIDEGATE_OP_STATE && opcode != TIDEGATE_OP_STEPS;
      for_operands(i, [&](std::int32_t reg) {
        early[i] = early[i] && early[static_cast<std::size_t>(reg)];
        ++reads[static_cast<std::size_t>(reg)];
      });
    }
    // Blocks of rows suit the cache better than all items; they need less memory too.
    if (!plan.by_steps || count_early_floats() > kEarlyFloats) early.assign(count, false);
    ++reads[static_cast<std::size_t>(program.output)];
    for (std::int32_t s = 0; s < program.states; ++s) ++reads[static_cast<std::size_t>(program.next[s])];
    choose_block();
    find_products();
    found = find_groups(program, reads);
    find_joined();
    find_owners();
    plan.in_place.assign(static_cast<std::size_t>(program.states), false);
    if (plan.block == 1) plan.in_place = find_in_place(program, reads, found, layer.kernels.lanes);
  }

  // How many floats of an item are computed early.
  std::size_t count_early_floats() const {
    std::size_t floats = 0;
    for (std::size_t i = 0; i < count; ++i)
      if (early[i] && row_of(i)[0] != TIDEGATE_OP_TENSOR) floats += static_cast<std::size_t>(row_of(i)[1]);
    return floats;
  }

  void choose_block() {
    std::size_t widest = 1;
    for (std::size_t i = 0; i < count; ++i)
      if (row_of(i)[0] != TIDEGATE_OP_TENSOR && !early[i])
        widest = std::max(widest, layer.padded_size(static_cast<std::size_t>(row_of(i)[1])));
    plan.block = std::max<std::size_t>(1, std::min(kTileRows, kBlockFloats / widest));
  }

  // Products of the same operand are computed together, where the first of them is.
  void find_products() {
    for (std::size_t i = 0; i < count; ++i)
      if (is_product(row_of(i)[0])) products[{row_of(i)[2], early[i]}].push_back(static_cast<std::int32_t>(i));
  }
  const std::vector<std::int32_t>& product_of(std::size_t i) const { return products.at({row_of(i)[2], early[i]}); }

  void find_owners() {
    for (std::size_t i = 0; i < count; ++i) {
      owner[i] = static_cast<std::int32_t>(i);
      if (is_view(i)) owner[i] = owner[static_cast<std::size_t>(row_of(i)[2])];
      if (is_product(row_of(i)[0])) owner[i] = product_of(i).front();
      if (joins[i] >= 0) owner[i] = joins[i];
      last[i] = static_cast<std::int32_t>(i);
    }
    const auto read = [&](std::int32_t reg, std::int32_t i) {
      std::int32_t& end = last[static_cast<std::size_t>(owner[static_cast<std::size_t>(reg)])];
      end = std::max(end, i);
    };
    const auto end = static_cast<std::int32_t>(count);
    for (std::size_t i = 0; i < count; ++i)
      for_operands(i, [&](std::int32_t reg) { read(reg, static_cast<std::int32_t>(i)); });
    for (const auto& [i, group] : found.groups)
      for (const std::int32_t reg : {group.a, group.b}) read(reg, static_cast<std::int32_t>(i));
    // Early values that late operations read stay to the end.
    for (std::size_t i = 0; i < count; ++i)
      if (!early[i] || !plan.by_steps)
        for_operands(i, [&](std::int32_t reg) {
          if (early[static_cast<std::size_t>(reg)]) read(reg, end);
        });
    for (const auto& [i, group] : found.groups)
      for (const std::int32_t reg : {group.a, group.b})
        if (!early[i] && early[static_cast<std::size_t>(reg)]) read(reg, end);
    read(program.output, end);
    for (std::int32_t s = 0; s < program.states; ++s) read(program.next[s], end);
  }

  std::size_t state_row(std::size_t s) const {
    return layer.padded_size(static_cast<std::size_t>(program.state_sizes[s]));
  }

  // Return the state that the register is the next value of; the number of states for none, or for more than one.
  std::size_t state_of(std::size_t i) const {
    const auto reg = static_cast<std::int32_t>(i);
    const auto at = std::find(program.next, program.next + program.states, reg);
    const bool alone = std::count(program.next, program.next + program.states, reg) == 1;
    return static_cast<std::size_t>(alone ? at - program.next : program.states);
  }

  // Late values of whole vectors that are joined, and nothing else, are written where they go.
  void find_joined() {
    for (std::size_t i = 0; i < count; ++i) {
      const std::int32_t* row = row_of(i);
      if (row[0] != TIDEGATE_OP_CONCAT || row[5] != 1 || early[i]) continue;
      for (std::int32_t k = row[2]; k < row[2] + row[3]; ++k) {
        const auto part = static_cast<std::size_t>(program.joined[k]);
        const std::int32_t opcode = row_of(part)[0];
        const bool is_plain = opcode > TIDEGATE_OP_MATMUL && opcode != TIDEGATE_OP_CONCAT && !is_view(part);
        const bool is_whole = size_of(program.joined[k]) % layer.kernels.lanes == 0;
        if (is_plain && is_whole && !early[part] && reads[part] == 1) joins[part] = static_cast<std::int32_t>(i);
      }
    }
  }

  // Whether a late operation's result is the output alone. What is read again stays in a slot: kernels read whole
  // vectors, which could be past the end of the caller's array.
  bool is_output_alone(std::size_t i) const {
    return !early[i] && static_cast<std::int32_t>(i) == program.output && reads[i] == 1;
  }

  ProgramRegister allocate(std::size_t i, std::size_t row, std::size_t size) {
    if (early[i]) return {Storage::kEarly, early_slots.acquire(row * kTileRows), 0, row, size};
    return {Storage::kSlot, slots.acquire(row * plan.block), 0, row, size};
  }

  ProgramRegister place(std::size_t i) {
    const std::int32_t* row = row_of(i);
    const auto size = static_cast<std::size_t>(row[1]), a = static_cast<std::size_t>(row[2]);
    switch (row[0]) {
      case TIDEGATE_OP_INPUT:
        if (copies_input) break;
        return {Storage::kInput, 0, 0, 0, size};
      case TIDEGATE_OP_STATE:
        if (plan.in_place[a]) return {Storage::kBlock, a, 0, 0, size};
        return {Storage::kState, a, 0, state_row(a), size};
      case TIDEGATE_OP_TENSOR: return {Storage::kTensor, a, static_cast<std::size_t>(row[3]), 0, size};
      case TIDEGATE_OP_CONST: return {Storage::kConst, a, 0, 0, size};
      case TIDEGATE_OP_PART: {
        if (!is_view(i)) break;
        ProgramRegister part = plan.registers[a];
        part.offset += static_cast<std::size_t>(row[7]);
        part.size = size;
        return part;
      }
      case TIDEGATE_OP_AFFINE:
      case TIDEGATE_OP_MATMUL: return place_product(i, size);
      default: break;
    }
    if (is_output_alone(i)) return {Storage::kOut, 0, 0, layer.padded_size(size), size};
    if (joins[i] >= 0) return place_part(i, size);
    const std::size_t s = early[i] ? static_cast<std::size_t>(program.states) : state_of(i);
    if (s < static_cast<std::size_t>(program.states) && plan.in_place[s]) return {Storage::kBlock, s, 0, 0, size};
    if (s < static_cast<std::size_t>(program.states)) return {Storage::kSpare, s, 0, layer.padded_size(size), size};
    if (const auto whole = whole_rows.find(i); whole != whole_rows.end())
      return {Storage::kSlot, whole->second, 0, layer.padded_size(size), size};
    return allocate(i, layer.padded_size(size), size);
  }

  // The place of a part in the row that it is joined to.
  ProgramRegister place_part(std::size_t i, std::size_t size) {
    const auto whole = static_cast<std::size_t>(joins[i]);
    const std::int32_t* row = row_of(whole);
    std::size_t offset = 0;
    for (std::int32_t k = row[2]; program.joined[k] != static_cast<std::int32_t>(i); ++k)
      offset += size_of(program.joined[k]);
    const std::size_t floats = layer.padded_size(static_cast<std::size_t>(row[1]));
    if (is_output_alone(whole)) return {Storage::kOut, 0, offset, floats, size};
    if (!whole_rows.count(whole)) whole_rows[whole] = slots.acquire(floats * plan.block);
    return {Storage::kSlot, whole_rows[whole], offset, floats, size};
  }

  ProgramRegister place_product(std::size_t i, std::size_t size) {
    const auto& parts = product_of(i);
    std::size_t row = 0, offset = 0;
    for (const std::int32_t part : parts) {
      if (part == static_cast<std::int32_t>(i)) offset = row;
      row += layer.padded_size(size_of(part));
    }
    if (parts.size() == 1 && is_output_alone(i)) return {Storage::kOut, 0, 0, row, size};
    if (offset) {
      const ProgramRegister& first = plan.registers[static_cast<std::size_t>(parts[0])];
      return {first.storage, first.index, offset, row, size};
    }
    return allocate(i, row, size);
  }

  void pack(std::size_t i) {
    const auto& parts = product_of(i);
    const std::size_t depth = size_of(row_of(i)[2]);
    std::vector<float> weights, bias;
    std::vector<std::int64_t> order;
    for (const std::int32_t part : parts) {
      const std::int32_t *row = row_of(static_cast<std::size_t>(part)), *W = row_of(static_cast<std::size_t>(row[3]));
      const std::size_t outputs = size_of(part), first = bias.size();
      const float* const from = program.tensors[W[2]] + W[3];
      weights.insert(weights.end(), from, from + outputs * depth);
      bias.resize(first + outputs);
      if (row[0] == TIDEGATE_OP_AFFINE) {
        const std::int32_t* b = row_of(static_cast<std::size_t>(row[4]));
        std::copy_n(program.tensors[b[2]] + b[3], outputs, bias.begin() + static_cast<std::ptrdiff_t>(first));
      }
      for (std::size_t j = 0; j < layer.padded_size(outputs); ++j)
        order.push_back(j < outputs ? static_cast<std::int64_t>(first + j) : -1);
      plan.work += depth * outputs;
    }
    plan.matrices.emplace_back(layer.kernels, depth, order, weights.data(), bias.data());
  }

  // An embed layer before this one can be merged into a product that alone reads the input.
  void find_input_product(std::size_t i) {
    const auto input = static_cast<std::size_t>(row_of(i)[2]);
    if (opcode_of(row_of(i)[2]) != TIDEGATE_OP_INPUT || copies_input) return;
    std::size_t inputs = 0;
    for (std::size_t k = 0; k < count; ++k) inputs += row_of(k)[0] == TIDEGATE_OP_INPUT;
    const auto readers = static_cast<std::int32_t>(product_of(i).size());
    if (inputs == 1 && reads[input] == readers) plan.input_product = static_cast<std::int32_t>(plan.matrices.size());
  }

  void add(std::size_t i) {
    const std::int32_t *row = row_of(i), opcode = row[0];
    const ProgramRegister nowhere = {Storage::kConst, 0, 0, 0, static_cast<std::size_t>(row[1])};
    plan.registers.push_back(found.merged[i] ? nowhere : place(i));
    const bool leaf = opcode == TIDEGATE_OP_STATE || opcode == TIDEGATE_OP_TENSOR || opcode == TIDEGATE_OP_CONST ||
                      (opcode == TIDEGATE_OP_INPUT && !copies_input);
    const bool later_product = is_product(opcode) && product_of(i).front() != static_cast<std::int32_t>(i);
    if (!leaf && !found.merged[i] && !is_view(i) && !later_product)
      (early[i] ? plan.early : plan.late).push_back(make(i));
    for (std::size_t reg = 0; reg <= i; ++reg) {
      const ProgramRegister& r = plan.registers[reg];
      if (owner[reg] != static_cast<std::int32_t>(reg) || last[reg] != static_cast<std::int32_t>(i)) continue;
      if (found.merged[reg]) continue;
      if (r.storage == Storage::kSlot) slots.release(r.row * plan.block, r.index);
      if (r.storage == Storage::kEarly) early_slots.release(r.row * kTileRows, r.index);
    }
  }

  ProgramOperation make(std::size_t i) {
    const std::int32_t *row = row_of(i), opcode = row[0];
    const auto as_size = [](std::int32_t value) { return static_cast<std::size_t>(value); };
    // Of the fields that an operation does not take, none is used: they may hold anything.
    const bool has_third = opcode == TIDEGATE_OP_SELECT || opcode == TIDEGATE_OP_BAG;
    const bool has_second =
        has_third || opcode == TIDEGATE_OP_TAKE || opcode == TIDEGATE_OP_CONCAT || reads_second(opcode);
    ProgramOperation op = {opcode, row[2], has_second ? row[3] : row[2], has_third ? row[4] : row[2],
                           static_cast<std::int32_t>(i), as_size(row[5]), as_size(row[6]), as_size(row[7]),
                           unary_kernel(layer.kernels, opcode), binary_kernel(layer.kernels, opcode), kBroadcastNone,
                           plan.matrices.size()};
    if (op.binary) {
      const std::size_t a = size_of(row[2]), b = size_of(row[3]);
      op.broadcast = a == b ? kBroadcastNone : a == 1 ? kBroadcastLeft : kBroadcastRight;
    }
    if (opcode >= TIDEGATE_OP_EXPAND && opcode <= TIDEGATE_OP_MEAN && opcode != TIDEGATE_OP_CONCAT) op.b = op.a;
    if (is_product(opcode)) {
      find_input_product(i);
      pack(i);
    }
    if (opcode == TIDEGATE_OP_CONCAT) {
      op.a = static_cast<std::int32_t>(plan.joined.size());
      plan.joined.insert(plan.joined.end(), program.joined + row[2], program.joined + row[2] + row[3]);
    }
    if (const auto at = found.groups.find(i); at != found.groups.end()) {
      const ProgramGroup& group = at->second;
      op.opcode = group.opcode, op.a = group.a, op.b = group.b, op.unary = nullptr, op.binary = nullptr;
      op.p = as_size(group.p), op.q = as_size(group.q), op.r = as_size(group.r);
    }
    plan.work += as_size(row[1]) * (opcode == TIDEGATE_OP_DOT || opcode == TIDEGATE_OP_MEAN ? op.q : 1);
    return op;
  }

  // Find the registers that operations read or write: the others need no place.
  void find_used() {
    std::vector<bool> used(count);
    const auto mark = [&](std::int32_t reg) { used[static_cast<std::size_t>(reg)] = true; };
    for (const auto* operations : {&plan.early, &plan.late})
      for (const ProgramOperation& op : *operations) {
        mark(op.result);
        if (op.opcode == kNorm) mark(static_cast<std::int32_t>(op.p)), mark(static_cast<std::int32_t>(op.q));
        if (const auto group = found.groups.find(static_cast<std::size_t>(op.result)); group != found.groups.end())
          mark(group->second.a), mark(group->second.b);
        else
          for_operands(static_cast<std::size_t>(op.result), mark);
      }
    mark(program.output);
    for (std::int32_t s = 0; s < program.states; ++s) mark(program.next[s]);
    for (std::size_t i = 0; i < count; ++i)
      if (used[i]) plan.used.push_back(i);
  }

  // Copy the tensors that operations read; what only products read is packed already. The tables in them are rounded
  // where matrices are.
  void copy_tensors() {
    std::vector<bool> used(static_cast<std::size_t>(program.tensors_count));
    const auto use = [&](std::int32_t reg) {
      const ProgramRegister& r = plan.registers[static_cast<std::size_t>(reg)];
      if (r.storage == Storage::kTensor) used[r.index] = true;
    };
    for (std::size_t i = 0; i < count; ++i) for_operands(i, use);
    use(program.output);
    for (std::int32_t s = 0; s < program.states; ++s) use(program.next[s]);
    for (std::size_t t = 0; t < used.size(); ++t) {
      const auto floats = used[t] ? static_cast<std::size_t>(program.tensor_sizes[t]) : 0;
      plan.tensors.emplace_back(floats);
      if (floats) std::copy_n(program.tensors[t], floats, plan.tensors.back().data());
    }
    for (std::size_t i = 0; layer.kernels.precision != kFloat32 && i < count; ++i) {
      const std::int32_t opcode = row_of(i)[0];
      if (opcode != TIDEGATE_OP_TAKE && opcode != TIDEGATE_OP_BAG) continue;
      const ProgramRegister& table = plan.registers[static_cast<std::size_t>(row_of(i)[2])];
      float* const first = plan.tensors[table.index].data() + table.offset;
      std::transform(first, first + table.size, first, [](float value) { return from_bf16(to_bf16(value)); });
    }
  }
};

}  // namespace

ProgramPlan::ProgramPlan(const Layer& layer, const tidegate_program& program) {
  for (std::int32_t i = 0; i < program.consts_count; ++i) {
    consts.emplace_back(layer.padded_size(1));
    std::fill_n(consts.back().data(), layer.padded_size(1), program.consts[i]);
  }
  if (consts.empty()) consts.emplace_back(layer.padded_size(1));  // where the registers of merged operations point
  PlanBuilder builder(layer, program, *this);
  for (std::size_t i = 0; i < builder.count; ++i) builder.add(i);
  builder.copy_tensors();
  builder.find_used();
  early_floats = builder.early_slots.total();
  slot_floats = builder.slots.total();
}

}  // namespace tidegate
