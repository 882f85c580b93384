// A layer of an engine: packed weights and one function that runs it over a chunk of steps.
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

// Whether threads start for any work, as they do where they are to be tested.
#ifdef TIDEGATE_EAGER_THREADS
constexpr bool kEagerThreads = true;
#else
constexpr bool kEagerThreads = false;
#endif

// A fault in what the caller gave; becomes TIDEGATE_VALUE and its sentence.
struct ValueError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Floats on a 64-byte boundary, all zero at first.
class Floats {
 public:
  explicit Floats(std::size_t count = 0);
  float* data() const { return data_; }

 private:
  struct Free {
    void operator()(void* block) const;
  };
  std::unique_ptr<void, Free> block_;
  float* data_;
};

// One array of a layer's state: where it lies in the block of a stream.
struct StateArray {
  std::int64_t offset;  // bytes
  std::int64_t size;    // floats
};

// The rows of a tile, longest first, while a layer runs. `state[i]` holds array i of the layer, one padded row for
// each row of the tile; `spare[i]` as much room again.
struct Tile {
  const std::uint64_t* seen;   // steps each row had seen before this run
  std::uint8_t* const* block;  // each row's state block to write
  float** state;
  float** spare;
  float* scratch;
};

// A chunk of steps, of at most kTileRows items (a row at a step). At step t (0 is the chunk's first) the first rows[t]
// rows of the tile are alive; rows[steps] are so after it. Items lie step by step: step t's begin after those of all
// steps before it.
struct Chunk {
  std::size_t first;  // index of the chunk's first step in the run
  std::size_t steps;
  std::size_t items;
  const std::size_t* rows;
};

class Layer {
 public:
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  // x: the items' rows (embed: ids); out: padded rows of `size` floats. Writes the state of each row whose last
  // step this chunk holds to its block.
  virtual void run(const Chunk& chunk, const Tile& tile, Rows x, float* out) const = 0;

  // Whether its input is ids, as an embed's is; then rows [first, first + count) of its table, padded, go to `out`.
  virtual bool looks_up() const { return false; }
  virtual void look_up(std::size_t first, std::size_t count, float* out) const { (void)first, (void)count, (void)out; }
  // Takes the embed before it into this layer, so that its input becomes ids; false where that is not possible.
  virtual bool fold(const Layer& embed) { return (void)embed, false; }

  virtual bool fused() const { return false; }
  virtual std::size_t scratch() const { return 0; }  // floats
  virtual std::size_t work() const { return size; }  // multiplications a step, about

  std::size_t padded(std::size_t n) const { return (n + kernels.lanes - 1) / kernels.lanes * kernels.lanes; }

  const Kernels& kernels;
  const char* const kind;
  const std::size_t inputs, size;
  std::vector<StateArray> states;
  int add = -1;

 protected:
  Layer(const Kernels& kernels, const char* kind, std::size_t inputs, std::size_t size)
      : kernels(kernels), kind(kind), inputs(inputs), size(size) {}
};

// Throws unless 1 <= value <= TIDEGATE_MAX_SIZE.
std::size_t checked_size(std::int64_t value, const char* what);

// Null for none. Throws for a number that is no activation.
Unary* activation_kernel(const Kernels& kernels, std::int32_t activation);

// 0, 1 ... n - 1.
std::vector<std::int64_t> in_order(std::size_t n);

// Nearest bfloat16, the even one of two; NaN stays NaN. Throws ValueError where a finite number would become infinite.
std::uint16_t to_bf16(float x);

// A matrix packed for Kernels::product, in its precision.
class Packed {
 public:
  // Column j of the product is row order[j] of weights[_, depth] and bias, or zeros where order[j] < 0.
  Packed(const Kernels& kernels, std::size_t depth, const std::vector<std::int64_t>& order, const float* weights,
         const float* bias);
  const Product& product() const { return product_; }

 private:
  Floats weights_, bias_;
  Product product_;
};

// Padded copy of n floats.
Floats padded_copy(const Layer& layer, const float* values, std::size_t n);

// Copies rows [from, to) of `values` to state array `array` of those rows' blocks.
void store_state(const Tile& tile, const StateArray& array, std::size_t from, std::size_t to, Rows values);

std::unique_ptr<Layer> make_embed(const Kernels&, std::int64_t rows, std::int64_t size, const float* weight);
std::unique_ptr<Layer> make_dense(const Kernels&, std::int64_t inputs, std::int64_t size, const float* weight,
                                  const float* bias, std::int32_t activation);
std::unique_ptr<Layer> make_conv(const Kernels&, std::int64_t inputs, std::int64_t size, std::int64_t width,
                                 const float* weight, const float* bias, std::int32_t activation,
                                 std::int64_t past_offset);
std::unique_ptr<Layer> make_norm(const Kernels&, std::int64_t size, const float* gain, const float* bias, float eps);
std::unique_ptr<Layer> make_scale(const Kernels&, std::int64_t size, const float* mean, const float* deviation);
std::unique_ptr<Layer> make_softmax(const Kernels&, std::int64_t size);
std::unique_ptr<Layer> make_pool(const Kernels&, std::int64_t size, std::int32_t items, const std::int32_t* over,
                                 const std::int32_t* offsets, const float* score, float score_bias);
// The fused layer if `fused` and there is a kernel proved against this very tape, else the interpreter.
std::unique_ptr<Layer> make_recurrent(const Kernels&, const tidegate_recurrent& cell, bool fused);

}  // namespace tidegate
