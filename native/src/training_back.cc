// Training's way back: gradients step by step, then over all entries of a chunk of steps at once.
#include "training.h"

namespace tidegate {
namespace {

// Floats of gates' gradients that a chunk holds: few enough for the second-level cache.
constexpr std::size_t kChunkFloats = std::size_t{1} << 18;

// Entries whose products are summed before the sum joins a weight's gradient: a panel fits the first-level cache, and
// short sums err less. Sums must not depend on threads, so neither this nor a chunk does.
constexpr std::size_t kEntriesTogether = 128;

std::size_t whole_vectors(const Training& of, std::size_t n) {
  return (n + of.kernels.lanes - 1) / of.kernels.lanes * of.kernels.lanes;
}

// A matrix [_ * H, columns] turned, for products with planes: its map order[p] goes with plane p. single: rows come one
// at a time.
class Turned {
 public:
  Turned(const Training& of, const float* matrix, std::size_t columns, std::size_t maps, const std::size_t* order,
         bool single)
      : row(whole_vectors(of, columns)), single_(single), kernels_(of.kernels), weights_(maps * of.units * row), bias_(row) {
    const std::size_t depth = maps * of.units, vectors = row / kernels_.lanes;
    for (std::size_t v = 0, wide; v < vectors; v += wide) {
      wide = panel(vectors - v);
      float* const to = weights_.data() + v * kernels_.lanes * depth;
      const std::size_t j = v * kernels_.lanes, floats = wide * kernels_.lanes;
      for (std::size_t p = 0; p < maps; ++p)
        copy_rows(of.size, std::min(floats, columns - j), matrix + order[p] * of.size * columns + j, columns,
                  to + p * of.units * floats, floats);
      panels_.push_back({depth, wide, to, bias_.data()});
    }
  }

  // out: rows of `row` floats.
  void multiply(std::size_t rows, Rows x, float* out) const {
    for (const Product& panel : panels_) {
      if (single_)
        kernels_.row(panel.depth, panel.vectors, x.data, panel.weights, out);
      else
        kernels_.product(rows, &panel, x, out, row);
      out += panel.vectors * kernels_.lanes;
    }
  }

  const std::size_t row;

 private:
  // Vectors side by side: three, but two and two where one would be left over, as one alone is slow.
  std::size_t panel(std::size_t left) const {
    if (single_) return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    return left == 4 ? 2 : std::min<std::size_t>(left, kBlockVectors);
  }

  const bool single_;
  const Kernels& kernels_;
  Floats weights_, bias_;
  std::vector<Product> panels_;
};

// The gradients of one matrix and its bias, padded, in the order of planes.
struct WeightGradient {
  WeightGradient(const Training& of, std::size_t maps, std::size_t columns)
      : maps(maps), width(columns), row(whole_vectors(of, columns)), planes(maps * of.units), matrix(planes * row),
        bias(planes) {}

  void write(const Training& of, const std::size_t* order, float* to, float* to_bias) const {
    for (std::size_t p = 0; p < maps; ++p) {
      copy_rows(of.size, width, matrix.data() + p * of.units * row, row, to + order[p] * of.size * width, width);
      copy_rows(1, of.size, bias.data() + p * of.units, 0, to_bias + order[p] * of.size, 0);
    }
  }

  const std::size_t maps, width, row, planes;
  Floats matrix, bias;
};

// Steps [begin, end).
struct Steps {
  std::size_t begin, end;
};

class Back {
 public:
  Back(const Training& training, const tidegate_gradients& gradients)
      : of_(training), to_(gradients), maps_(training.cell.maps - training.cell.inner), ld_(training.cell.planes * training.units + training.kernels.lanes),
        chunk_(std::min(training.entries,
                        std::max(training.batch, std::max<std::size_t>(kChunkFloats / ld_, kEntriesTogether)))),
        W_(training, training.given.W, training.inputs, training.cell.gates, training.cell.input_gates,
           false),
        R_(training, training.given.R, training.size, maps_, training.cell.recurrent_maps, training.batch == 1),
        inner_R_(training, training.given.R, training.size, training.cell.inner, training.cell.recurrent_maps + maps_,
                 training.batch == 1),
        dW_(training, training.cell.gates, training.inputs), dR_(training, maps_, training.size),
        inner_dR_(training, training.cell.inner, training.size),
        raw_ld_(training.cell.normed ? training.cell.raw_planes * training.units : ld_),
        raw_(training.cell.normed ? chunk_ * raw_ld_ : 0), down_(training.cell.parameters() * training.units),
        planes_(chunk_ * ld_), carry_(training.cell.states * plane()), product_(plane()), inner_(training.cell.inner * chunk_ * training.units), x_(chunk_), h_(chunk_) {
    for (std::size_t s = 0; s < of_.cell.states; ++s)
      copy_rows(of_.batch, of_.size, to_.dlast + s * of_.batch * of_.size, of_.size, carry(s), of_.units);
  }

  void run(std::size_t crew) {
    const std::vector<Share> tiles = of_.tiles(crew);
    for (std::size_t end = of_.steps; end > 0;) {
      const Steps steps = {chunk_before(end), end};
      share_out(crew, [&](std::size_t i) {
        for (std::size_t n = i; n < tiles.size(); n += crew) descend(steps, tiles[n]);
      });
      const std::size_t count = point(steps);
      share_out(crew, [&](std::size_t i) { gather(steps, count, i, crew); });
      end = steps.begin;
    }
    finish();
  }

 private:
  std::size_t plane() const { return of_.batch * of_.units; }
  float* carry(std::size_t s) const { return carry_.data() + s * plane(); }

  std::size_t chunk_before(std::size_t end) const {
    std::size_t begin = end - 1, items = of_.rows[begin];
    while (begin > 0 && items + of_.rows[begin - 1] <= chunk_) items += of_.rows[--begin];
    return begin;
  }

  // A tile's gates, from the chunk's last step to its first.
  void descend(const Steps& steps, const Share& tile) {
    Floats rows((of_.cell.states + 1) * tile.count * of_.units), inner(of_.cell.inner * tile.count * of_.units);
    const std::size_t at = tile.first * of_.units;
    for (std::size_t t = steps.end; t-- > steps.begin;) {
      const std::size_t count = of_.alive(tile, t), entry = of_.starts[t] + tile.first;
      if (count == 0) continue;
      const std::size_t n = entry - of_.starts[steps.begin];
      float* const planes = planes_.data() + n * ld_;
      CellBackward step = {to_.saved + entry * saved_row(), saved_row(), {}, nullptr, product_.data() + at, {},
                           raw() + n * raw_ld_, raw_ld_, of_.own.data()};
      step.output = padded(count, to_.dy + entry * of_.size, rows.data());
      for (std::size_t s = 0; s < of_.cell.states; ++s) {
        step.state[s] = before(s, t, tile.first, count, rows.data() + (s + 1) * tile.count * of_.units);
        step.carry[s] = carry(s) + at;
      }
      of_.step.backward(count, of_.size, of_.units, step);
      if (of_.cell.inner) {
        if (of_.cell.normed) norm_maps(count, entry, n, maps_, of_.cell.maps);
        inner_R_.multiply(count, {planes + (of_.cell.recurrent + maps_) * of_.units, ld_}, inner.data());
        of_.step.inner_backward(count, of_.size, of_.units, step, inner.data(),
                                inner_.data() + n * of_.units);
      }
      if (of_.cell.normed) norm_maps(count, entry, n, 0, maps_);
      if (of_.cell.normed) norm_gates(count, entry, n);
      if (of_.cell.maps)
        R_.multiply(count, {planes + of_.cell.recurrent * of_.units, ld_}, product_.data() + at);
    }
  }

  std::size_t saved_row() const { return of_.saved_row(); }

  // The cell's own gradients of its planes, before a norm's.
  float* raw() const { return of_.cell.normed ? raw_.data() : planes_.data(); }

  // What norm k kept of an entry; it is only read.
  Kept kept(std::size_t entry, std::size_t k) const {
    return of_.kept(const_cast<float*>(to_.saved) + entry * saved_row(), k);
  }

  // The n-th entries of the chunk: a plane's gradient through norm k.
  void norm(std::size_t count, std::size_t entry, std::size_t n, std::size_t k, std::size_t from, std::size_t to) {
    of_.kernels.normed_back(count, of_.size, {raw_.data() + n * raw_ld_ + from * of_.units, raw_ld_}, of_.gain(k),
                            kept(entry, k), planes_.data() + n * ld_ + to * of_.units, ld_);
  }
  void norm_gates(std::size_t count, std::size_t entry, std::size_t n) {
    for (std::size_t p = 0; p < of_.cell.gates; ++p) norm(count, entry, n, of_.cell.input_gates[p], p, p);
  }
  void norm_maps(std::size_t count, std::size_t entry, std::size_t n, std::size_t p, std::size_t end) {
    for (; p < end; ++p)
      norm(count, entry, n, of_.cell.gates + of_.cell.recurrent_maps[p], of_.cell.raw_recurrent + p,
           of_.cell.recurrent + p);
  }

  // Where row r's output before step t stands.
  const float* output_before(std::size_t t, std::size_t r) const {
    return t == 0 ? of_.given.first + r * of_.size : to_.y + (of_.starts[t - 1] + r) * of_.size;
  }

  // Rows of H floats where they lie if they need no padding, else copied to `room`.
  const float* padded(std::size_t count, const float* rows, float* room) const {
    if (of_.unpadded()) return rows;
    copy_rows(count, of_.size, rows, of_.size, room, of_.units);
    return room;
  }

  // State s of rows before step t.
  const float* before(std::size_t s, std::size_t t, std::size_t first, std::size_t count, float* room) const {
    if (s == 0) return padded(count, output_before(t, first), room);
    if (t == 0) return padded(count, of_.given.first + (s * of_.batch + first) * of_.size, room);
    copy_rows(count, of_.units, to_.saved + (of_.starts[t - 1] + first) * saved_row() + of_.cell.second * of_.units,
              saved_row(), room, of_.units);
    return room;
  }

  // Where the chunk's inputs and states before each step lie; returns how many entries it has.
  std::size_t point(const Steps& steps) {
    std::size_t n = 0;
    for (std::size_t t = steps.begin; t < steps.end; ++t)
      for (std::size_t r = 0; r < of_.rows[t]; ++r, ++n) {
        x_[n] = of_.given.x + (of_.starts[t] + r) * of_.inputs;
        h_[n] = output_before(t, r);
      }
    return n;
  }

  // One of `crew` shares of what the chunk adds to the weights' gradients, by planes, and of dx, by entries.
  void gather(const Steps& steps, std::size_t count, std::size_t i, std::size_t crew) {
    const std::size_t share = (count + crew - 1) / crew, first = std::min(count, i * share);
    if (to_.dx) write_dx(of_.starts[steps.begin], first, std::min(count, first + share));
    add_up(count, 0, x_.data(), dW_, i, crew);
    if (of_.cell.maps) add_up(count, of_.cell.recurrent * of_.units, h_.data(), dR_, i, crew);
    add_own(of_.starts[steps.begin], count, i, crew);
    if (of_.cell.normed) add_norms(of_.starts[steps.begin], count, i, crew);
    if (!of_.cell.inner) return;
    std::vector<const float*> inner;
    for (std::size_t n = 0; n < count; ++n) inner.push_back(inner_.data() + n * of_.units);
    add_up(count, (of_.cell.recurrent + maps_) * of_.units, inner.data(), inner_dR_, i, crew);
  }

  // One share of what the chunk adds to the gradients of the cell's own parameters.
  void add_own(std::size_t entry, std::size_t count, std::size_t i, std::size_t crew) {
    for (std::size_t p = i; p < of_.cell.own; p += crew)
      for (std::size_t k = 0; k < count; k += kEntriesTogether)
        of_.kernels.column_sums(
            std::min(kEntriesTogether, count - k), of_.units,
            {raw() + k * raw_ld_ + of_.cell.own_planes[p] * of_.units, raw_ld_},
            {to_.saved + (entry + k) * saved_row() + of_.cell.own_factors[p] * of_.units, saved_row()},
            down_.data() + p * of_.units);
  }

  // One share of what the chunk adds to the gradients of gains and biases.
  void add_norms(std::size_t entry, std::size_t count, std::size_t i, std::size_t crew) {
    for (std::size_t p = i; p < of_.cell.norms(); p += crew) {
      const bool gate = p < of_.cell.gates;
      const std::size_t map = p - of_.cell.gates;
      const std::size_t plane = gate ? p : of_.cell.raw_recurrent + map;
      const std::size_t norm = gate ? of_.cell.input_gates[p] : of_.cell.gates + of_.cell.recurrent_maps[map];
      float* const gain = down_.data() + (of_.cell.own + norm) * of_.units;
      for (std::size_t k = 0; k < count; k += kEntriesTogether) {
        const Rows gradient = {raw_.data() + k * raw_ld_ + plane * of_.units, raw_ld_};
        const std::size_t together = std::min(kEntriesTogether, count - k);
        of_.kernels.column_sums(together, of_.units, gradient, {kept(entry + k, norm).normed, saved_row()}, gain);
        of_.kernels.column_sums(together, of_.units, gradient, {nullptr, 0}, gain + of_.cell.norms() * of_.units);
      }
    }
  }

  void write_dx(std::size_t entry, std::size_t first, std::size_t end) {
    Floats rows(kTileRows * W_.row);
    const bool whole = W_.row == of_.inputs;
    for (; first < end; first += kTileRows) {
      const std::size_t count = std::min(kTileRows, end - first);
      float* const dx = to_.dx + (entry + first) * of_.inputs;
      W_.multiply(count, {planes_.data() + first * ld_, ld_}, whole ? dx : rows.data());
      if (!whole) copy_rows(count, of_.inputs, rows.data(), W_.row, dx, of_.inputs);
    }
  }

  void add_up(std::size_t count, std::size_t plane, const float* const* rows, WeightGradient& to, std::size_t i,
              std::size_t crew) {
    const std::size_t lanes = of_.kernels.lanes, share = (to.planes / lanes + crew - 1) / crew * lanes;
    const std::size_t first = std::min(to.planes, i * share), columns = std::min(to.planes - first, share);
    if (columns == 0) return;
    Floats scratch(kBlockVectors * lanes * kEntriesTogether);
    for (std::size_t k = 0; k < count; k += kEntriesTogether)
      of_.kernels.outer(std::min(kEntriesTogether, count - k), columns,
                        {planes_.data() + k * ld_ + plane + first, ld_}, to.width, rows + k,
                        to.matrix.data() + first * to.row, to.row, to.bias.data() + first, scratch.data());
  }

  void finish() {
    of_.kernels.add(of_.batch, of_.units, kFormFull, {carry(0), of_.units}, {product_.data(), of_.units}, carry(0),
                    of_.units);
    for (std::size_t s = 0; s < of_.cell.states; ++s)
      copy_rows(of_.batch, of_.size, carry(s), of_.units, to_.dfirst + s * of_.batch * of_.size, of_.size);
    copy_rows(of_.cell.parameters(), of_.size, down_.data(), of_.units, to_.down, of_.size);
    dW_.write(of_, of_.cell.input_gates, to_.dW, to_.db);
    dR_.write(of_, of_.cell.recurrent_maps, to_.dR, to_.dc);
    inner_dR_.write(of_, of_.cell.recurrent_maps + maps_, to_.dR, to_.dc);
  }

  const Training& of_;
  const tidegate_gradients& to_;
  const std::size_t maps_;        // that multiply h
  const std::size_t ld_, chunk_;  // floats between rows of planes (no power of two: those share cache lines); entries
  const Turned W_, R_, inner_R_;
  WeightGradient dW_, dR_, inner_dR_;
  const std::size_t raw_ld_;
  Floats raw_, down_;  // raw planes of a norm; gradients of the cell's own parameters and its norms'
  Floats planes_, carry_, product_, inner_;
  std::vector<const float*> x_, h_;
};

}  // namespace

void train_backward(const Training& training, const tidegate_gradients& gradients, int threads) {
  Back(training, gradients).run(training.crew(threads));
}

}  // namespace tidegate
