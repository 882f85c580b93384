// Training a recurrence: what the two ways share.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>

#include "layer.h"

namespace tidegate {

// A cell in figures. On the way back planes hold the gradients of its gates: those of the inputs stand from plane 0 on,
// those of the recurrent maps from plane `recurrent` on; `input_gates` and `recurrent_maps` say which each is.
// The last `inner` of the maps multiply a number of the cell's own.
struct TrainedCell {
  std::size_t gates, maps, inner, states, saved, planes, recurrent;
  std::size_t second;  // the saved plane that holds the second state
  std::size_t input_gates[4], recurrent_maps[4];
  std::size_t own = 0;  // parameters of the cell's own: each multiplies a saved plane, and joins a gate's
  std::size_t own_planes[3] = {}, own_factors[3] = {};

  // With a norm, planes stand twice: as its gradients reach them (raw), and as they reach inputs and maps, each apart.
  // Behind the cell's own saved planes stand what was scaled, of the gates, then of the maps, and the deviations.
  bool normed = false;
  std::size_t raw_planes = planes, raw_recurrent = recurrent, kept = saved;

  std::size_t norms() const { return normed ? gates + maps : 0; }
  std::size_t parameters() const { return own + 2 * norms(); }
};

// Floats of an entry's deviations: of at most 8 norms, in whole vectors of every target.
constexpr std::size_t kDeviations = 16;

// Neighbouring rows of a batch that go through the steps together.
struct Share {
  std::size_t first, count;
};

// The caller's arrays, checked, and what follows from their sizes.
struct Training {
  // Throws ValueError where the figures do not fit together.
  Training(const Kernels& kernels, const tidegate_training& given);

  // How many rows of a tile have step t.
  std::size_t alive(const Share& tile, std::size_t t) const {
    return t >= steps || rows[t] <= tile.first ? 0 : std::min(rows[t] - tile.first, tile.count);
  }
  bool unpadded() const { return size == units; }
  std::vector<Share> tiles(std::size_t crew) const;
  // As many threads as are worth it.
  std::size_t crew(int threads) const;
  // Floats saved for an entry.
  std::size_t saved_row() const { return cell.saved * units + (cell.normed ? kDeviations : 0); }
  // What norm k keeps of the entry whose floats are saved here (null: nothing). Norms are counted over gates, then maps.
  Kept kept(float* saved, std::size_t k) const {
    if (!saved) return {nullptr, nullptr, 0};
    return {saved + (cell.kept + k) * units, saved + cell.saved * units + k, saved_row()};
  }
  const float* gain(std::size_t k) const { return own.data() + (cell.own + k) * units; }
  const float* bias(std::size_t k) const { return gain(cell.norms() + k); }

  const Kernels& kernels;
  const tidegate_training& given;
  const TrainedCell cell;
  const CellKernels& step;
  const std::size_t inputs, size, units, steps;  // units: size in whole vectors
  std::size_t batch, entries;
  std::vector<std::size_t> rows, starts;  // of each step: its rows, and where its entries begin
  Floats own;  // the cell's own parameters and those of its norms, padded
};

TrainedCell trained_cell(std::int32_t cell);

// last: [S, B, H]. saved: null, or `saved_row` floats an entry.
void train_forward(const Training& training, float* y, float* last, float* saved, int threads);
void train_backward(const Training& training, const tidegate_gradients& gradients, int threads);

// Runs work(0) ... work(crew - 1), each on a thread of its own as far as the system gives them.
void share_out(std::size_t crew, const std::function<void(std::size_t)>& work);

// Copies `count` rows of `width` floats between arrays whose rows are so far apart.
inline void copy_rows(std::size_t count, std::size_t width, const float* from, std::size_t ld_from, float* to,
                      std::size_t ld_to) {
  for (std::size_t r = 0; r < count; ++r) std::memcpy(to + r * ld_to, from + r * ld_from, width * sizeof(float));
}

}  // namespace tidegate
