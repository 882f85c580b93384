// Number formats: how a product stores and reads its operands in each precision. A format describes the layout of
// packed weights (see MatmulKernels), reads rows of x, either in place or rounded into a buffer on the stack, and
// accumulates products. One with kUsesTiles computes whole blocks instead. Instruction sets with bfloat16 instructions
// define their own formats.
#include <stdint.h>

namespace tidegate {
namespace {

typedef unsigned Bits __attribute__((vector_size(LANES * 4)));
typedef unsigned UnalignedBits __attribute__((vector_size(LANES * 4), aligned(2), may_alias));

// Rows of numbers in a format.
template <class Number>
struct NumberView {
  const Number* data;
  size_t ld;
};

// The rows and the depth that fit in the buffer for rounded values. Deeper products continue from the sums so far.
constexpr size_t kBufferRows = 16, kBufferDepth = 1024;

INLINE size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
INLINE size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

struct Float32 {
  typedef float Weight, Number;
  static constexpr Precision kPrecision = kFloat32;
  static constexpr bool kUsesTiles = false;
  static constexpr size_t kPack = 1, kDepthMultiple = 1, kMaxRows = SIZE_MAX, kMaxDepth = SIZE_MAX;
  struct Buffer {};
  INLINE NumberView<float> read(Buffer&, size_t, size_t, MatrixView x) { return {x.data, x.ld}; }

  // sums[m][v] += x[m, k] * weights[k, v] over all k, for M rows and one block of N vectors.
  template <int M, int N>
  INLINE void accumulate(size_t depth, const float* x, size_t ldx, const float* weights, Vector (&sums)[M][N]) {
    for (size_t k = 0; k < depth; ++k, weights += N * LANES) {
      Vector w[N];
      UNROLL for (int v = 0; v < N; ++v) w[v] = load(weights + v * LANES);
      UNROLL for (int m = 0; m < M; ++m) {
        Vector value = splat(x[m * ldx + k]);
        IN_REGISTER(value);
        UNROLL for (int v = 0; v < N; ++v) sums[m][v] = MULTIPLY_ADD(value, w[v], sums[m][v]);
      }
    }
  }

  // The same for one row and U blocks that are `block` weights apart: enough independent chains to keep the CPU busy.
  template <int U>
  INLINE void accumulate_row(size_t depth, const float* x, const float* weights, size_t block,
                                    Vector (&sums)[U][kBlockVectors]) {
    for (size_t k = 0; k < depth; ++k, weights += kBlockVectors * LANES) {
      Vector value = splat(x[k]);
      IN_REGISTER(value);
      UNROLL for (int u = 0; u < U; ++u)
        UNROLL for (int v = 0; v < kBlockVectors; ++v)
          sums[u][v] = MULTIPLY_ADD(value, load(weights + u * block + v * LANES), sums[u][v]);
    }
  }
};

// From pairs of weights, the ones with an even k or with an odd k, as floats: bfloat16 is the upper half of a float.
INLINE Bits pairs(const uint16_t* p) { return *(const UnalignedBits*)p; }
INLINE Vector even(Bits pair) { return (Vector)(pair << 16); }
INLINE Vector odd(Bits pair) { return (Vector)(pair & 0xffff0000u); }

// Weights stored as bfloat16, at half the size: two adjacent values of k at a time, widened to float32. The zero that
// pads an odd depth is skipped.
struct WeightsBf16 {
  typedef uint16_t Weight;
  typedef float Number;
  static constexpr Precision kPrecision = kWeightsBf16;
  static constexpr bool kUsesTiles = false;
  static constexpr size_t kPack = 2, kDepthMultiple = 2, kMaxRows = SIZE_MAX, kMaxDepth = SIZE_MAX;
  struct Buffer {};
  INLINE NumberView<float> read(Buffer&, size_t, size_t, MatrixView x) { return {x.data, x.ld}; }

  template <int M, int N>
  INLINE void add(const float* x, size_t ldx, const Vector (&w)[N], Vector (&sums)[M][N]) {
    UNROLL for (int m = 0; m < M; ++m) {
      Vector value = splat(x[m * ldx]);
      IN_REGISTER(value);
      UNROLL for (int v = 0; v < N; ++v) sums[m][v] = MULTIPLY_ADD(value, w[v], sums[m][v]);
    }
  }

  template <int M, int N>
  INLINE void accumulate(size_t depth, const float* x, size_t ldx, const uint16_t* weights,
                                Vector (&sums)[M][N]) {
    for (size_t k = 0; k < depth; k += 2, weights += 2 * N * LANES) {
      Vector w[N];
      UNROLL for (int v = 0; v < N; ++v) w[v] = even(pairs(weights + 2 * v * LANES));
      add<M, N>(x + k, ldx, w, sums);
      if (k + 1 == depth) return;
      UNROLL for (int v = 0; v < N; ++v) w[v] = odd(pairs(weights + 2 * v * LANES));
      add<M, N>(x + k + 1, ldx, w, sums);
    }
  }

  template <int U>
  INLINE void accumulate_row(size_t depth, const float* x, const uint16_t* weights, size_t block,
                                    Vector (&sums)[U][kBlockVectors]) {
    size_t k = 0;
    for (; k + 2 <= depth; k += 2, weights += 2 * kBlockVectors * LANES) {
      Vector first = splat(x[k]), second = splat(x[k + 1]);
      IN_REGISTER(first);
      IN_REGISTER(second);
      UNROLL for (int u = 0; u < U; ++u)
        UNROLL for (int v = 0; v < kBlockVectors; ++v) {
          const Bits w = pairs(weights + u * block + 2 * v * LANES);
          sums[u][v] = MULTIPLY_ADD(first, even(w), sums[u][v]);
          sums[u][v] = MULTIPLY_ADD(second, odd(w), sums[u][v]);
        }
    }
    if (k == depth) return;
    UNROLL for (int u = 0; u < U; ++u)
      UNROLL for (int v = 0; v < kBlockVectors; ++v)
        sums[u][v] = MULTIPLY_ADD(splat(x[k]), even(pairs(weights + u * block + 2 * v * LANES)), sums[u][v]);
  }
};

// Round to the nearest bfloat16, ties to even; NaN stays NaN.
INLINE Vector round_bf16(Vector x) {
  const Bits bits = (Bits)x, up = bits + 0x7fffu + ((bits >> 16) & 1u);
  return (Vector)((x == x ? up : bits | 0x400000u) & 0xffff0000u);
}

// Rounds x without a bfloat16 instruction. The products are then computed in float32, where they are exact.
struct ComputeBf16 : WeightsBf16 {
  static constexpr Precision kPrecision = kComputeBf16;
  static constexpr size_t kMaxRows = kBufferRows, kMaxDepth = kBufferDepth;
  struct Buffer {
    alignas(64) float numbers[kBufferRows * kBufferDepth];
  };
  static NumberView<float> read(Buffer& buffer, size_t rows, size_t depth, MatrixView x) {
    const size_t ld = padded_size(depth);
    for (size_t r = 0; r < rows; ++r) {
      const float* from = x.data + r * x.ld;
      float* to = buffer.numbers + r * ld;
      size_t k = 0;
      for (; k + LANES <= depth; k += LANES) store(to + k, round_bf16(load(from + k)));
      if (k == depth) continue;
      Vector rest = {};
      for (size_t i = k; i < depth; ++i) rest[i - k] = from[i];
      store(to + k, round_bf16(rest));
    }
    return {buffer.numbers, ld};
  }
};

}  // namespace
}  // namespace tidegate
