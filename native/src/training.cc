// Training: the table of cells, the forward pass, and starting threads.
#include "training.h"

#include <exception>
#include <thread>

namespace tidegate {
namespace {

constexpr CellSpec kCells[TIDEGATE_CELLS] = {
    {3, 3, 0, 1, 4, 4, 1, 0, {2, 0, 1}, {0, 1, 2}},        // gru: planes n r z, and that of R.n
    {3, 3, 0, 1, 4, 4, 1, 0, {2, 0, 1}, {0, 1, 2}},        // gru, update replace
    {4, 4, 0, 2, 5, 4, 0, 4, {0, 1, 2, 3}, {0, 1, 2, 3}},  // lstm
    {1, 1, 0, 1, 1, 1, 0, 0, {0}, {0}},                    // rnn tanh
    {1, 1, 0, 1, 1, 1, 0, 0, {0}, {0}},                    // rnn relu
    {2, 0, 0, 1, 2, 2, 0, 0, {0, 1}, {}},                  // mingru
    {3, 3, 1, 1, 3, 3, 0, 0, {0, 1, 2}, {0, 1, 2}},        // gru, reset before
    {3, 3, 1, 1, 3, 3, 0, 0, {0, 1, 2}, {0, 1, 2}},        // gru, reset before, update replace
    {4, 4, 0, 2, 6, 4, 0, 4, {0, 1, 2, 3}, {0, 1, 2, 3}, 3, {0, 1, 3}, {5, 5, 4}},  // lstm with peepholes
};
static_assert(kCellCount == TIDEGATE_CELLS, "kernels.h and tidegate.h name the same cells");

// The number of multiplications below which another thread costs more than it saves.
constexpr std::size_t kWorkPerThread = kEagerThreads ? 1 : std::size_t{8} << 20;

// The rows that go through the recurrent weights together, so that the sums of their products stay in the cache until
// the gates read them. All rows of a tile where there are more weights than the L2 cache holds, so that they are loaded
// once a step.
constexpr std::size_t kBlockRows = 16, kCachedWeights = std::size_t{3} << 17;

std::size_t check_count(std::int64_t value, const char* what) {
  if (value < 1 || value > INT64_MAX / 4096)
    throw ValueError(std::string(what) + " must be 1 or more, found " + std::to_string(value));
  return static_cast<std::size_t>(value);
}

// Return the column order of maps [first, end), each padded to whole vectors; -1 for padding.
std::vector<std::int64_t> plane_order(std::size_t first, std::size_t end, std::size_t size, std::size_t units) {
  std::vector<std::int64_t> order;
  for (std::size_t map = first; map < end; ++map)
    for (std::size_t j = 0; j < units; ++j) order.push_back(j < size ? static_cast<std::int64_t>(map * size + j) : -1);
  return order;
}

// The packed weights of the forward pass.
struct ForwardWeights {
  explicit ForwardWeights(const Training& training)
      : ForwardWeights(training, training.cell.maps - training.cell.inner) {}
  const PackedWeights inputs, recurrent, inner;

 private:
  ForwardWeights(const Training& training, std::size_t hidden_maps)
      : inputs(training.kernels, training.inputs, plane_order(0, training.cell.gates, training.size, training.units),
               training.args.W, training.args.b),
        recurrent(training.kernels, training.size, plane_order(0, hidden_maps, training.size, training.units),
                  training.args.R, training.args.c),
        inner(training.kernels, training.size,
              plane_order(hidden_maps, training.cell.maps, training.size, training.units), training.args.R,
              training.args.c) {}
};

// The forward pass of one tile of rows.
class ForwardPass {
 public:
  ForwardPass(const Training& training, const ForwardWeights& weights, const RowRange& tile)
      : training_(training),
        weights_(weights),
        tile_(tile),
        is_whole_batch_(tile.count == training.batch),
        block_rows_(training.cell.maps * training.units * training.size > kCachedWeights ? kTileRows : kBlockRows),
        inputs_(kTileRows * gate_row()),
        sums_(block_rows_ * training.cell.maps * training.units),
        inner_(block_rows_ * training.cell.inner * training.units),
        states_(2 * training.cell.states * tile.count * training.units) {
    for (std::size_t s = 0; s < training_.cell.states; ++s) {
      state_[s] = states_.data() + 2 * s * tile.count * training_.units;
      next_state_[s] = state_[s] + tile.count * training_.units;
      copy_rows(tile.count, training_.size,
                training_.args.initial_states + (s * training_.batch + tile.first) * training_.size, training_.size,
                state_[s], training_.units);
    }
  }

  void run(float* y, float* final_states, float* saved) {
    for (std::size_t t = 0; training_.alive_rows(tile_, t) > 0;) {
      const std::size_t end = project_inputs(t);
      float* inputs = inputs_.data();
      for (; t < end; ++t) {
        const std::size_t count = training_.alive_rows(tile_, t), entry = training_.starts[t] + tile_.first;
        float* const out = y + entry * training_.size;
        if (training_.is_padding_free()) next_state_[0] = out;
        step(count, inputs, saved ? saved + entry * training_.saved_floats() : nullptr);
        if (!training_.is_padding_free())
          copy_rows(count, training_.size, next_state_[0], training_.units, out, training_.size);
        store_final_states(t, count, final_states);
        for (std::size_t s = 0; s < training_.cell.states; ++s) std::swap(state_[s], next_state_[s]);
        inputs += count * gate_row();
      }
    }
  }

 private:
  std::size_t gate_row() const { return training_.cell.gates * training_.units; }

  // Compute W x + b of step t and of as many steps after it as fit; return the end of these steps.
  std::size_t project_inputs(std::size_t t) {
    std::size_t items = training_.alive_rows(tile_, t), end = t + 1;
    for (std::size_t more; (more = training_.alive_rows(tile_, end)) > 0 && items + more <= kTileRows; ++end)
      items += more;
    float* to = inputs_.data();
    const auto product = [&](std::size_t first, std::size_t count) {
      training_.kernels.matmul(count, &weights_.inputs.matrix(),
                               {training_.args.x + first * training_.inputs, training_.inputs}, to, gate_row());
      to += count * gate_row();
    };
    if (is_whole_batch_)
      product(training_.starts[t], items);
    else
      for (; t < end; ++t) product(training_.starts[t] + tile_.first, training_.alive_rows(tile_, t));
    return end;
  }

  void step(std::size_t count, float* inputs, float* saved) {
    for (std::size_t r = 0; r < count; r += block_rows_) {
      const std::size_t rows = std::min(block_rows_, count - r), at = r * training_.units;
      float* const saved_rows = saved ? saved + r * training_.saved_floats() : nullptr;
      CellForward step = {inputs + r * gate_row(),  sums_.data(),           {}, {}, saved_rows,
                          training_.saved_floats(), training_.params.data()};
      if (training_.cell.has_norms)
        apply_norms(rows, 0, training_.cell.gates, inputs + r * gate_row(), gate_row(), saved_rows);
      for (std::size_t s = 0; s < training_.cell.states; ++s) {
        step.state[s] = state_[s] + at;
        step.next[s] = next_state_[s] + at;
      }
      const std::size_t sums_row = training_.cell.maps * training_.units;
      if (training_.cell.maps)
        training_.kernels.matmul(rows, &weights_.recurrent.matrix(), {step.state[0], training_.units}, sums_.data(),
                                 sums_row);
      if (training_.cell.has_norms)
        apply_norms(rows, training_.cell.gates, training_.cell.maps - training_.cell.inner, sums_.data(), sums_row,
                    saved_rows);
      if (training_.cell.inner) {
        training_.cell_kernels.inner_forward(rows, training_.units, step, sums_.data(), inner_.data());
        training_.kernels.matmul(rows, &weights_.inner.matrix(), {inner_.data(), training_.units},
                                 sums_.data() + sums_row - training_.units, sums_row);
        if (training_.cell.has_norms)
          apply_norms(rows, training_.cell.norms() - 1, 1, sums_.data() + sums_row - training_.units, sums_row,
                      saved_rows);
      }
      training_.cell_kernels.forward(rows, training_.units, step);
    }
  }

  // Apply norms [k, k + count) to adjacent planes, in place.
  void apply_norms(std::size_t rows, std::size_t k, std::size_t count, float* planes, std::size_t ld, float* saved) {
    for (const std::size_t end = k + count; k < end; ++k, planes += training_.units)
      training_.kernels.cell_norm(rows, training_.size, {planes, ld}, {training_.gain(k), 0}, {training_.bias(k), 0},
                                  TIDEGATE_NORM_EPS, planes, ld, training_.norm_cache(saved, k));
  }

  // Store the states of the rows whose last step is t.
  void store_final_states(std::size_t t, std::size_t count, float* final_states) {
    const std::size_t left = training_.alive_rows(tile_, t + 1);
    for (std::size_t s = 0; s < training_.cell.states; ++s)
      copy_rows(count - left, training_.size, next_state_[s] + left * training_.units, training_.units,
                final_states + (s * training_.batch + tile_.first + left) * training_.size, training_.size);
  }

  const Training& training_;
  const ForwardWeights& weights_;
  const RowRange tile_;
  const bool is_whole_batch_;
  const std::size_t block_rows_;  // rows that go through the recurrent weights together
  AlignedFloats inputs_, sums_, inner_, states_;
  float *state_[2], *next_state_[2];  // where no padding is needed, outputs are written directly to the caller's array
};

}  // namespace

CellSpec get_cell_spec(std::int32_t cell) {
  const std::int32_t plain = cell & ~TIDEGATE_CELL_WITH_NORMS;
  if (plain < 0 || plain >= TIDEGATE_CELLS)
    throw ValueError("cell must be from 0 to " + std::to_string(TIDEGATE_CELLS - 1) + ", found " +
                     std::to_string(plain));
  CellSpec spec = kCells[plain];
  if (cell == plain) return spec;
  spec.has_norms = true;
  spec.saved += spec.norms();
  spec.planes = spec.norms();
  spec.recurrent = spec.gates;
  return spec;
}

Training::Training(const Kernels& kernels, const tidegate_training& args)
    : kernels(kernels),
      args(args),
      cell(get_cell_spec(args.cell)),
      cell_kernels(kernels.cells[args.cell & ~TIDEGATE_CELL_WITH_NORMS]),
      inputs(check_size(args.inputs, "inputs")),
      size(check_size(args.size, "size")),
      units((size + kernels.lanes - 1) / kernels.lanes * kernels.lanes),
      steps(check_count(args.steps, "steps")),
      batch(check_count(args.batch_sizes[0], "batch_sizes[0]")),
      entries(0),
      params(cell.total_params() * units) {
  for (std::size_t t = 0; t < steps; ++t) {
    if (args.batch_sizes[t] < 1 || (t > 0 && args.batch_sizes[t] > args.batch_sizes[t - 1]))
      throw ValueError("batch_sizes[" + std::to_string(t) + "] must be from 1 to the size of the step before, found " +
                       std::to_string(args.batch_sizes[t]));
    batch_sizes.push_back(static_cast<std::size_t>(args.batch_sizes[t]));
    starts.push_back(entries);
    entries += batch_sizes.back();
  }
  copy_rows(cell.total_params(), size, args.params, size, params.data(), units);
}

std::size_t Training::worker_count(int threads) const {
  const std::size_t work = cell.gates * size * (inputs + size) * entries;
  const std::size_t useful_workers = std::max<std::size_t>(1, std::min(work / kWorkPerThread, (batch + 7) / 8));
  return std::min(static_cast<std::size_t>(std::max(1, threads)), useful_workers);
}

std::vector<RowRange> Training::tiles(std::size_t worker_count) const {
  const std::size_t share = (batch + worker_count - 1) / worker_count, rows = std::min(kTileRows, (share + 7) / 8 * 8);
  std::vector<RowRange> tiles;
  for (std::size_t first = 0; first < batch; first += rows) tiles.push_back({first, std::min(rows, batch - first)});
  return tiles;
}

void parallel_for(std::size_t worker_count, const std::function<void(std::size_t)>& work) {
  std::vector<std::exception_ptr> errors(worker_count);
  const auto run_worker = [&](std::size_t i) noexcept {
    try {
      work(i);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  others.reserve(worker_count);
  std::size_t started = 1;
  try {
    for (; started < worker_count; ++started) others.emplace_back(run_worker, started);
  } catch (const std::exception&) {
    // The system gives no more threads: this one does the rest.
  }
  run_worker(0);
  for (std::size_t i = started; i < worker_count; ++i) run_worker(i);
  for (std::thread& thread : others) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

void train_forward(const Training& training, float* y, float* final_states, float* saved, int threads) {
  const ForwardWeights weights(training);
  const std::size_t workers = training.worker_count(threads);
  const std::vector<RowRange> tiles = training.tiles(workers);
  parallel_for(workers, [&](std::size_t i) {
    for (std::size_t n = i; n < tiles.size(); n += workers)
      ForwardPass(training, weights, tiles[n]).run(y, final_states, saved);
  });
}

}  // namespace tidegate
