// Engines with layers that look ahead. The steps of a call are split into passes, in each of which the same layers run:
// at first those behind such a layer wait, and after the end of a row those before it have nothing more to do.
#include <algorithm>
#include <cstring>

#include "engine.h"

namespace tidegate {
namespace {

// The steps of a call, counted from its first one, at which something holds.
struct Range {
  std::size_t begin, end;
};

Range intersect(Range a, Range b) { return {std::max(a.begin, b.begin), std::min(a.end, b.end)}; }

bool is_longer(const Sequence& a, const Sequence& b) {
  return a.length != b.length ? a.length > b.length : a.first < b.first;
}

}  // namespace

// A layer whose input is d steps late and whose output is e steps late, d <= e, runs at the steps d <= n < end + e of a
// row with `end` steps, n counted from 0. Its inputs are real at n < end + d, and zeros after that, for steps that are
// absent; its outputs mean something at n >= e. So what runs at a step, and how, depends only on which delays have
// begun (delay <= n) and which have ended (end + delay <= n): of those in ascending order, [from, to] have begun and
// have not ended. A pass has the steps with the same from and to, and runs the layers with d begun and e not ended: all
// that a real input or a sum reads is the output of such a layer, with the same delay. A row goes through its passes in
// ascending order of from, then to; from is at most to + 1.
void Engine::run_passes(RunArgs args, const Sequence* sequences, std::size_t count, int threads,
                        Workspace& workspace) const {
  workspace.past.resize(count);
  workspace.part.reserve(count);
  for (std::size_t r = 0; r < count; ++r) {
    const std::size_t at = sequences[r].block * state_bytes;
    if (args.state_in != args.state_out) std::memcpy(args.state_out + at, args.state_in + at, state_bytes);
    std::memcpy(&workspace.past[r], args.state_out + at, 8);
  }
  args.state_in = args.state_out;
  const std::size_t last = delays_.size() - 1;
  for (std::size_t from = 0; from <= (args.ends ? last : 0); ++from)
    for (std::size_t to = from ? from - 1 : 0; to <= last; ++to) {
      std::vector<Sequence>& part = workspace.part;
      part.clear();
      for (std::size_t r = 0; r < count; ++r)
        add_part(sequences[r], workspace.past[r], args.ends, from, to, part);
      if (part.empty()) continue;
      if (!std::is_sorted(part.begin(), part.end(), is_longer)) std::sort(part.begin(), part.end(), is_longer);
      run_pass(args, part.data(), part.size(), threads, {from, to}, workspace);
    }
}

// Add the steps of a row that are in pass (from, to), if there are any.
void Engine::add_part(const Sequence& row, std::uint64_t past, bool ends, std::size_t from, std::size_t to,
                      std::vector<Sequence>& part) const {
  const auto seen = static_cast<std::size_t>(std::min<std::uint64_t>(past, look_ahead));
  const auto begin = [&](std::size_t delay) { return std::max(delays_[delay], seen) - seen; };
  const auto end = [&](std::size_t delay) { return row.length + delays_[delay]; };
  const Range all = {0, row.length + (ends ? look_ahead : 0)};
  const Range begun = {begin(to), to + 1 < delays_.size() ? begin(to + 1) : all.end};
  const Range ended = {from ? end(from - 1) : 0, end(from)};
  const Range steps = intersect(all, intersect(begun, ended));
  if (steps.begin >= steps.end) return;
  part.push_back({row.first + steps.begin * row.stride, row.stride, steps.end - steps.begin, row.block, row.output,
                  from ? steps.begin - row.length : 0});
}

}  // namespace tidegate
