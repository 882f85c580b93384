// Training, backward pass: the gradients of gates step by step, then those of weights and inputs for a chunk of steps
// at once.
#include "training.h"

namespace tidegate {
namespace {

// The number of floats in the gates' gradients of one chunk: few enough for the L2 cache.
constexpr std::size_t kChunkFloats = std::size_t{1} << 18;

// The number of entries whose products are summed before the sum is added to a weight's gradient: a panel fits the L1
// cache, and short sums have smaller rounding errors. The sums must not depend on the number of threads, so neither
// does this number nor the size of a chunk.
constexpr std::size_t kBlockEntries = 128;

std::size_t padded_size(const Training& training, std::size_t n) {
  return (n + training.kernels.lanes - 1) / training.kernels.lanes * training.kernels.lanes;
}

// A matrix [_ * H, columns], transposed and packed for products with planes: plane p multiplies its map order[p].
// single_row: products are always of one row.
class TransposedMatrix {
 public:
  TransposedMatrix(const Training& training, const float* matrix, std::size_t columns, std::size_t maps,
                   const std::size_t* order, bool single_row)
      : ld(padded_size(training, columns)),
        single_row_(single_row),
        kernels_(training.kernels),
        weights_(maps * training.units * ld),
        bias_(ld) {
    const std::size_t depth = maps * training.units, vectors = ld / kernels_.lanes;
    for (std::size_t v = 0, wide; v < vectors; v += wide) {
      wide = panel(vectors - v);
      float* const to = weights_.data() + v * kernels_.lanes * depth;
      const std::size_t j = v * kernels_.lanes, floats = wide * kernels_.lanes;
      for (std::size_t p = 0; p < maps; ++p)
        copy_rows(training.size, std::min(floats, columns - j), matrix + order[p] * training.size * columns + j,
                  columns, to + p * training.units * floats, floats);
      panels_.push_back({depth, wide, to, bias_.data()});
    }
  }

  // out: rows of `ld` floats.
  void multiply(std::size_t rows, MatrixView x, float* out) const {
    for (const PackedMatrix& panel : panels_) {
      if (single_row_)
        kernels_.matmul_panel(panel.depth, panel.vectors, x.data, panel.weights, out);
      else
        kernels_.matmul(rows, &panel, x, out, ld);
      out += panel.vectors * kernels_.lanes;
    }
  }

  const std::size_t ld;

 private:
  // The width of the next panel in vectors: three, but two and two instead of three and one, since a single vector is
  // slow.
  std::size_t panel(std::size_t left) const {
    if (single_row_) return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    return left == 4 ? 2 : std::min<std::size_t>(left, kBlockVectors);
  }

  const bool single_row_;
  const Kernels& kernels_;
  AlignedFloats weights_, bias_;
  std::vector<PackedMatrix> panels_;
};

// The gradients of one matrix and its bias, padded, in the order of the planes.
struct WeightGradient {
  WeightGradient(const Training& training, std::size_t maps, std::size_t columns)
      : maps(maps),
        width(columns),
        ld(padded_size(training, columns)),
        planes(maps * training.units),
        matrix(planes * ld),
        bias(planes) {}

  void write(const Training& training, const std::size_t* order, float* to, float* to_bias) const {
    for (std::size_t p = 0; p < maps; ++p) {
      copy_rows(training.size, width, matrix.data() + p * training.units * ld, ld,
                to + order[p] * training.size * width, width);
      copy_rows(1, training.size, bias.data() + p * training.units, 0, to_bias + order[p] * training.size, 0);
    }
  }

  const std::size_t maps, width, ld, planes;
  AlignedFloats matrix, bias;
};

// Steps [begin, end).
struct StepRange {
  std::size_t begin, end;
};

class BackwardPass {
 public:
  BackwardPass(const Training& training, const tidegate_gradients& gradients)
      : training_(training),
        gradients_(gradients),
        maps_(training.cell.maps - training.cell.inner),
        ld_(training.cell.planes * training.units + training.kernels.lanes),
        chunk_(std::min(training.entries,
                        std::max(training.batch, std::max<std::size_t>(kChunkFloats / ld_, kBlockEntries)))),
        W_(training, training.args.W, training.inputs, training.cell.gates, training.cell.input_gates, false),
        R_(training, training.args.R, training.size, maps_, training.cell.recurrent_maps, training.batch == 1),
        inner_R_(training, training.args.R, training.size, training.cell.inner, training.cell.recurrent_maps + maps_,
                 training.batch == 1),
        dW_(training, training.cell.gates, training.inputs),
        dR_(training, maps_, training.size),
        inner_dR_(training, training.cell.inner, training.size),
        raw_ld_(training.cell.has_norms ? training.cell.raw_planes * training.units : ld_),
        raw_(training.cell.has_norms ? chunk_ * raw_ld_ : 0),
        d_params_(training.cell.total_params() * training.units),
        planes_(chunk_ * ld_),
        d_state_(training.cell.states * plane()),
        d_recurrent_(plane()),
        inner_(training.cell.inner * chunk_ * training.units),
        x_rows_(chunk_),
        h_rows_(chunk_) {
    for (std::size_t s = 0; s < training_.cell.states; ++s)
      copy_rows(training_.batch, training_.size, gradients_.dfinal_states + s * training_.batch * training_.size,
                training_.size, d_state(s), training_.units);
  }

  void run(std::size_t workers) {
    const std::vector<RowRange> tiles = training_.tiles(workers);
    for (std::size_t end = training_.steps; end > 0;) {
      const StepRange steps = {find_chunk_begin(end), end};
      parallel_for(workers, [&](std::size_t i) {
        for (std::size_t n = i; n < tiles.size(); n += workers) backward_tile(steps, tiles[n]);
      });
      const std::size_t count = collect_rows(steps);
      parallel_for(workers, [&](std::size_t i) { accumulate(steps, count, i, workers); });
      end = steps.begin;
    }
    write_gradients();
  }

 private:
  std::size_t plane() const { return training_.batch * training_.units; }
  float* d_state(std::size_t s) const { return d_state_.data() + s * plane(); }

  std::size_t find_chunk_begin(std::size_t end) const {
    std::size_t begin = end - 1, items = training_.batch_sizes[begin];
    while (begin > 0 && items + training_.batch_sizes[begin - 1] <= chunk_) items += training_.batch_sizes[--begin];
    return begin;
  }

  // Compute the gates' gradients of one tile, from the chunk's last step to its first.
  void backward_tile(const StepRange& steps, const RowRange& tile) {
    AlignedFloats rows((training_.cell.states + 1) * tile.count * training_.units),
        inner(training_.cell.inner * tile.count * training_.units);
    const std::size_t at = tile.first * training_.units;
    for (std::size_t t = steps.end; t-- > steps.begin;) {
      const std::size_t count = training_.alive_rows(tile, t), entry = training_.starts[t] + tile.first;
      if (count == 0) continue;
      const std::size_t n = entry - training_.starts[steps.begin];
      float* const planes = planes_.data() + n * ld_;
      CellBackward step = {gradients_.saved + entry * saved_floats(),
                           saved_floats(),
                           {},
                           nullptr,
                           d_recurrent_.data() + at,
                           {},
                           raw_planes() + n * raw_ld_,
                           raw_ld_,
                           training_.params.data()};
      step.d_output = pad_rows(count, gradients_.dy + entry * training_.size, rows.data());
      for (std::size_t s = 0; s < training_.cell.states; ++s) {
        step.state[s] = load_state(s, t, tile.first, count, rows.data() + (s + 1) * tile.count * training_.units);
        step.d_state[s] = d_state(s) + at;
      }
      training_.cell_kernels.backward(count, training_.size, training_.units, step);
      if (training_.cell.inner) {
        if (training_.cell.has_norms) map_norms_backward(count, entry, n, maps_, training_.cell.maps);
        inner_R_.multiply(count, {planes + (training_.cell.recurrent + maps_) * training_.units, ld_}, inner.data());
        training_.cell_kernels.inner_backward(count, training_.size, training_.units, step, inner.data(),
                                              inner_.data() + n * training_.units);
      }
      if (training_.cell.has_norms) map_norms_backward(count, entry, n, 0, maps_);
      if (training_.cell.has_norms) gate_norms_backward(count, entry, n);
      if (training_.cell.maps)
        R_.multiply(count, {planes + training_.cell.recurrent * training_.units, ld_}, d_recurrent_.data() + at);
    }
  }

  std::size_t saved_floats() const { return training_.saved_floats(); }

  // The planes that the cell's derivatives write: the gradients after the norms, if there are any.
  float* raw_planes() const { return training_.cell.has_norms ? raw_.data() : planes_.data(); }

  // Return what norm k saved for an entry. It is only read.
  NormCache norm_cache(std::size_t entry, std::size_t k) const {
    return training_.norm_cache(const_cast<float*>(gradients_.saved) + entry * saved_floats(), k);
  }

  // Propagate the gradient of a plane through norm k, for the chunk's entries from n on.
  void norm_backward(std::size_t count, std::size_t entry, std::size_t n, std::size_t k, std::size_t from,
                     std::size_t to) {
    training_.kernels.cell_norm_backward(
        count, training_.size, {raw_.data() + n * raw_ld_ + from * training_.units, raw_ld_}, training_.gain(k),
        norm_cache(entry, k), planes_.data() + n * ld_ + to * training_.units, ld_);
  }
  void gate_norms_backward(std::size_t count, std::size_t entry, std::size_t n) {
    for (std::size_t p = 0; p < training_.cell.gates; ++p)
      norm_backward(count, entry, n, training_.cell.input_gates[p], p, p);
  }
  void map_norms_backward(std::size_t count, std::size_t entry, std::size_t n, std::size_t p, std::size_t end) {
    for (; p < end; ++p)
      norm_backward(count, entry, n, training_.cell.gates + training_.cell.recurrent_maps[p],
                    training_.cell.raw_recurrent + p, training_.cell.recurrent + p);
  }

  // Return where the output of row r before step t is stored.
  const float* output_before(std::size_t t, std::size_t r) const {
    return t == 0 ? training_.args.initial_states + r * training_.size
                  : gradients_.y + (training_.starts[t - 1] + r) * training_.size;
  }

  // Return rows of H floats in place if they need no padding, else copied to `buffer`.
  const float* pad_rows(std::size_t count, const float* rows, float* buffer) const {
    if (training_.is_padding_free()) return rows;
    copy_rows(count, training_.size, rows, training_.size, buffer, training_.units);
    return buffer;
  }

  // Return state s of rows before step t.
  const float* load_state(std::size_t s, std::size_t t, std::size_t first, std::size_t count, float* buffer) const {
    if (s == 0) return pad_rows(count, output_before(t, first), buffer);
    if (t == 0)
      return pad_rows(count, training_.args.initial_states + (s * training_.batch + first) * training_.size, buffer);
    copy_rows(count, training_.units,
              gradients_.saved + (training_.starts[t - 1] + first) * saved_floats() +
                  training_.cell.second_state_plane * training_.units,
              saved_floats(), buffer, training_.units);
    return buffer;
  }

  // Collect pointers to the inputs and to the previous outputs of the chunk's entries; return how many entries it has.
  std::size_t collect_rows(const StepRange& steps) {
    std::size_t n = 0;
    for (std::size_t t = steps.begin; t < steps.end; ++t)
      for (std::size_t r = 0; r < training_.batch_sizes[t]; ++r, ++n) {
        x_rows_[n] = training_.args.x + (training_.starts[t] + r) * training_.inputs;
        h_rows_[n] = output_before(t, r);
      }
    return n;
  }

  // Do worker i's part of what the chunk adds to the gradients of weights (a range of planes) and of dx (a range of
  // entries).
  void accumulate(const StepRange& steps, std::size_t count, std::size_t i, std::size_t workers) {
    const std::size_t share = (count + workers - 1) / workers, first = std::min(count, i * share);
    if (gradients_.dx) write_dx(training_.starts[steps.begin], first, std::min(count, first + share));
    add_weight_gradient(count, 0, x_rows_.data(), dW_, i, workers);
    if (training_.cell.maps)
      add_weight_gradient(count, training_.cell.recurrent * training_.units, h_rows_.data(), dR_, i, workers);
    add_param_gradients(training_.starts[steps.begin], count, i, workers);
    if (training_.cell.has_norms) add_norm_gradients(training_.starts[steps.begin], count, i, workers);
    if (!training_.cell.inner) return;
    std::vector<const float*> inner;
    for (std::size_t n = 0; n < count; ++n) inner.push_back(inner_.data() + n * training_.units);
    add_weight_gradient(count, (training_.cell.recurrent + maps_) * training_.units, inner.data(), inner_dR_, i,
                        workers);
  }

  // Do worker i's part of the gradients of the cell's own parameters.
  void add_param_gradients(std::size_t entry, std::size_t count, std::size_t i, std::size_t workers) {
    for (std::size_t p = i; p < training_.cell.params; p += workers)
      for (std::size_t k = 0; k < count; k += kBlockEntries)
        training_.kernels.add_column_sums(
            std::min(kBlockEntries, count - k), training_.units,
            {raw_planes() + k * raw_ld_ + training_.cell.param_planes[p] * training_.units, raw_ld_},
            {gradients_.saved + (entry + k) * saved_floats() + training_.cell.param_factors[p] * training_.units,
             saved_floats()},
            d_params_.data() + p * training_.units);
  }

  // Do worker i's part of the gradients of gains and biases.
  void add_norm_gradients(std::size_t entry, std::size_t count, std::size_t i, std::size_t workers) {
    for (std::size_t p = i; p < training_.cell.norms(); p += workers) {
      const bool gate = p < training_.cell.gates;
      const std::size_t map = p - training_.cell.gates;
      const std::size_t plane = gate ? p : training_.cell.raw_recurrent + map;
      const std::size_t norm =
          gate ? training_.cell.input_gates[p] : training_.cell.gates + training_.cell.recurrent_maps[map];
      float* const gain = d_params_.data() + (training_.cell.params + norm) * training_.units;
      for (std::size_t k = 0; k < count; k += kBlockEntries) {
        const MatrixView gradient = {raw_.data() + k * raw_ld_ + plane * training_.units, raw_ld_};
        const std::size_t together = std::min(kBlockEntries, count - k);
        training_.kernels.add_column_sums(together, training_.units, gradient,
                                          {norm_cache(entry + k, norm).normalized, saved_floats()}, gain);
        training_.kernels.add_column_sums(together, training_.units, gradient, {nullptr, 0},
                                          gain + training_.cell.norms() * training_.units);
      }
    }
  }

  void write_dx(std::size_t entry, std::size_t first, std::size_t end) {
    AlignedFloats rows(kTileRows * W_.ld);
    const bool whole = W_.ld == training_.inputs;
    for (; first < end; first += kTileRows) {
      const std::size_t count = std::min(kTileRows, end - first);
      float* const dx = gradients_.dx + (entry + first) * training_.inputs;
      W_.multiply(count, {planes_.data() + first * ld_, ld_}, whole ? dx : rows.data());
      if (!whole) copy_rows(count, training_.inputs, rows.data(), W_.ld, dx, training_.inputs);
    }
  }

  void add_weight_gradient(std::size_t count, std::size_t plane, const float* const* rows, WeightGradient& to,
                           std::size_t i, std::size_t workers) {
    const std::size_t lanes = training_.kernels.lanes, share = (to.planes / lanes + workers - 1) / workers * lanes;
    const std::size_t first = std::min(to.planes, i * share), columns = std::min(to.planes - first, share);
    if (columns == 0) return;
    AlignedFloats scratch(kBlockVectors * lanes * kBlockEntries);
    for (std::size_t k = 0; k < count; k += kBlockEntries)
      training_.kernels.add_outer_products(
          std::min(kBlockEntries, count - k), columns, {planes_.data() + k * ld_ + plane + first, ld_}, to.width,
          rows + k, to.matrix.data() + first * to.ld, to.ld, to.bias.data() + first, scratch.data());
  }

  void write_gradients() {
    training_.kernels.add(training_.batch, training_.units, kBroadcastNone, {d_state(0), training_.units},
                          {d_recurrent_.data(), training_.units}, d_state(0), training_.units);
    for (std::size_t s = 0; s < training_.cell.states; ++s)
      copy_rows(training_.batch, training_.size, d_state(s), training_.units,
                gradients_.dinitial_states + s * training_.batch * training_.size, training_.size);
    copy_rows(training_.cell.total_params(), training_.size, d_params_.data(), training_.units, gradients_.dparams,
              training_.size);
    dW_.write(training_, training_.cell.input_gates, gradients_.dW, gradients_.db);
    dR_.write(training_, training_.cell.recurrent_maps, gradients_.dR, gradients_.dc);
    inner_dR_.write(training_, training_.cell.recurrent_maps + maps_, gradients_.dR, gradients_.dc);
  }

  const Training& training_;
  const tidegate_gradients& gradients_;
  const std::size_t maps_;  // maps that multiply h
  // floats between rows of planes (not a power of two, whose rows would share cache sets); entries in a chunk
  const std::size_t ld_, chunk_;
  const TransposedMatrix W_, R_, inner_R_;
  WeightGradient dW_, dR_, inner_dR_;
  const std::size_t raw_ld_;
  AlignedFloats raw_, d_params_;  // planes after the norms; gradients of the cell's own parameters and its norms'
  AlignedFloats planes_, d_state_, d_recurrent_, inner_;
  std::vector<const float*> x_rows_, h_rows_;
};

}  // namespace

void train_backward(const Training& training, const tidegate_gradients& gradients, int threads) {
  BackwardPass(training, gradients).run(training.worker_count(threads));
}

}  // namespace tidegate
