// What one instruction set offers the engine: a table of function pointers.
//
// Rows are padded: a row of n floats takes `ld` floats, ld a multiple of `lanes`, and every kernel may read and
// write the padding. Row counts and sizes are at least 1. Included by the instruction-set units, so: no templates
// and no inline functions here, and nothing of the standard library but plain types.
#pragma once

#include <stddef.h>

namespace tidegate {

// Columns of a packed product stand in blocks of this many vectors; the last block may be narrower.
constexpr int kBlockVectors = 3;

// Rows that run together at most.
constexpr size_t kTileRows = 64;

// Which operand of a binary operation is one value per row, spread over the row.
enum Form { kFormFull, kFormLeftOne, kFormRightOne };

// A matrix of rows: row r starts at data + r * ld. ld = 0 repeats one row.
struct Rows {
  const float* data;
  size_t ld;
};

// What products multiply; their sums are float32 always.
enum Precision {
  kFloat32,
  kWeightsBf16,  // weights are kept as bfloat16 and widened: half the bytes to read
  kComputeBf16,  // what they multiply is rounded to bfloat16 too
};
constexpr int kPrecisions = 3;

// A packed matrix: block by block, k by k, `kBlockVectors * lanes` weights side by side; bias[vectors * lanes]. A
// float of weights may be two of bfloat16, see Products.
struct Product {
  size_t depth;
  size_t vectors;
  const float* weights;
  const float* bias;
};

typedef void Unary(size_t rows, size_t width, Rows x, float* out, size_t ld);
typedef void Binary(size_t rows, size_t width, Form form, Rows a, Rows b, float* out, size_t ld);

// One step of a cell in training. Rows lie without gaps: inputs (W x + b) hold a plane of `units` floats a gate, sums
// (R h + c) one a map, states and outputs one. Units are whole vectors; what lies beyond a cell's size is padding.
struct CellForward {
  const float *inputs, *sums;
  const float* state[2];
  float* next[2];
  float* saved;  // what the way back needs, rows of `ld`; null: nothing is kept
  size_t ld;
  const float* own;  // the cell's own parameters, a plane each
};

// The same step on the way back. planes: gradients of the gates before they are squashed, rows of `ld`.
struct CellBackward {
  const float* saved;
  size_t ld_saved;
  const float* state[2];  // before the step
  const float* output;    // gradient of the step's own output
  const float* product;   // what comes from later steps through the recurrent maps
  float* carry[2];        // what comes from later steps directly; then what goes to the step before
  float* planes;
  size_t ld;
  const float* own;
};

// What a norm inside a cell leaves for the way back: the scaled rows, and the deviation of each; rows of `ld` both. Null:
// nothing is kept.
struct Kept {
  float *normed, *spreads;
  size_t ld;
};

struct CellKernels {
  void (*forward)(size_t rows, size_t units, const CellForward& step);
  void (*backward)(size_t rows, size_t size, size_t units, const CellBackward& step);
  // Where the last map multiplies a number of the cell's own, `inner`, and not h; null elsewhere. Ahead: from the sums of
  // the other maps, before `forward`. Back: after `backward`, from inner's gradient; works inner out once more.
  void (*inner_forward)(size_t rows, size_t units, const CellForward& step, float* sums, float* inner);
  void (*inner_backward)(size_t rows, size_t size, size_t units, const CellBackward& step, const float* gradient,
                         float* inner);
};
constexpr int kTrainedCells = 9;

// What multiplies, in one precision.
struct Products {
  Precision precision;
  size_t together;  // of a column of packed weights, so many k stand side by side: 1 of float, 2 of bfloat16
  size_t deep;      // and zeros fill its depth to a multiple of this

  // out[r, j] = bias[j] + sum over k of x[r, k] * weights[k, j]: one chain per output, k ascending; where an instruction
  // takes several k at once, in its order, the same for any number of rows.
  void (*product)(size_t rows, const Product* product, Rows x, float* out, size_t ld);

  // One fused step of a GRU (reset after, update keep), or null where fused kernels are left out. `recurrent` has a
  // block [r z n] for every vector of h; inputs rows hold the input part in that order. out and h do not overlap.
  void (*gru)(size_t rows, const Product* recurrent, Rows inputs, Rows h, float* out, size_t ld);

  // The same for one row, with its input part: unless `input` is null, W x + b of x is worked out into `inputs`. sums: room
  // for as much. backwards: the weights' blocks from last to first; by turns with forwards, what one step read last is
  // what the next reads first, from the nearest cache.
  void (*gru_step)(const Product* input, const float* x, float* inputs, const Product* recurrent, const float* h,
                   float* sums, float* out, int backwards);

  // `product` of one row, from the weights' first blocks on or from the last, for the same reason; null with gru.
  void (*row_product)(const Product* product, const float* x, float* out, int backwards);
};

struct Kernels : Products {
  const char* name;
  size_t lanes;

  // Elementwise; width is a multiple of lanes.
  Unary *neg, *abs, *exp, *sigmoid, *tanh, *relu;
  Binary *add, *sub, *mul, *div, *minimum, *maximum;

  // (x - mean) / sqrt(variance + eps) * gain + bias over n values of each row.
  void (*norm)(size_t rows, size_t n, Rows x, const float* gain, const float* bias, float eps, float* out, size_t ld);
  // (x - mean) / sqrt(variance + eps) over n values of each row.
  void (*normalize)(size_t rows, size_t n, Rows x, float eps, float* out, size_t ld);
  void (*softmax)(size_t rows, size_t n, Rows x, float* out, size_t ld);

  // The same times gain, plus bias, for the norm inside a cell: gain and bias go row by row with x (ld 0: one for all).
  void (*normed)(size_t rows, size_t n, Rows x, Rows gain, Rows bias, float eps, float* out, size_t ld, const Kept& kept);
  // Its gradient with respect to x, from that of what came out, whose padding is zero; so is out's.
  void (*normed_back)(size_t rows, size_t n, Rows gradient, const float* gain, const Kept& kept, float* out, size_t ld);
  // out[i] += sum over k < count of a[k, i] * b[k, i]; without b, of a[k, i].
  void (*column_sums)(size_t count, size_t width, Rows a, Rows b, float* out);

  // One step of one row's pool: x joins the state, out is the value so far.
  void (*pool_mean)(size_t n, const float* x, float steps, float* sum, float* out);
  void (*pool_max)(size_t n, const float* x, float* max, float* out);
  void (*pool_attention)(size_t n, const float* x, const float* score, float score_bias, float* peak, float* weight,
                         float* sum, float* out);

  // out[i, j] += sum over k of a[k, i] * b[k][j], and sums[i] that of a[k, i], for k < depth, i < columns (whole vectors)
  // and j < width. scratch: 3 * lanes * depth floats.
  void (*outer)(size_t depth, size_t columns, Rows a, size_t width, const float* const* b, float* out, size_t ld,
                float* sums, float* scratch);
  // out = sum over k ascending of x[k] * weights[k], of `vectors` vectors: 8, 4, 2 or 1.
  void (*row)(size_t depth, size_t vectors, const float* x, const float* weights, float* out);
  CellKernels cells[kTrainedCells];  // by tidegate_cell
};

}  // namespace tidegate
