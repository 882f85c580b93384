#include "engine_pair.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>


namespace fuzz {
namespace {

constexpr std::int32_t kInput = -1;  // the engine's

}  // namespace

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

EnginePair::EnginePair(Input& in) : in_(in), width_(1 + in.below(20)), takes_ids_(in.once_in(2)) {
  precision_ = static_cast<std::int32_t>(in.once_in(64) ? in.below(256) : in.below(TIDEGATE_PRECISIONS));
  const char* names[] = {tidegate_target_in(precision_, static_cast<int>(in.below(6))), "none", ""};
  target_ = names[in.once_in(32) ? 1 + in.below(2) : 0];
  if (!target_) target_ = tidegate_target(0);
  const std::int64_t words = in.once_in(4) ? in.below(256) : in.once_in(2) ? 4095 : 1023;
  bytes_ = in.maybe_hostile(8 * (1 + words));
  if (bytes_ > kMaxBytes && bytes_ <= TIDEGATE_MAX_STATE_BYTES) throw Skip();
  for (tidegate_engine** engine : {&fused, &plain})
    call_checked(in, [&](char* m, std::size_t n) {
      return tidegate_open_in(precision_, target_, bytes_, engine == &fused, engine, m, n);
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
  // A kernel never sees a weight that nothing needs, and that bfloat16 cannot hold.
  if (status[0] == TIDEGATE_OK && status[1] != TIDEGATE_OK && precision_ != TIDEGATE_FLOAT32) throw Skip();
  require(status[0] == status[1], "both engines accept a call, or neither");
  return status[0] == TIDEGATE_OK;
}

static tidegate_node as_struct(const Node& node, bool plain) {
  tidegate_node arguments = {};
  arguments.program = node.program.as_struct(plain);
  arguments.sources = node.sources.data(), arguments.source_count = static_cast<std::int32_t>(node.sources.size());
  arguments.add = node.add, arguments.first_column = node.first_column;
  return arguments;
}

bool EnginePair::finish() {
  for (std::vector<std::int32_t> unread = find_unread(); unread.size() > 1; unread = find_unread()) {
    std::int64_t latest = 0;
    for (const std::int32_t i : unread) latest = std::max(latest, delay_of(i));
    const auto late = std::find_if(unread.begin(), unread.end(), [&](std::int32_t i) { return delay_of(i) < latest; });
    const std::size_t before = nodes.size();
    if (late == unread.end()) {
      join(unread);
    } else {
      const std::int64_t missing = latest - delay_of(*late);
      if (missing > TIDEGATE_MAX_LOOK_AHEAD || width_of(*late) * missing > kMaxSize) throw Skip();
      const auto reserve = [this](std::int64_t floats) { return reserve_state(floats); };
      Program delay = Program::make_delay(in_, width_of(*late), missing, reserve);
      add_node({std::move(delay), {*late}, -1, 0, latest});
    }
    if (nodes.size() == before) break;  // a field was hostile
  }
  const bool done = call_both([](tidegate_engine* e, char* m, std::size_t n) { return tidegate_finish(e, m, n); });
  if (!done) return false;
  const tidegate_node first = as_struct(nodes[0], false);
  require(!call_both([&](tidegate_engine* e, char* m, std::size_t n) { return tidegate_add(e, &first, m, n); }),
          "a finished engine takes no more layers");
  return true;
}

tidegate_engine* EnginePair::open_alone(const Node& node) const {
  tidegate_engine* engine = nullptr;
  const Node alone = {node.program, {}, -1, 0, 0};
  const tidegate_node arguments = as_struct(alone, false);
  require(tidegate_open_in(precision_, target_, bytes_, 1, &engine, nullptr, 0) == TIDEGATE_OK &&
              tidegate_add(engine, &arguments, nullptr, 0) == TIDEGATE_OK &&
              tidegate_finish(engine, nullptr, 0) == TIDEGATE_OK,
          "each layer of a graph makes an engine of its own");
  return engine;
}

std::int32_t EnginePair::reserve_state(std::int64_t floats) {
  const std::int64_t at = next_;
  if (floats > 0 && floats <= TIDEGATE_MAX_SIZE) next_ += 4 * floats;
  return in_.maybe_hostile32(at);
}

std::int32_t EnginePair::pick_residual(std::int64_t width, std::int64_t late) {
  std::int32_t picked = -1;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].program.width() == width && nodes[i].late == late && in_.once_in(2))
      picked = static_cast<std::int32_t>(i);
  return in_.maybe_hostile32(picked);
}

std::int64_t EnginePair::width_of(std::int32_t source) const {
  return source < 0 ? width_ : nodes[static_cast<std::size_t>(source)].program.width();
}
std::int64_t EnginePair::delay_of(std::int32_t source) const {
  return source < 0 ? 0 : nodes[static_cast<std::size_t>(source)].late;
}

std::vector<std::int32_t> EnginePair::find_unread() const {
  std::vector<std::int32_t> unread;
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(nodes.size()); ++i) {
    bool read = false;
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      const Node& node = nodes[k];
      read = read || node.add == i || std::count(node.sources.begin(), node.sources.end(), i) > 0 ||
             (node.sources.empty() && static_cast<std::int32_t>(k) == i + 1 && !node.program.ids);
    }
    if (!read) unread.push_back(i);
  }
  return unread;
}

// Mostly the node before, or any other; or several, which are equally late.
std::vector<std::int32_t> EnginePair::pick_sources() {
  const auto last = static_cast<std::int32_t>(nodes.size()) - 1;
  if (in_.once_in(2)) return {};
  std::vector<std::int32_t> all;
  for (std::int32_t i = takes_ids_ ? 0 : kInput; i <= last; ++i) all.push_back(i);
  const auto any = [&] { return all[static_cast<std::size_t>(in_.below(256)) % all.size()]; };
  std::vector<std::int32_t> sources = {any()};
  for (std::int64_t left = in_.below(4); left > 0; --left)
    if (const std::int32_t more = any(); delay_of(more) == delay_of(sources[0])) sources.push_back(more);
  if (in_.once_in(64)) sources.push_back(in_.maybe_hostile32(any()));
  return sources;
}

void EnginePair::add_node(Node node) {
  if (!call_both([&](tidegate_engine* e, char* m, std::size_t n) {
        const tidegate_node arguments = as_struct(node, e == plain);
        return tidegate_add(e, &arguments, m, n);
      }))
    return;
  for (std::int64_t k = 0; k < node.program.ids; ++k) {
    const auto column = static_cast<std::size_t>(node.first_column + k);
    if (column >= rows.size()) rows.resize(column + 1, INT32_MAX), skips.resize(column + 1, true);
    rows[column] = std::min(rows[column], node.program.inputs);
    skips[column] = skips[column] && !node.program.takes(k);
  }
  nodes.push_back(std::move(node));
}

void EnginePair::add_ids() {
  const std::int64_t ids = in_.maybe_hostile(1 + in_.below(3)), inputs = in_.size(1 + in_.below(40));
  Program program(in_, inputs, ids, in_.once_in(2), [this](std::int64_t floats) { return reserve_state(floats); });
  const std::int64_t column = in_.maybe_hostile(in_.once_in(2) ? 0 : in_.below(4)), late = program.ahead;
  if (column > 4096 && column <= TIDEGATE_MAX_SIZE) throw Skip();
  const std::int32_t add = pick_residual(program.width(), late);
  std::vector<std::int32_t> sources = {kInput};
  if (nodes.empty() && in_.once_in(2)) sources.clear();
  add_node({std::move(program), sources, add, column, late});
}

void EnginePair::join(const std::vector<std::int32_t>& sources) {
  std::int64_t inputs = 0;
  for (const std::int32_t source : sources) inputs += width_of(source);
  if (sources.empty()) inputs = nodes.empty() ? width_ : nodes.back().program.width();
  const std::int64_t late = sources.empty() ? nodes.empty() ? 0 : nodes.back().late : delay_of(sources[0]);
  if (inputs > 600) throw Skip();
  const auto reserve = [this](std::int64_t floats) { return reserve_state(floats); };
  Program program(in_, in_.size(inputs), 0, !in_.once_in(3), reserve);
  const std::int64_t after = late + program.ahead;
  const std::int32_t add = pick_residual(program.width(), after);
  add_node({std::move(program), sources, add, 0, after});
}

void EnginePair::add() {
  if (takes_ids_ && (nodes.empty() || in_.once_in(5))) return add_ids();
  join(pick_sources());
}

}  // namespace fuzz
