// The kernels of one instruction set, as a table of function pointers that the engine calls.
//
// Rows are padded: a row of n floats takes `ld` floats, where ld is a multiple of `lanes`, and every kernel may read
// and write the padding. Row counts and sizes are at least 1. The files compiled for one instruction set include this
// header, so it has no templates, no inline functions, and only plain types from the standard library.
#pragma once

#include <stddef.h>

namespace tidegate {

// The columns of a packed matrix are stored in blocks of this many vectors; the last block may be narrower.
constexpr int kBlockVectors = 3;

// The largest number of rows that run together.
constexpr size_t kTileRows = 64;

// Which operand of a binary operation has one value per row, to be broadcast over the row.
enum Broadcast { kBroadcastNone, kBroadcastLeft, kBroadcastRight };

// A matrix whose row r starts at data + r * ld. With ld = 0, every row is the same one.
struct MatrixView {
  const float* data;
  size_t ld;
};

// The number format of products. Their sums are always float32.
enum Precision {
  kFloat32,
  kWeightsBf16,  // weights are stored as bfloat16 and widened when read: half the memory traffic
  kComputeBf16,  // the values that weights multiply are rounded to bfloat16 too
};
constexpr int kPrecisions = 3;

// A packed matrix: for each block of columns and each k, `kBlockVectors * lanes` weights are contiguous. bias[vectors *
// lanes]. Where weights are bfloat16, one float of `weights` holds two of them; see MatmulKernels.
struct PackedMatrix {
  size_t depth;
  size_t vectors;
  const float* weights;
  const float* bias;
};

typedef void Unary(size_t rows, size_t width, MatrixView x, float* out, size_t ld);
typedef void Binary(size_t rows, size_t width, Broadcast broadcast, MatrixView a, MatrixView b, float* out, size_t ld);

// One training step of a cell, forward. Rows are contiguous. A row of `inputs` (W x + b) has a plane of `units` floats
// for each gate, a row of `sums` (R h + c) one for each recurrent map, and a row of a state or an output one. `units`
// is the cell's size rounded up to whole vectors; the rest is padding.
struct CellForward {
  const float *inputs, *sums;
  const float* state[2];
  float* next[2];
  float* saved;  // values that the backward pass needs, in rows of `ld` floats; null to save nothing
  size_t ld;
  const float* params;  // the cell's own parameters, one plane each
};

// The same step, backward. planes: gradients of the gates before their activation, in rows of `ld` floats.
struct CellBackward {
  const float* saved;
  size_t ld_saved;
  const float* state[2];  // before the step
  const float* d_output;  // gradient of this step's output
  const float* d_recurrent;  // gradient that comes from later steps through the recurrent maps
  float* d_state[2];         // in: gradient that comes directly from later steps; out: the one for the step before
  float* planes;
  size_t ld;
  const float* params;
};

// What a norm inside a cell saves for the backward pass: the normalized rows, and each row's deviation. Both have rows
// of `ld` floats. Null pointers save nothing.
struct NormCache {
  float *normalized, *deviations;
  size_t ld;
};

struct CellKernels {
  void (*forward)(size_t rows, size_t units, const CellForward& step);
  void (*backward)(size_t rows, size_t size, size_t units, const CellBackward& step);
  // For cells whose last recurrent map multiplies a value of the cell (`inner`) instead of h; null for all other cells.
  // inner_forward runs before `forward` and computes `inner` from the sums of the other maps. inner_backward runs after
  // `backward` and takes the gradient of `inner`, which it computes again.
  void (*inner_forward)(size_t rows, size_t units, const CellForward& step, float* sums, float* inner);
  void (*inner_backward)(size_t rows, size_t size, size_t units, const CellBackward& step, const float* gradient,
                         float* inner);
};
constexpr int kCellCount = 9;

// The kernels that multiply matrices, for one precision.
struct MatmulKernels {
  Precision precision;
  size_t k_pack;          // values of k that are adjacent in a packed column: 1 for float32, 2 for bfloat16
  size_t depth_multiple;  // a packed column is filled with zeros to a multiple of this

  // out[r, j] = bias[j] + sum over k of x[r, k] * weights[k, j]. Each output is one chain of additions in ascending
  // order of k. Where an instruction takes several values of k at once, its own order applies, which is the same for
  // any number of rows.
  void (*matmul)(size_t rows, const PackedMatrix* matrix, MatrixView x, float* out, size_t ld);

  // One fused step of a GRU (reset after, update keep), or null where fused kernels are left out of the build.
  // `recurrent` has a block [r z n] for every vector of h; rows of `inputs` hold W x + b in the same order. out and h
  // do not overlap.
  void (*gru)(size_t rows, const PackedMatrix* recurrent, MatrixView inputs, MatrixView h, float* out, size_t ld);

  // The same for one row. It also computes W x + b into `inputs`, unless `input` is null. `sums` is scratch memory of
  // the same size. With `backwards`, the weights are read from the last block to the first: when steps alternate, the
  // blocks that one step reads last are read first by the next one, while the cache still has them.
  void (*gru_step)(const PackedMatrix* input, const float* x, float* inputs, const PackedMatrix* recurrent,
                   const float* h, float* sums, float* out, int backwards);

  // `matmul` for one row, reading the weights forwards or backwards for the same reason. Null wherever gru is.
  void (*matmul_row)(const PackedMatrix* matrix, const float* x, float* out, int backwards);
};

struct Kernels : MatmulKernels {
  const char* name;
  size_t lanes;

  // Elementwise operations; width is a multiple of lanes.
  Unary *neg, *abs, *exp, *sigmoid, *tanh, *relu, *sqrt;
  Binary *add, *sub, *mul, *div, *minimum, *maximum, *less;  // less: 1 where a < b, else 0

  // Reductions inside one row, x[outer, n, inner] -> out[outer, inner], in ascending order of n.
  void (*sum_axis)(size_t outer, size_t n, size_t inner, const float* x, float* out);
  void (*peak_axis)(size_t outer, size_t n, size_t inner, const float* x, float* out);
  // Over the last axis of x[groups, n], in the order of the norms: the mean, and the product with y[y_groups, n]. Group
  // g of the result reads group g % x_groups of x and g % y_groups of y.
  void (*means)(size_t groups, size_t n, const float* x, float* out);
  // out[g, i] = sum over k, ascending, of a[k, g] b[k, g, i], for g < groups and i < width.
  void (*sum_products)(size_t n, size_t groups, size_t width, const float* a, const float* b, float* out);
  void (*dots)(size_t groups, size_t n, size_t x_groups, const float* x, size_t y_groups, const float* y, float* out);

  // (x - mean) / sqrt(variance + eps) * gain + bias, over the n values of each row.
  void (*norm)(size_t rows, size_t n, MatrixView x, const float* gain, const float* bias, float eps, float* out,
               size_t ld);
  // (x - mean) / sqrt(variance + eps), over the n values of each row.
  void (*normalize)(size_t rows, size_t n, MatrixView x, float eps, float* out, size_t ld);
  void (*softmax)(size_t rows, size_t n, MatrixView x, float* out, size_t ld);

  // `norm` for use inside a cell: gain and bias have a row for each row of x (ld 0: one row for all).
  void (*cell_norm)(size_t rows, size_t n, MatrixView x, MatrixView gain, MatrixView bias, float eps, float* out,
                    size_t ld, const NormCache& cache);
  // The gradient with respect to x, given the gradient of the output. The padding of both gradients is zero.
  void (*cell_norm_backward)(size_t rows, size_t n, MatrixView gradient, const float* gain, const NormCache& cache,
                             float* out, size_t ld);
  // out[i] += sum over k < count of a[k, i] * b[k, i]; without b, of a[k, i] alone.
  void (*add_column_sums)(size_t count, size_t width, MatrixView a, MatrixView b, float* out);

  // One step of pooling for one row: adds x to the state and writes the pooled value so far to `out`.
  void (*pool_mean)(size_t n, const float* x, float steps, float* sum, float* out);
  void (*pool_max)(size_t n, const float* x, float* max, float* out);
  void (*pool_attention)(size_t n, const float* x, const float* score, float score_bias, float* peak, float* weight,
                         float* sum, float* out);

  // out[i, j] += sum over k of a[k, i] * b[k][j] and sums[i] += sum over k of a[k, i], for k < depth, i < columns
  // (whole vectors) and j < width. scratch: 3 * lanes * depth floats.
  void (*add_outer_products)(size_t depth, size_t columns, MatrixView a, size_t width, const float* const* b,
                             float* out, size_t ld, float* sums, float* scratch);
  // out = sum over k, ascending, of x[k] * weights[k]. The weights are 8, 4, 2 or 1 `vectors` wide.
  void (*matmul_panel)(size_t depth, size_t vectors, const float* x, const float* weights, float* out);
  CellKernels cells[kCellCount];  // indexed by tidegate_cell
};

}  // namespace tidegate
