// Fuzz target: bytes describe a cell, a batch of rows of unequal lengths, and gradients. Cell, sizes and rows may be
// anything; arrays are as long as tidegate.h says. Beside the sanitizers it finds bits of outputs and gradients that depend
// on threads, on other rows or on what else is asked for, and inputs that are written to.
#include <cstring>
#include <numeric>
#include <string>

#include "chain.h"

using fuzz::Input;
using fuzz::require;

namespace {

using Floats = std::vector<float>;

constexpr float kUntouched = 7.0f;

struct Facts {
  std::int64_t gates, maps, states, own;
};
constexpr Facts kCells[] = {{3, 3, 1, 0}, {3, 3, 1, 0}, {4, 4, 2, 0}, {1, 1, 1, 0}, {1, 1, 1, 0},
                            {2, 0, 1, 0}, {3, 3, 1, 0}, {3, 3, 1, 0}, {4, 4, 2, 3}};
static_assert(sizeof kCells / sizeof *kCells == TIDEGATE_CELLS, "a cell has no figures here");

bool allowed(std::int64_t size) { return size >= 1 && size <= TIDEGATE_MAX_SIZE; }

// One NaN is as good as another.
bool same(const Floats& a, const Floats& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0 && (a[i] == a[i] || b[i] == b[i])) return false;
  return a.size() == b.size();
}

// The arrays of a call, and the structure that points to them.
struct Batch {
  explicit Batch(Input& in) : target(tidegate_target(static_cast<int>(in.below(4)))) {
    if (!target) target = in.once_in(8) ? "none" : tidegate_target(0);
    const std::int64_t cell = in.below(TIDEGATE_CELLS), normed = in.once_in(3) ? TIDEGATE_CELL_NORMED : 0;
    const std::int64_t I = in.size(1 + in.below(in.once_in(8) ? 130 : 24)), H = in.size(1 + in.below(in.once_in(8) ? 130 : 40));
    std::int64_t count = in.once_in(6) ? 1 + in.below(100) : 1 + in.below(6);
    const std::int64_t T = in.given(1 + in.below(count > 8 ? 5 : 40));
    if (T > 4096) throw fuzz::Skip();
    for (std::int64_t t = 0; t < T; ++t) {
      if (t > 0 && in.once_in(3)) count = 1 + in.below(256) % count;
      rows.push_back(in.given(count));
    }
    given = {in.given32(cell + normed), T, I, H, rows.data(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
    fits = given.cell >= 0 && (given.cell & ~TIDEGATE_CELL_NORMED) < TIDEGATE_CELLS && allowed(I) && allowed(H) && T >= 1;
    for (std::int64_t t = 0; fits && t < T; ++t)
      fits = rows[static_cast<std::size_t>(t)] >= 1 && (t == 0 || rows[static_cast<std::size_t>(t)] <= rows[static_cast<std::size_t>(t - 1)]);
    if (fits) fill(in);
  }

  void fill(Input& in) {
    const Facts& facts = kCells[given.cell & ~TIDEGATE_CELL_NORMED];
    const std::int64_t H = given.size, I = given.inputs;
    if (rows[0] > 4096) throw fuzz::Skip();
    entries = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
    own_rows = facts.own + (given.cell >= TIDEGATE_CELL_NORMED ? 2 * (facts.gates + facts.maps) : 0);
    x = in.floats(entries, I), W = in.floats(facts.gates, H, I), b = in.floats(facts.gates, H);
    R = in.floats(facts.maps, H, H), c = in.floats(facts.maps, H), first = in.floats(facts.states, rows[0], H);
    own = in.floats(own_rows, H), dy = in.floats(entries, H), dlast = in.floats(facts.states, rows[0], H);
    point();
  }

  void point() {
    given.rows = rows.data(), given.steps = static_cast<std::int64_t>(rows.size()), given.x = x.data();
    given.W = W.data(), given.b = b.data(), given.R = R.data(), given.c = c.data();
    given.first = first.data(), given.own = own.empty() ? nullptr : own.data();
  }

  // Row r alone, with the same weights.
  Batch alone(std::size_t r) const {
    Batch one = *this;
    const auto H = static_cast<std::ptrdiff_t>(given.size), I = static_cast<std::ptrdiff_t>(given.inputs);
    for (Floats* emptied : {&one.x, &one.dy, &one.first, &one.dlast}) emptied->clear();
    one.rows.clear();
    const auto take = [](const Floats& from, std::ptrdiff_t row, std::ptrdiff_t width, Floats& to) {
      to.insert(to.end(), from.begin() + row * width, from.begin() + (row + 1) * width);
    };
    std::ptrdiff_t start = 0;
    const auto at = static_cast<std::ptrdiff_t>(r);
    for (std::size_t t = 0; t < rows.size() && rows[t] > at; start += rows[t++]) {
      take(x, start + at, I, one.x);
      take(dy, start + at, H, one.dy);
      one.rows.push_back(1);
    }
    for (std::ptrdiff_t s = 0; s < kCells[given.cell & ~TIDEGATE_CELL_NORMED].states; ++s) {
      take(first, s * rows[0] + at, H, one.first);
      take(dlast, s * rows[0] + at, H, one.dlast);
    }
    one.entries = static_cast<std::int64_t>(one.rows.size());
    one.point();
    return one;
  }

  const char* target;
  bool fits;
  std::int64_t entries = 0, own_rows = 0;
  std::vector<std::int64_t> rows;
  Floats x, W, b, R, c, first, own, dy, dlast;
  tidegate_training given;
};

// Of one row in `found`, whose rows are `width` floats long, what `row` of the batch has.
bool row_is(const Batch& batch, std::size_t row, const Floats& whole, const Floats& found, std::size_t width) {
  std::size_t start = row, n = 0;
  for (std::size_t t = 0; t < batch.rows.size() && batch.rows[t] > static_cast<std::int64_t>(row); ++n) {
    const auto at = static_cast<std::ptrdiff_t>(start * width), own = static_cast<std::ptrdiff_t>(n * width);
    const auto w = static_cast<std::ptrdiff_t>(width);
    if (!same(Floats(whole.begin() + at, whole.begin() + at + w), Floats(found.begin() + own, found.begin() + own + w)))
      return false;
    start += static_cast<std::size_t>(batch.rows[t++]);
  }
  return true;
}

struct Ahead {
  tidegate_status status;
  Floats y, last, saved;
};

Ahead forward(Input& in, const Batch& batch, int threads, bool keep) {
  std::int64_t floats = 0;
  const tidegate_status sized = tidegate_train_saved(batch.target, batch.given.cell, batch.given.size, &floats, nullptr, 0);
  require(!batch.fits || sized == TIDEGATE_OK || std::string(batch.target) == "none", "what fits has a size to save");
  Ahead found = {TIDEGATE_OK, Floats(batch.dy.size(), kUntouched), Floats(batch.dlast.size(), kUntouched),
                 Floats(keep ? static_cast<std::size_t>(floats * batch.entries) : 0, kUntouched)};
  const Ahead before = found;
  found.status = fuzz::called(in, [&](char* m, std::size_t n) {
    return tidegate_train_forward(batch.target, &batch.given, found.y.data(), found.last.data(),
                                  keep ? found.saved.data() : nullptr, threads, m, n);
  });
  require(batch.fits || found.status != TIDEGATE_OK, "what does not fit is refused");
  if (found.status != TIDEGATE_OK)
    require(found.y == before.y && found.last == before.last && found.saved == before.saved, "a refusal changes nothing");
  return found;
}

struct Back {
  tidegate_status status;
  Floats dx, dfirst, dW, db, dR, dc, down;
};

Back backward(Input& in, const Batch& batch, const Ahead& ahead, int threads, bool inputs) {
  const auto room = [](const Floats& like) { return Floats(like.size(), kUntouched); };
  Back found = {TIDEGATE_OK, room(batch.x), room(batch.first), room(batch.W), room(batch.b), room(batch.R), room(batch.c), room(batch.own)};
  const Ahead before = ahead;
  const tidegate_gradients to = {ahead.y.data(), ahead.saved.data(), batch.dy.data(), batch.dlast.data(),
                                 inputs ? found.dx.data() : nullptr, found.dfirst.data(), found.dW.data(), found.db.data(),
                                 found.dR.data(), found.dc.data(), found.down.data()};
  found.status = fuzz::called(in, [&](char* m, std::size_t n) {
    return tidegate_train_backward(batch.target, &batch.given, &to, threads, m, n);
  });
  require(found.status == TIDEGATE_OK || found.status == TIDEGATE_MEMORY, "what goes ahead comes back");
  require(same(before.y, ahead.y) && same(before.saved, ahead.saved), "the way back writes to gradients alone");
  return found;
}

void require_same_weights(const Back& a, const Back& b, const char* what) {
  require(same(a.dfirst, b.dfirst) && same(a.dW, b.dW) && same(a.db, b.db) && same(a.dR, b.dR) && same(a.dc, b.dc) &&
              same(a.down, b.down),
          what);
}

void check_alone(Input& in, const Batch& batch, const Ahead& ahead, const Back& back) {
  const auto row = static_cast<std::size_t>(in.below(256) % batch.rows[0]);
  const Batch one = batch.alone(row);
  const Ahead own = forward(in, one, 1, true);
  const auto H = static_cast<std::size_t>(batch.given.size), I = static_cast<std::size_t>(batch.given.inputs);
  require(own.status == TIDEGATE_OK && row_is(batch, row, ahead.y, own.y, H), "a row's outputs are those it has alone");
  const Back gradients = backward(in, one, own, 1, true);
  require(row_is(batch, row, back.dx, gradients.dx, I), "a row's gradients are those it has alone");
  const auto count = static_cast<std::size_t>(batch.rows[0]);
  for (std::size_t s = 0, i = 0; s * count < batch.first.size() / H; ++s)
    for (std::size_t j = 0; j < H; ++j, ++i) {
      const std::size_t at = (s * count + row) * H + j;
      require(same({ahead.last[at], back.dfirst[at]}, {own.last[i], gradients.dfirst[i]}), "and so are its states'");
    }
}

void fuzz_one(Input& in) {
  const Batch batch(in);
  const int threads = in.given32(1 + in.below(4));
  const Ahead ahead = forward(in, batch, 1, true);
  if (ahead.status != TIDEGATE_OK) return;
  const Ahead shared = forward(in, batch, threads, true), short_lived = forward(in, batch, threads, false);
  require(same(ahead.y, shared.y) && same(ahead.last, shared.last) && same(ahead.saved, shared.saved) &&
              same(ahead.y, short_lived.y) && same(ahead.last, short_lived.last),
          "outputs depend on neither threads nor what is kept");
  const Back back = backward(in, batch, ahead, 1, true), by_more = backward(in, batch, ahead, threads, true);
  require(same(back.dx, by_more.dx), "gradients of inputs do not depend on threads");
  require_same_weights(back, by_more, "gradients of weights do not depend on threads");
  require_same_weights(back, backward(in, batch, ahead, threads, false), "nor on whether those of inputs are asked for");
  check_alone(in, batch, ahead, back);
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
