// A layer of an engine: packed weights, and one function that runs them over a chunk of steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.h"
#include "tidegate.h"

namespace tidegate {

// Whether to start threads for any amount of work, so that tests cover them.
#ifdef TIDEGATE_EAGER_THREADS
constexpr bool kEagerThreads = true;
#else
constexpr bool kEagerThreads = false;
#endif

// An invalid argument. The C API returns TIDEGATE_VALUE with its message.
struct ValueError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Floats aligned to 64 bytes, initially zero.
class AlignedFloats {
 public:
  explicit AlignedFloats(std::size_t count = 0);
  float* data() const { return data_; }

 private:
  struct Free {
    void operator()(void* block) const;
  };
  std::unique_ptr<void, Free> block_;
  float* data_;
};

// One array of a layer's state, and its place in a stream's state block.
struct StateArray {
  std::int64_t offset;  // bytes
  std::int64_t size;    // floats
  bool in_place = false;  // whether the layer reads or changes it in its block, so that it is not copied
  bool held = false;      // whether steps only read it, so that many rows can have the same one
};

// The rows of a tile, longest first, while a layer runs. `state[i]` holds array i of the layer's state, one padded row
// for each row of the tile; `spare[i]` is a second buffer of the same size. Arrays that steps only read stand in `held`,
// from byte `held_from` of a block on: in the block itself, or in one that several rows share.
struct Tile {
  const std::uint64_t* past_steps;  // the steps of each row before this run
  std::uint8_t* const* block;       // the state block to write for each row
  const std::uint8_t* const* held;
  std::size_t held_from;
  float** state;
  float** spare;
  float* scratch;
};

// A chunk of steps with at most kTileRows items (one item is one row at one step). At step t, counted from the chunk's
// start, the first rows[t] rows of the tile are alive; rows[steps] are alive after the chunk. Items are stored step by
// step.
struct Chunk {
  std::size_t first;  // index of the chunk's first step within the run
  std::size_t steps;
  std::size_t items;
  const std::size_t* rows;
};

// How a layer uses one of a step's ids: as a row of its table, as a row or, if it is negative, none, or not at all.
enum class IdUse { kNone, kRowOrNone, kRow };

class Layer {
 public:
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  // x: one row per item (for embed: its ids); out: padded rows of `size` floats. Where a row's last step is in this
  // chunk, also writes its state to its block.
  virtual void run(const Chunk& chunk, const Tile& tile, MatrixView x, float* out) const = 0;

  // How each of a step's ids is used; empty for a layer that takes numbers. Where an id alone decides the output
  // (looks_up), look_up writes the outputs of the ids [first, first + count), padded, to `out`.
  virtual std::vector<IdUse> ids() const { return {}; }
  virtual bool looks_up() const { return false; }
  virtual void look_up(std::size_t first, std::size_t count, float* out) const { (void)first, (void)count, (void)out; }
  // Merge the preceding embed layer into this one, so that its input becomes ids. Returns false where that is not
  // possible.
  virtual bool fold(const Layer& embed) { return (void)embed, false; }

  virtual bool fused() const { return true; }  // whether it has a kernel of its own
  virtual std::size_t scratch() const { return 0; }  // floats
  virtual std::size_t work() const { return size; }  // approximate number of multiplications per step

  std::size_t padded_size(std::size_t n) const { return (n + kernels.lanes - 1) / kernels.lanes * kernels.lanes; }

  const Kernels& kernels;
  const char* const kind;
  const std::size_t inputs, size;
  std::vector<StateArray> states;
  std::size_t ahead = 0;  // how many later steps an output reads
  std::size_t delay = 0;  // how many steps its input is behind the engine's, as layers before it look ahead

 protected:
  Layer(const Kernels& kernels, const char* kind, std::size_t inputs, std::size_t size)
      : kernels(kernels), kind(kind), inputs(inputs), size(size) {}
};

// Return value as size_t. Throws ValueError unless 1 <= value <= TIDEGATE_MAX_SIZE.
std::size_t check_size(std::int64_t value, const char* what);

// Return the kernel of a program's operation; null if it is not elementwise with one operand.
Unary* unary_kernel(const Kernels& kernels, std::int32_t opcode);

// Return 0, 1 ... n - 1.
std::vector<std::int64_t> make_range(std::size_t n);

// Round to the nearest bfloat16, ties to even; NaN stays NaN. Throws ValueError if a finite number would become
// infinite.
std::uint16_t to_bf16(float x);
float from_bf16(std::uint16_t bf16);

// A matrix and its bias, packed for Kernels::matmul in the precision of the kernels.
class PackedWeights {
 public:
  // Column j of the product uses row order[j] of weights[_, depth] and of bias, or zeros where order[j] < 0.
  PackedWeights(const Kernels& kernels, std::size_t depth, const std::vector<std::int64_t>& order, const float* weights,
                const float* bias);
  const PackedMatrix& matrix() const { return matrix_; }

 private:
  AlignedFloats weights_, bias_;
  PackedMatrix matrix_;
};

// Copy n floats and pad them to whole vectors.
AlignedFloats copy_padded(const Layer& layer, const float* values, std::size_t n);

// Copy rows [from, to) of `values` to state array `array` in the blocks of those rows.
void store_state(const Tile& tile, const StateArray& array, std::size_t from, std::size_t to, MatrixView values);

// activation(W x + b); the activation may be null.
struct AffineWeights {
  std::size_t inputs, size;
  const float *weight, *bias;
  Unary* activation;
};

// over: of tidegate_pool. states: of each pool in order: the sum of a mean, the maximum, or the peak, weight and sum of
// attention. score: for attention only, else null.
struct PoolWeights {
  std::vector<std::int32_t> over;
  std::vector<StateArray> states;
  const float* score;
  float score_bias;
};

std::unique_ptr<Layer> make_embed(const Kernels&, std::size_t rows, std::size_t size, std::size_t ids,
                                  const float* weight);
std::unique_ptr<Layer> make_dense(const Kernels&, const AffineWeights& weights);
// past: the earlier steps of the window, oldest first.
std::unique_ptr<Layer> make_conv(const Kernels&, const AffineWeights& weights, StateArray past);
std::unique_ptr<Layer> make_norm(const Kernels&, std::size_t size, const float* gain, const float* bias, float eps);
std::unique_ptr<Layer> make_scale(const Kernels&, std::size_t size, const float* mean, const float* deviation);
std::unique_ptr<Layer> make_softmax(const Kernels&, std::size_t size);
std::unique_ptr<Layer> make_pool(const Kernels&, std::size_t size, const PoolWeights& weights);

// Check a program and make its layer: with `fused`, by the kernel that was proved against its operations, if there is
// one; else by the interpreter.
std::unique_ptr<Layer> make_layer(const Kernels&, const tidegate_program& program, bool fused);

}  // namespace tidegate
