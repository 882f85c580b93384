#include "tape.h"

namespace fuzz {
namespace {

constexpr std::int32_t kGru[][3] = {
    {TIDEGATE_INPUT, 0, 0}, {TIDEGATE_STATE, 0, 0}, {TIDEGATE_RECUR, 0, 1}, {TIDEGATE_ADD, 0, 2},
    {TIDEGATE_SIGMOID, 3, 0}, {TIDEGATE_INPUT, 1, 0}, {TIDEGATE_RECUR, 1, 1}, {TIDEGATE_ADD, 5, 6},
    {TIDEGATE_SIGMOID, 7, 0}, {TIDEGATE_INPUT, 2, 0}, {TIDEGATE_RECUR, 2, 1}, {TIDEGATE_MUL, 4, 10},
    {TIDEGATE_ADD, 9, 11}, {TIDEGATE_TANH, 12, 0}, {TIDEGATE_SUB, 1, 13}, {TIDEGATE_MUL, 8, 14},
    {TIDEGATE_ADD, 13, 15}};

// Return the length of an array with this count; 0 if the count is not allowed.
std::size_t array_length(std::int32_t count) {
  return count < 0 || count > TIDEGATE_MAX_INSTRUCTIONS ? 0 : static_cast<std::size_t>(count);
}

}  // namespace

Cell::Cell(Input& in, std::int64_t inputs, const std::function<std::int32_t(std::int64_t)>& reserve_state)
    : size(in.size(1 + in.below(40))), in_(in), inputs_(inputs) {
  const bool gru_tape = in.once_in(3);
  project = gru_tape || !in.once_in(3) ? in.maybe_hostile(0) : in.size(1 + in.below(20));
  if (project > kMaxSize && project <= TIDEGATE_MAX_SIZE) throw Skip();
  gates_ = in.maybe_hostile32(gru_tape ? 3 : 1 + in.below(3));
  maps_ = in.maybe_hostile32(gru_tape ? 3 : in.below(4));
  states_ = in.maybe_hostile32(gru_tape ? 1 : in.below(3));
  params_count_ = in.maybe_hostile32(gru_tape ? 0 : in.below(3));
  consts_count_ = in.maybe_hostile32(gru_tape ? 0 : in.below(3));
  choose_sizes(reserve_state);
  if (gru_tape)
    append_gru();
  else
    append_instructions(in);
  for (std::int32_t& field : tape_) field = in.maybe_hostile32(field);
  for (std::int32_t& width : widths_) width = in.maybe_hostile32(width);
  // The arrays have the length that the count says, whatever it became.
  count_ = in.maybe_hostile32(static_cast<std::int64_t>(widths_.size()));
  widths_.resize(array_length(count_));
  tape_.resize(4 * widths_.size());
  output_ = in.maybe_hostile32(output_);
  for (std::int32_t& reg : next_) reg = in.maybe_hostile32(reg);
  W_ = in.floats(gates_, size, inputs_), b_ = in.floats(gates_, size);
  R_ = in.floats(maps_, size, outputs()), c_ = in.floats(maps_, size);
  Q_ = in.floats(project, size);
}

void Cell::choose_sizes(const std::function<std::int32_t(std::int64_t)>& reserve_state) {
  for (std::size_t s = 0; s < array_length(states_); ++s) {
    const std::int64_t own = states_ == 1 || in_.once_in(2) ? outputs() : 1 + in_.below(20);
    state_sizes_.push_back(static_cast<std::int32_t>(in_.size(own)));
    offsets_.push_back(reserve_state(state_sizes_.back()));
  }
  std::size_t total = 0;
  for (std::size_t p = 0; p < array_length(params_count_); ++p) {
    param_sizes_.push_back(static_cast<std::int32_t>(in_.size(in_.once_in(2) ? size : 1)));
    total += in_.floats(param_sizes_.back()).size();
  }
  params_ = in_.floats(static_cast<std::int64_t>(total));
  consts_ = in_.floats(static_cast<std::int64_t>(array_length(consts_count_)));
}

void Cell::append(std::int32_t opcode, std::int32_t a, std::int32_t b, std::int64_t width) {
  tape_.insert(tape_.end(), {opcode, a, b, 0});
  widths_.push_back(static_cast<std::int32_t>(width));
}

void Cell::append_gru() {
  for (const auto& row : kGru) append(row[0], row[1], row[2], size);
  output_ = 16, next_.assign(array_length(states_), 16);
}

std::int32_t Cell::find_register(std::int64_t width, std::int32_t from) const {
  const auto count = static_cast<std::int32_t>(widths_.size());
  for (std::int32_t i = 0; i < count; ++i)
    if (const std::int32_t r = (from + i) % count; widths_[r] == width) return r;
  return -1;
}

void Cell::append_instructions(Input& in) {
  append(TIDEGATE_INPUT, static_cast<std::int32_t>(in.below(3)) % (gates_ > 0 ? gates_ : 1), 0, size);
  const std::int64_t more = in.once_in(16) ? in.below(256) : in.below(24);
  for (std::int64_t i = 0; i < more; ++i) append_random(in);
  choose_outputs(in);
}

// Append one random instruction, with operands that fit if there are any.
void Cell::append_random(Input& in) {
  const auto opcode = static_cast<std::int32_t>(in.below(TIDEGATE_OPCODES));
  const auto which = static_cast<std::int32_t>(in.below(256)), count = static_cast<std::int32_t>(widths_.size());
  const auto leaf = [&](const std::vector<std::int32_t>& of) {
    if (!of.empty()) append(opcode, which % static_cast<std::int32_t>(of.size()), 0, of[which % of.size()]);
  };
  switch (opcode) {
    case TIDEGATE_INPUT:
      if (gates_ > 0) append(opcode, which % gates_, 0, size);
      return;
    case TIDEGATE_STATE: return leaf(state_sizes_);
    case TIDEGATE_PARAM: return leaf(param_sizes_);
    case TIDEGATE_CONST: return leaf(std::vector<std::int32_t>(consts_.size(), 1));
    case TIDEGATE_RECUR:
      if (const std::int32_t r = find_register(outputs(), which); maps_ > 0 && r >= 0)
        append(opcode, which % maps_, r, size);
      return;
    case TIDEGATE_PROJECT:
      if (const std::int32_t r = find_register(size, which); project && r >= 0) append(opcode, 0, r, project);
      return;
    default: break;
  }
  const std::int32_t a = which % count, wide = widths_[a];
  if (opcode < TIDEGATE_ADD) return append(opcode, a, 0, wide);
  const std::int32_t one_wide = find_register(1, which), same = find_register(wide, a + 1);
  const std::int32_t b = in.once_in(3) && one_wide >= 0 ? one_wide : same;
  append(opcode, a, b, wide == 1 ? widths_[b] : wide);
}

// Choose registers for the output and the next states; append instructions where none fits.
void Cell::choose_outputs(Input& in) {
  const auto from = static_cast<std::int32_t>(in.below(256));
  if (find_register(outputs(), from) < 0) append(TIDEGATE_PROJECT, 0, 0, project);
  output_ = find_register(outputs(), from);
  for (std::size_t s = 0; s < state_sizes_.size(); ++s) {
    if (find_register(state_sizes_[s], from) < 0)
      append(TIDEGATE_STATE, static_cast<std::int32_t>(s), 0, state_sizes_[s]);
    next_.push_back(find_register(state_sizes_[s], from));
  }
}

tidegate_recurrent Cell::as_struct() const {
  return {inputs_, size, project, count_, output_, tape_.data(), widths_.data(),
          consts_count_, consts_.data(), gates_, maps_, states_, params_count_,
          W_.data(), b_.data(), R_.data(), c_.data(), Q_.data(), next_.data(),
          offsets_.data(), state_sizes_.data(), params_.data(), param_sizes_.data()};
}

}  // namespace fuzz
