// Training: its figures, the way ahead, and the threads that share the work.
#include "training.h"

#include <exception>
#include <thread>

namespace tidegate {
namespace {

constexpr TrainedCell kCells[TIDEGATE_CELLS] = {
    {3, 3, 0, 1, 4, 4, 1, 0, {2, 0, 1}, {0, 1, 2}},        // gru: planes n r z, and R.n's
    {3, 3, 0, 1, 4, 4, 1, 0, {2, 0, 1}, {0, 1, 2}},        // gru, update replace
    {4, 4, 0, 2, 5, 4, 0, 4, {0, 1, 2, 3}, {0, 1, 2, 3}},  // lstm
    {1, 1, 0, 1, 1, 1, 0, 0, {0}, {0}},                    // rnn tanh
    {1, 1, 0, 1, 1, 1, 0, 0, {0}, {0}},                    // rnn relu
    {2, 0, 0, 1, 2, 2, 0, 0, {0, 1}, {}},                  // mingru
    {3, 3, 1, 1, 3, 3, 0, 0, {0, 1, 2}, {0, 1, 2}},        // gru, reset before
    {3, 3, 1, 1, 3, 3, 0, 0, {0, 1, 2}, {0, 1, 2}},        // gru, reset before, update replace
    {4, 4, 0, 2, 6, 4, 0, 4, {0, 1, 2, 3}, {0, 1, 2, 3}, 3, {0, 1, 3}, {5, 5, 4}},  // lstm with peepholes
};
static_assert(kTrainedCells == TIDEGATE_CELLS, "kernels.h and tidegate.h name the same cells");

// Below so many multiplications a thread, another one costs more than it brings.
constexpr std::size_t kWorkPerThread = kEagerThreads ? 1 : std::size_t{8} << 20;

// Rows between two looks at the recurrent weights: the sums of a product wait in the cache for the gates. All of a
// tile's where the weights are more floats than a second-level cache has room for, and come from further away.
constexpr std::size_t kRowsTogether = 16, kNearWeights = std::size_t{3} << 17;

std::size_t counted(std::int64_t value, const char* what) {
  if (value < 1 || value > INT64_MAX / 4096)
    throw ValueError(std::string(what) + " must be 1 or more, found " + std::to_string(value));
  return static_cast<std::size_t>(value);
}

// Column order of maps [first, end) side by side, each padded to whole vectors; -1 for padding.
std::vector<std::int64_t> planes(std::size_t first, std::size_t end, std::size_t size, std::size_t units) {
  std::vector<std::int64_t> order;
  for (std::size_t map = first; map < end; ++map)
    for (std::size_t j = 0; j < units; ++j) order.push_back(j < size ? static_cast<std::int64_t>(map * size + j) : -1);
  return order;
}

// The weights of the way ahead.
struct Weights {
  explicit Weights(const Training& of) : Weights(of, of.cell.maps - of.cell.inner) {}
  const Packed inputs, recurrent, inner;

 private:
  Weights(const Training& of, std::size_t outer)
      : inputs(of.kernels, of.inputs, planes(0, of.cell.gates, of.size, of.units), of.given.W, of.given.b),
        recurrent(of.kernels, of.size, planes(0, outer, of.size, of.units), of.given.R, of.given.c),
        inner(of.kernels, of.size, planes(outer, of.cell.maps, of.size, of.units), of.given.R, of.given.c) {}
};

// The way ahead of one tile of rows.
class Ahead {
 public:
  Ahead(const Training& training, const Weights& weights, const Share& tile)
      : of_(training), weights_(weights), tile_(tile), whole_(tile.count == training.batch),
        together_(training.cell.maps * training.units * training.size > kNearWeights ? kTileRows : kRowsTogether),
        inputs_(kTileRows * gate_row()), sums_(together_ * training.cell.maps * training.units),
        inner_(together_ * training.cell.inner * training.units),
        states_(2 * training.cell.states * tile.count * training.units) {
    for (std::size_t s = 0; s < of_.cell.states; ++s) {
      before_[s] = states_.data() + 2 * s * tile.count * of_.units;
      after_[s] = before_[s] + tile.count * of_.units;
      copy_rows(tile.count, of_.size, of_.given.first + (s * of_.batch + tile.first) * of_.size, of_.size, before_[s],
                of_.units);
    }
  }

  void run(float* y, float* last, float* saved) {
    for (std::size_t t = 0; of_.alive(tile_, t) > 0;) {
      const std::size_t end = project(t);
      float* inputs = inputs_.data();
      for (; t < end; ++t) {
        const std::size_t count = of_.alive(tile_, t), entry = of_.starts[t] + tile_.first;
        float* const out = y + entry * of_.size;
        if (of_.unpadded()) after_[0] = out;
        step(count, inputs, saved ? saved + entry * of_.saved_row() : nullptr);
        if (!of_.unpadded()) copy_rows(count, of_.size, after_[0], of_.units, out, of_.size);
        end_rows(t, count, last);
        for (std::size_t s = 0; s < of_.cell.states; ++s) std::swap(before_[s], after_[s]);
        inputs += count * gate_row();
      }
    }
  }

 private:
  std::size_t gate_row() const { return of_.cell.gates * of_.units; }

  // W x + b of step t and as many after it as fit; returns the step behind them.
  std::size_t project(std::size_t t) {
    std::size_t items = of_.alive(tile_, t), end = t + 1;
    for (std::size_t more; (more = of_.alive(tile_, end)) > 0 && items + more <= kTileRows; ++end) items += more;
    float* to = inputs_.data();
    const auto product = [&](std::size_t first, std::size_t count) {
      of_.kernels.product(count, &weights_.inputs.product(), {of_.given.x + first * of_.inputs, of_.inputs}, to, gate_row());
      to += count * gate_row();
    };
    if (whole_)
      product(of_.starts[t], items);
    else
      for (; t < end; ++t) product(of_.starts[t] + tile_.first, of_.alive(tile_, t));
    return end;
  }

  void step(std::size_t count, float* inputs, float* saved) {
    for (std::size_t r = 0; r < count; r += together_) {
      const std::size_t rows = std::min(together_, count - r), at = r * of_.units;
      float* const kept = saved ? saved + r * of_.saved_row() : nullptr;
      CellForward step = {inputs + r * gate_row(), sums_.data(), {}, {}, kept, of_.saved_row(),
                          of_.own.data()};
      if (of_.cell.normed) norm(rows, 0, of_.cell.gates, inputs + r * gate_row(), gate_row(), kept);
      for (std::size_t s = 0; s < of_.cell.states; ++s) {
        step.state[s] = before_[s] + at;
        step.next[s] = after_[s] + at;
      }
      const std::size_t sums_row = of_.cell.maps * of_.units;
      if (of_.cell.maps)
        of_.kernels.product(rows, &weights_.recurrent.product(), {step.state[0], of_.units}, sums_.data(), sums_row);
      if (of_.cell.normed) norm(rows, of_.cell.gates, of_.cell.maps - of_.cell.inner, sums_.data(), sums_row, kept);
      if (of_.cell.inner) {
        of_.step.inner_forward(rows, of_.units, step, sums_.data(), inner_.data());
        of_.kernels.product(rows, &weights_.inner.product(), {inner_.data(), of_.units},
                            sums_.data() + sums_row - of_.units, sums_row);
        if (of_.cell.normed) norm(rows, of_.cell.norms() - 1, 1, sums_.data() + sums_row - of_.units, sums_row, kept);
      }
      of_.step.forward(rows, of_.units, step);
    }
  }

  // Norms [k, k + count) of planes side by side, in place.
  void norm(std::size_t rows, std::size_t k, std::size_t count, float* planes, std::size_t ld, float* saved) {
    for (const std::size_t end = k + count; k < end; ++k, planes += of_.units)
      of_.kernels.normed(rows, of_.size, {planes, ld}, {of_.gain(k), 0}, {of_.bias(k), 0}, TIDEGATE_NORM_EPS, planes, ld,
                         of_.kept(saved, k));
  }

  // The states of rows whose last step was t.
  void end_rows(std::size_t t, std::size_t count, float* last) {
    const std::size_t left = of_.alive(tile_, t + 1);
    for (std::size_t s = 0; s < of_.cell.states; ++s)
      copy_rows(count - left, of_.size, after_[s] + left * of_.units, of_.units,
                last + (s * of_.batch + tile_.first + left) * of_.size, of_.size);
  }

  const Training& of_;
  const Weights& weights_;
  const Share tile_;
  const bool whole_;
  const std::size_t together_;  // rows
  Floats inputs_, sums_, inner_, states_;
  float *before_[2], *after_[2];  // states; outputs that need no padding lie where the caller wants them
};

}  // namespace

TrainedCell trained_cell(std::int32_t cell) {
  const std::int32_t plain = cell & ~TIDEGATE_CELL_NORMED;
  if (plain < 0 || plain >= TIDEGATE_CELLS)
    throw ValueError("cell must be from 0 to " + std::to_string(TIDEGATE_CELLS - 1) + ", found " + std::to_string(plain));
  TrainedCell found = kCells[plain];
  if (cell == plain) return found;
  found.normed = true;
  found.saved += found.norms();
  found.planes = found.norms();
  found.recurrent = found.gates;
  return found;
}

Training::Training(const Kernels& kernels, const tidegate_training& given)
    : kernels(kernels),
      given(given),
      cell(trained_cell(given.cell)),
      step(kernels.cells[given.cell & ~TIDEGATE_CELL_NORMED]),
      inputs(checked_size(given.inputs, "inputs")),
      size(checked_size(given.size, "size")),
      units((size + kernels.lanes - 1) / kernels.lanes * kernels.lanes),
      steps(counted(given.steps, "steps")),
      batch(counted(given.rows[0], "rows[0]")),
      entries(0),
      own(cell.parameters() * units) {
  for (std::size_t t = 0; t < steps; ++t) {
    if (given.rows[t] < 1 || (t > 0 && given.rows[t] > given.rows[t - 1]))
      throw ValueError("rows[" + std::to_string(t) + "] must be from 1 to those of the step before, found " +
                       std::to_string(given.rows[t]));
    rows.push_back(static_cast<std::size_t>(given.rows[t]));
    starts.push_back(entries);
    entries += rows.back();
  }
  copy_rows(cell.parameters(), size, given.own, size, own.data(), units);
}

std::size_t Training::crew(int threads) const {
  const std::size_t work = cell.gates * size * (inputs + size) * entries;
  const std::size_t worth = std::max<std::size_t>(1, std::min(work / kWorkPerThread, (batch + 7) / 8));
  return std::min(static_cast<std::size_t>(std::max(1, threads)), worth);
}

std::vector<Share> Training::tiles(std::size_t crew) const {
  const std::size_t share = (batch + crew - 1) / crew, rows = std::min(kTileRows, (share + 7) / 8 * 8);
  std::vector<Share> tiles;
  for (std::size_t first = 0; first < batch; first += rows) tiles.push_back({first, std::min(rows, batch - first)});
  return tiles;
}

void share_out(std::size_t crew, const std::function<void(std::size_t)>& work) {
  std::vector<std::exception_ptr> faults(crew);
  const auto guarded = [&](std::size_t i) noexcept {
    try {
      work(i);
    } catch (...) {
      faults[i] = std::current_exception();
    }
  };
  std::vector<std::thread> helpers;
  helpers.reserve(crew);
  std::size_t started = 1;
  try {
    for (; started < crew; ++started) helpers.emplace_back(guarded, started);
  } catch (const std::exception&) {
    // The system gives no more threads: this one does their share.
  }
  guarded(0);
  for (std::size_t i = started; i < crew; ++i) guarded(i);
  for (std::thread& helper : helpers) helper.join();
  for (const std::exception_ptr& fault : faults)
    if (fault) std::rethrow_exception(fault);
}

void train_forward(const Training& training, float* y, float* last, float* saved, int threads) {
  const Weights weights(training);
  const std::size_t crew = training.crew(threads);
  const std::vector<Share> tiles = training.tiles(crew);
  share_out(crew, [&](std::size_t i) {
    for (std::size_t n = i; n < tiles.size(); n += crew) Ahead(training, weights, tiles[n]).run(y, last, saved);
  });
}

}  // namespace tidegate
