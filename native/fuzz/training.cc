// Fuzz target: bytes describe a cell, a batch of rows of unequal lengths, and gradients. The cell, sizes and row counts
// may be anything; arrays have the lengths that tidegate.h asks for. Besides what the sanitizers find, it finds outputs
// and gradients whose bits depend on threads, on other rows or on which results are requested, and inputs that are
// written to.
#include <cstring>
#include <numeric>
#include <string>

#include "engine_pair.h"

using fuzz::Input;
using fuzz::require;

namespace {

using Floats = std::vector<float>;

constexpr float kSentinel = 7.0f;

struct CellShape {
  std::int64_t gates, maps, states, params;
};
constexpr CellShape kCells[] = {{3, 3, 1, 0}, {3, 3, 1, 0}, {4, 4, 2, 0}, {1, 1, 1, 0}, {1, 1, 1, 0},
                                {2, 0, 1, 0}, {3, 3, 1, 0}, {3, 3, 1, 0}, {4, 4, 2, 3}};
static_assert(sizeof kCells / sizeof *kCells == TIDEGATE_CELLS, "every cell has its shape here");

bool allowed(std::int64_t size) { return size >= 1 && size <= TIDEGATE_MAX_SIZE; }

// Compare bits, except that any NaN equals any other.
bool same(const Floats& a, const Floats& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0 && (a[i] == a[i] || b[i] == b[i])) return false;
  return a.size() == b.size();
}

// The arrays of a call, and the struct that points to them.
struct Batch {
  explicit Batch(Input& in) : target(tidegate_target(static_cast<int>(in.below(4)))) {
    if (!target) target = in.once_in(8) ? "none" : tidegate_target(0);
    const std::int64_t cell = in.below(TIDEGATE_CELLS), normed = in.once_in(3) ? TIDEGATE_CELL_WITH_NORMS : 0;
    const std::int64_t I = in.size(1 + in.below(in.once_in(8) ? 130 : 24));
    const std::int64_t H = in.size(1 + in.below(in.once_in(8) ? 130 : 40));
    std::int64_t count = in.once_in(6) ? 1 + in.below(100) : 1 + in.below(6);
    const std::int64_t T = in.maybe_hostile(1 + in.below(count > 8 ? 5 : 40));
    if (T > 4096) throw fuzz::Skip();
    for (std::int64_t t = 0; t < T; ++t) {
      if (t > 0 && in.once_in(3)) count = 1 + in.below(256) % count;
      batch_sizes.push_back(in.maybe_hostile(count));
    }
    args = {in.maybe_hostile32(cell + normed),
            T,
            I,
            H,
            batch_sizes.data(),
            nullptr,
            nullptr,
            nullptr,
            nullptr,
            nullptr,
            nullptr,
            nullptr};
    valid = args.cell >= 0 && (args.cell & ~TIDEGATE_CELL_WITH_NORMS) < TIDEGATE_CELLS && allowed(I) && allowed(H) &&
            T >= 1;
    for (std::int64_t t = 0; valid && t < T; ++t)
      valid = batch_sizes[static_cast<std::size_t>(t)] >= 1 &&
              (t == 0 || batch_sizes[static_cast<std::size_t>(t)] <= batch_sizes[static_cast<std::size_t>(t - 1)]);
    if (valid) fill(in);
  }

  void fill(Input& in) {
    const CellShape& shape = kCells[args.cell & ~TIDEGATE_CELL_WITH_NORMS];
    const std::int64_t H = args.size, I = args.inputs;
    if (batch_sizes[0] > 4096) throw fuzz::Skip();
    entries = std::accumulate(batch_sizes.begin(), batch_sizes.end(), std::int64_t{0});
    params_rows = shape.params + (args.cell >= TIDEGATE_CELL_WITH_NORMS ? 2 * (shape.gates + shape.maps) : 0);
    x = in.floats(entries, I), W = in.floats(shape.gates, H, I), b = in.floats(shape.gates, H);
    R = in.floats(shape.maps, H, H), c = in.floats(shape.maps, H),
    initial_states = in.floats(shape.states, batch_sizes[0], H);
    params = in.floats(params_rows, H), dy = in.floats(entries, H),
    dfinal_states = in.floats(shape.states, batch_sizes[0], H);
    set_pointers();
  }

  void set_pointers() {
    args.batch_sizes = batch_sizes.data(), args.steps = static_cast<std::int64_t>(batch_sizes.size()),
    args.x = x.data();
    args.W = W.data(), args.b = b.data(), args.R = R.data(), args.c = c.data();
    args.initial_states = initial_states.data(), args.params = params.empty() ? nullptr : params.data();
  }

  // Return row r as a batch of its own, with the same weights.
  Batch single_row(std::size_t r) const {
    Batch one = *this;
    const auto H = static_cast<std::ptrdiff_t>(args.size), I = static_cast<std::ptrdiff_t>(args.inputs);
    for (Floats* values : {&one.x, &one.dy, &one.initial_states, &one.dfinal_states}) values->clear();
    one.batch_sizes.clear();
    const auto take = [](const Floats& from, std::ptrdiff_t row, std::ptrdiff_t width, Floats& to) {
      to.insert(to.end(), from.begin() + row * width, from.begin() + (row + 1) * width);
    };
    std::ptrdiff_t start = 0;
    const auto at = static_cast<std::ptrdiff_t>(r);
    for (std::size_t t = 0; t < batch_sizes.size() && batch_sizes[t] > at; start += batch_sizes[t++]) {
      take(x, start + at, I, one.x);
      take(dy, start + at, H, one.dy);
      one.batch_sizes.push_back(1);
    }
    for (std::ptrdiff_t s = 0; s < kCells[args.cell & ~TIDEGATE_CELL_WITH_NORMS].states; ++s) {
      take(initial_states, s * batch_sizes[0] + at, H, one.initial_states);
      take(dfinal_states, s * batch_sizes[0] + at, H, one.dfinal_states);
    }
    one.entries = static_cast<std::int64_t>(one.batch_sizes.size());
    one.set_pointers();
    return one;
  }

  const char* target;
  bool valid;
  std::int64_t entries = 0, params_rows = 0;
  std::vector<std::int64_t> batch_sizes;
  Floats x, W, b, R, c, initial_states, params, dy, dfinal_states;
  tidegate_training args;
};

// Whether `result`, of a single row with `width` floats per step, equals that row of the batch.
bool row_matches(const Batch& batch, std::size_t row, const Floats& whole, const Floats& result, std::size_t width) {
  std::size_t start = row, n = 0;
  for (std::size_t t = 0; t < batch.batch_sizes.size() && batch.batch_sizes[t] > static_cast<std::int64_t>(row); ++n) {
    const auto at = static_cast<std::ptrdiff_t>(start * width), row_at = static_cast<std::ptrdiff_t>(n * width);
    const auto w = static_cast<std::ptrdiff_t>(width);
    if (!same(Floats(whole.begin() + at, whole.begin() + at + w),
              Floats(result.begin() + row_at, result.begin() + row_at + w)))
      return false;
    start += static_cast<std::size_t>(batch.batch_sizes[t++]);
  }
  return true;
}

struct ForwardResult {
  tidegate_status status;
  Floats y, final_states, saved;
};

ForwardResult forward(Input& in, const Batch& batch, int threads, bool save) {
  std::int64_t floats = 0;
  const tidegate_status sized =
      tidegate_train_saved_size(batch.target, batch.args.cell, batch.args.size, &floats, nullptr, 0);
  require(!batch.valid || sized == TIDEGATE_OK || std::string(batch.target) == "none",
          "valid arguments have a size to save");
  ForwardResult result = {TIDEGATE_OK, Floats(batch.dy.size(), kSentinel),
                          Floats(batch.dfinal_states.size(), kSentinel),
                          Floats(save ? static_cast<std::size_t>(floats * batch.entries) : 0, kSentinel)};
  const ForwardResult before = result;
  result.status = fuzz::call_checked(in, [&](char* m, std::size_t n) {
    return tidegate_train_forward(batch.target, &batch.args, result.y.data(), result.final_states.data(),
                                  save ? result.saved.data() : nullptr, threads, m, n);
  });
  require(batch.valid || result.status != TIDEGATE_OK, "invalid arguments are refused");
  if (result.status != TIDEGATE_OK)
    require(result.y == before.y && result.final_states == before.final_states && result.saved == before.saved,
            "a refused call changes nothing");
  return result;
}

struct BackwardResult {
  tidegate_status status;
  Floats dx, dinitial_states, dW, db, dR, dc, dparams;
};

BackwardResult backward(Input& in, const Batch& batch, const ForwardResult& forward_result, int threads, bool inputs) {
  const auto sentinels_like = [](const Floats& like) { return Floats(like.size(), kSentinel); };
  BackwardResult result = {TIDEGATE_OK,
                           sentinels_like(batch.x),
                           sentinels_like(batch.initial_states),
                           sentinels_like(batch.W),
                           sentinels_like(batch.b),
                           sentinels_like(batch.R),
                           sentinels_like(batch.c),
                           sentinels_like(batch.params)};
  const ForwardResult before = forward_result;
  const tidegate_gradients to = {forward_result.y.data(),
                                 forward_result.saved.data(),
                                 batch.dy.data(),
                                 batch.dfinal_states.data(),
                                 inputs ? result.dx.data() : nullptr,
                                 result.dinitial_states.data(),
                                 result.dW.data(),
                                 result.db.data(),
                                 result.dR.data(),
                                 result.dc.data(),
                                 result.dparams.data()};
  result.status = fuzz::call_checked(in, [&](char* m, std::size_t n) {
    return tidegate_train_backward(batch.target, &batch.args, &to, threads, m, n);
  });
  require(result.status == TIDEGATE_OK || result.status == TIDEGATE_MEMORY,
          "a forward pass that succeeds has a backward pass");
  require(same(before.y, forward_result.y) && same(before.saved, forward_result.saved),
          "the backward pass writes only gradients");
  return result;
}

void require_same_weights(const BackwardResult& a, const BackwardResult& b, const char* what) {
  require(same(a.dinitial_states, b.dinitial_states) && same(a.dW, b.dW) && same(a.db, b.db) && same(a.dR, b.dR) &&
              same(a.dc, b.dc) && same(a.dparams, b.dparams),
          what);
}

void check_single_row(Input& in, const Batch& batch, const ForwardResult& forward_result,
                      const BackwardResult& result) {
  const auto row = static_cast<std::size_t>(in.below(256) % batch.batch_sizes[0]);
  const Batch one = batch.single_row(row);
  const ForwardResult row_forward = forward(in, one, 1, true);
  const auto H = static_cast<std::size_t>(batch.args.size), I = static_cast<std::size_t>(batch.args.inputs);
  require(row_forward.status == TIDEGATE_OK && row_matches(batch, row, forward_result.y, row_forward.y, H),
          "a row's outputs do not depend on other rows");
  const BackwardResult row_backward = backward(in, one, row_forward, 1, true);
  require(row_matches(batch, row, result.dx, row_backward.dx, I), "a row's gradients do not depend on other rows");
  const auto count = static_cast<std::size_t>(batch.batch_sizes[0]);
  for (std::size_t s = 0, i = 0; s * count < batch.initial_states.size() / H; ++s)
    for (std::size_t j = 0; j < H; ++j, ++i) {
      const std::size_t at = (s * count + row) * H + j;
      require(same({forward_result.final_states[at], result.dinitial_states[at]},
                   {row_forward.final_states[i], row_backward.dinitial_states[i]}),
              "a row's states and their gradients do not depend on other rows");
    }
}

void fuzz_one(Input& in) {
  const Batch batch(in);
  const int threads = in.maybe_hostile32(1 + in.below(4));
  const ForwardResult forward_result = forward(in, batch, 1, true);
  if (forward_result.status != TIDEGATE_OK) return;
  const ForwardResult forward_threads = forward(in, batch, threads, true),
                      without_saved = forward(in, batch, threads, false);
  require(same(forward_result.y, forward_threads.y) &&
              same(forward_result.final_states, forward_threads.final_states) &&
              same(forward_result.saved, forward_threads.saved) && same(forward_result.y, without_saved.y) &&
              same(forward_result.final_states, without_saved.final_states),
          "outputs depend neither on threads nor on saving");
  const BackwardResult result = backward(in, batch, forward_result, 1, true),
                       backward_threads = backward(in, batch, forward_result, threads, true);
  require(same(result.dx, backward_threads.dx), "gradients of inputs do not depend on threads");
  require_same_weights(result, backward_threads, "gradients of weights do not depend on threads");
  require_same_weights(result, backward(in, batch, forward_result, threads, false),
                       "gradients of weights do not depend on requesting those of inputs");
  check_single_row(in, batch, forward_result, result);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  try {
    fuzz_one(in);
  } catch (const fuzz::Skip&) {
  }
  return 0;
}
