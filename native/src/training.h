// Training a recurrent layer: what the forward and the backward pass share.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>

#include "layer.h"

namespace tidegate {

// The sizes and indices of a cell. In the backward pass, planes hold the gradients of its gates: the input gates start
// at plane 0, the recurrent maps at plane `recurrent`; `input_gates` and `recurrent_maps` say which gate or map each of
// these planes belongs to. The last `inner` maps multiply `inner` (see CellKernels).
struct CellSpec {
  std::size_t gates, maps, inner, states, saved, planes, recurrent;
  std::size_t second_state_plane;  // the saved plane with the second state
  std::size_t input_gates[4], recurrent_maps[4];
  std::size_t params = 0;  // the cell's own parameters; each multiplies a saved plane and is added to a gate
  std::size_t param_planes[3] = {}, param_factors[3] = {};

  // With norms there are two sets of planes: the gradients after the norms (raw), and those before them, with separate
  // planes for inputs and maps. The saved values of an entry then continue with the normalized gates, the normalized
  // maps, and their deviations.
  bool has_norms = false;
  std::size_t raw_planes = planes, raw_recurrent = recurrent, norm_plane = saved;

  std::size_t norms() const { return has_norms ? gates + maps : 0; }
  std::size_t total_params() const { return params + 2 * norms(); }
};

// Floats for the deviations of one entry: for at most 8 norms, in whole vectors on every target.
constexpr std::size_t kDeviationFloats = 16;

// Consecutive rows of a batch.
struct RowRange {
  std::size_t first, count;
};

// The caller's arguments, checked, and the sizes that follow from them.
struct Training {
  // Throws ValueError if the arguments do not fit together.
  Training(const Kernels& kernels, const tidegate_training& args);

  // Return how many rows of a tile have step t.
  std::size_t alive_rows(const RowRange& tile, std::size_t t) const {
    return t >= steps || batch_sizes[t] <= tile.first ? 0 : std::min(batch_sizes[t] - tile.first, tile.count);
  }
  bool is_padding_free() const { return size == units; }
  std::vector<RowRange> tiles(std::size_t worker_count) const;
  // Return how many threads are worth starting, at most `threads`.
  std::size_t worker_count(int threads) const;
  // Return the number of floats saved for one entry.
  std::size_t saved_floats() const { return cell.saved * units + (cell.has_norms ? kDeviationFloats : 0); }
  // Return where norm k saves its values, given the entry's saved floats (null: nowhere). Norms are numbered over the
  // gates, then over the maps.
  NormCache norm_cache(float* saved, std::size_t k) const {
    if (!saved) return {nullptr, nullptr, 0};
    return {saved + (cell.norm_plane + k) * units, saved + cell.saved * units + k, saved_floats()};
  }
  const float* gain(std::size_t k) const { return params.data() + (cell.params + k) * units; }
  const float* bias(std::size_t k) const { return gain(cell.norms() + k); }

  const Kernels& kernels;
  const tidegate_training& args;
  const CellSpec cell;
  const CellKernels& cell_kernels;
  const std::size_t inputs, size, units, steps;  // units: size rounded up to whole vectors
  std::size_t batch, entries;
  std::vector<std::size_t> batch_sizes, starts;  // by step: its number of rows, and its first entry
  AlignedFloats params;                          // the cell's own parameters, then those of its norms, padded
};

CellSpec get_cell_spec(std::int32_t cell);

// final_states: [S, B, H]. saved: null, or `saved_floats()` floats per entry.
void train_forward(const Training& training, float* y, float* final_states, float* saved, int threads);
void train_backward(const Training& training, const tidegate_gradients& gradients, int threads);

// Run work(0) ... work(worker_count - 1), each on its own thread as far as the system provides them.
void parallel_for(std::size_t worker_count, const std::function<void(std::size_t)>& work);

// Copy `count` rows of `width` floats between arrays with different distances between rows.
inline void copy_rows(std::size_t count, std::size_t width, const float* from, std::size_t ld_from, float* to,
                      std::size_t ld_to) {
  for (std::size_t r = 0; r < count; ++r) std::memcpy(to + r * ld_to, from + r * ld_from, width * sizeof(float));
}

}  // namespace tidegate
