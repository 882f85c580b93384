#include "engine_pair.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "program.h"
#include "tape.h"

namespace fuzz {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: this invariant is violated: %s\n", what);
  std::abort();
}

tidegate_status call_checked(Input& in, const std::function<tidegate_status(char*, std::size_t)>& call) {
  const std::size_t capacities[] = {TIDEGATE_MESSAGE, 0, 1, 7};
  const std::size_t capacity = capacities[in.once_in(8) ? in.below(4) : 0];
  std::vector<char> message(capacity, '?');
  const tidegate_status status = call(message.data(), capacity);
  require(status != TIDEGATE_INTERNAL, "no call returns an internal error");
  if (status != TIDEGATE_OK && capacity > 0) {
    require(std::memchr(message.data(), 0, capacity) != nullptr, "a message is terminated");
    require(capacity == 1 || message[0] != 0, "a message is not empty");
  }
  return status;
}

// Return a * b if both are valid sizes, else 0.
static std::int64_t product(std::int64_t a, std::int64_t b) {
  const auto allowed = [](std::int64_t n) { return n >= 1 && n <= TIDEGATE_MAX_SIZE; };
  return allowed(a) && allowed(b) ? a * b : 0;
}

EnginePair::EnginePair(Input& in) : in_(in), width_(1 + in.below(20)) {
  const auto precision = static_cast<std::int32_t>(in.once_in(64) ? in.below(256) : in.below(TIDEGATE_PRECISIONS));
  const char* names[] = {tidegate_target_in(precision, static_cast<int>(in.below(6))), "none", ""};
  const char* name = names[in.once_in(32) ? 1 + in.below(2) : 0];
  if (!name) name = tidegate_target(0);
  const std::int64_t words = in.once_in(4) ? in.below(256) : in.once_in(4) ? 4095 : 255;
  const std::int64_t bytes = in.maybe_hostile(8 * (1 + words));
  if (bytes > kMaxBytes && bytes <= TIDEGATE_MAX_STATE_BYTES) throw Skip();
  for (tidegate_engine** engine : {&fused, &plain})
    call_checked(in, [&](char* m, std::size_t n) {
      return tidegate_open_in(precision, name, bytes, engine == &fused, engine, m, n);
    });
  require(!fused == !plain, "both engines open, or neither");
}

EnginePair::~EnginePair() {
  tidegate_close(fused);
  tidegate_close(plain);
}

bool EnginePair::call_both(const std::function<tidegate_status(tidegate_engine*, char*, std::size_t)>& call) {
  tidegate_status status[2];
  int i = 0;
  for (tidegate_engine* engine : {fused, plain}) {
    const tidegate_info before = tidegate_get_info(engine);
    status[i] = call_checked(in_, [&](char* m, std::size_t n) { return call(engine, m, n); });
    const tidegate_info after = tidegate_get_info(engine);
    require(status[i++] == TIDEGATE_OK || (before.layers == after.layers && before.finished == after.finished),
            "a refused call does not change the engine");
  }
  require(status[0] == status[1], "both engines accept a call, or neither");
  return status[0] == TIDEGATE_OK;
}

bool EnginePair::finish() {
  const bool done = call_both([](tidegate_engine* e, char* m, std::size_t n) { return tidegate_finish(e, m, n); });
  if (done)
    require(!call_both([](tidegate_engine* e, char* m, std::size_t n) { return tidegate_add_softmax(e, 1, -1, m, n); }),
            "a finished engine takes no more layers");
  return done;
}

std::int32_t EnginePair::reserve_state(std::int64_t floats) {
  const std::int64_t at = next_;
  if (floats > 0 && floats <= TIDEGATE_MAX_SIZE) next_ += 4 * floats;
  return in_.maybe_hostile32(at);
}

int EnginePair::pick_residual(std::int64_t width) {
  int picked = -1;
  for (std::size_t i = 0; i < widths_.size(); ++i)
    if (widths_[i] == width && in_.once_in(2)) picked = static_cast<int>(i);
  return in_.maybe_hostile32(picked);
}

void EnginePair::add() {
  const std::int64_t kind = in_.below(12);
  if (widths_.empty() && in_.once_in(2)) return in_.once_in(4) ? program(in_.maybe_hostile(1 + in_.below(3))) : embed();
  switch (kind) {
    case 0: return embed();
    case 1: return dense();
    case 2: return conv();
    case 3: return norm();
    case 4: return pool();
    case 5: return softmax();
    case 6: return scale();
    case 7:
    case 8:
    case 9: return program(0);
    default: return recurrent();
  }
}

void EnginePair::embed() {
  const std::int64_t rows = in_.size(1 + in_.below(40)), size = in_.size(width_);
  const std::int64_t ids = in_.once_in(2) ? 1 : in_.maybe_hostile(1 + in_.below(4));
  const std::vector<float> weight = in_.floats(rows, size);
  const int add = pick_residual(width_);
  if (!call_both([&](tidegate_engine* e, char* m, std::size_t n) {
        return tidegate_add_embed(e, rows, size, ids, weight.data(), add, m, n);
      }))
    return;
  if (widths_.empty()) this->rows = rows;
  widths_.push_back(width_ = size);
}

void EnginePair::dense() {
  const std::int64_t inputs = in_.size(width_), size = in_.size(1 + in_.below(40));
  const std::vector<float> weight = in_.floats(size, inputs), bias = in_.floats(size);
  const std::int32_t activation = in_.maybe_hostile32(in_.below(in_.once_in(32) ? 8 : 4));
  const int add = pick_residual(size);
  if (call_both([&](tidegate_engine* e, char* m, std::size_t n) {
        return tidegate_add_dense(e, inputs, size, weight.data(), bias.data(), activation, add, m, n);
      }))
    widths_.push_back(width_ = size);
}

void EnginePair::conv() {
  const std::int64_t inputs = in_.size(width_), size = in_.size(1 + in_.below(20)), width = in_.size(1 + in_.below(6));
  const std::vector<float> weight = in_.floats(size, inputs, width), bias = in_.floats(size);
  const std::int32_t activation = in_.maybe_hostile32(in_.below(in_.once_in(32) ? 8 : 4));
  const std::int64_t ahead = in_.once_in(3) ? in_.maybe_hostile(width > 1 ? in_.below(6) % width : 0) : 0;
  const std::int32_t past = width < 2 ? in_.maybe_hostile32(-1) : reserve_state(product(inputs, width - 1));
  const int add = pick_residual(size);
  if (call_both([&](tidegate_engine* e, char* m, std::size_t n) {
        return tidegate_add_conv(e, inputs, size, width, ahead, weight.data(), bias.data(), activation, past, add, m,
                                 n);
      }))
    widths_.push_back(width_ = size);
}

void EnginePair::norm() {
  const std::int64_t size = in_.size(width_);
  const std::vector<float> gain = in_.floats(size), bias = in_.floats(size), eps = in_.floats(1);
  const int add = pick_residual(size);
  if (call_both([&](tidegate_engine* e, char* m, std::size_t n) {
        return tidegate_add_norm(e, size, gain.data(), bias.data(), eps[0], add, m, n);
      }))
    widths_.push_back(width_ = size);
}

void EnginePair::scale() {
  const std::int64_t size = in_.size(width_);
  const std::vector<float> mean = in_.floats(size), deviation = in_.floats(size);
  const int add = pick_residual(size);
  if (call_both([&](tidegate_engine* e, char* m, std::size_t n) {
        return tidegate_add_scale(e, size, mean.data(), deviation.data(), add, m, n);
      }))
    widths_.push_back(width_ = size);
}

void EnginePair::recurrent() {
  const Cell cell(in_, in_.size(width_), [this](std::int64_t floats) { return reserve_state(floats); });
  const tidegate_recurrent arguments = cell.as_struct();
  const std::int64_t size = cell.project ? cell.project : cell.size;
  const int add = pick_residual(size);
  if (call_both(
          [&](tidegate_engine* e, char* m, std::size_t n) { return tidegate_add_recurrent(e, &arguments, add, m, n); }))
    widths_.push_back(width_ = size);
}

void EnginePair::program(std::int64_t ids) {
  const std::int64_t inputs = in_.size(ids ? 1 + in_.below(40) : width_);
  const Program program(in_, inputs, ids, [this](std::int64_t floats) { return reserve_state(floats); });
  const int add = pick_residual(program.width());
  if (!call_both([&](tidegate_engine* e, char* m, std::size_t n) {
        const tidegate_program arguments = program.as_struct(e == plain);
        return tidegate_add_program(e, &arguments, add, m, n);
      }))
    return;
  if (widths_.empty() && ids) rows = inputs;
  widths_.push_back(width_ = program.width());
}

void EnginePair::pool() {
  const std::int64_t size = in_.size(width_);
  const std::int32_t items = in_.maybe_hostile32(1 + in_.below(4));
  if (items > 256 && items <= TIDEGATE_MAX_SIZE) throw Skip();
  std::vector<std::int32_t> over, offsets;
  bool attention = false;
  for (std::int32_t i = 0; i < (items > 256 ? 0 : items); ++i) {
    over.push_back(in_.maybe_hostile32(in_.below(in_.once_in(32) ? 8 : 4)));
    attention = attention || over.back() == TIDEGATE_ATTENTION;
    const std::int64_t floats = over.back() == TIDEGATE_ATTENTION ? product(size, 1) + 2 : size;
    offsets.push_back(over.back() == TIDEGATE_LAST ? in_.maybe_hostile32(-1) : reserve_state(floats));
  }
  const std::vector<float> score = in_.floats(size), bias = in_.floats(1);
  const bool scored = attention != in_.once_in(32);
  const int add = pick_residual(product(size, items));
  if (call_both([&](tidegate_engine* e, char* m, std::size_t n) {
        return tidegate_add_pool(e, size, items, over.data(), offsets.data(), scored ? score.data() : nullptr, bias[0],
                                 add, m, n);
      }))
    widths_.push_back(width_ = product(size, items));
}

void EnginePair::softmax() {
  const std::int64_t size = in_.size(width_);
  const int add = pick_residual(size);
  if (call_both([&](tidegate_engine* e, char* m, std::size_t n) { return tidegate_add_softmax(e, size, add, m, n); }))
    widths_.push_back(width_ = size);
}

}  // namespace fuzz
