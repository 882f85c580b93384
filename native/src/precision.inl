// What a product reads in each precision: a form. It says how packed weights stand (Products), reads rows of x into
// numbers of its own, as they lie or rounded into a room on the stack, and adds products to sums (kTiles: works out whole
// blocks). Units with an instruction for bfloat16 have a form of their own.
#include <stdint.h>

namespace tidegate {
namespace {

typedef unsigned Bits __attribute__((vector_size(LANES * 4)));
typedef unsigned UnalignedBits __attribute__((vector_size(LANES * 4), aligned(2), may_alias));

// Rows of a form's numbers.
template <class Number>
struct Numbers {
  const Number* data;
  size_t ld;
};

// Of rounded rows, so many fit a room, and of their depth so much. What is deeper goes on from the sums so far.
constexpr size_t kRoomRows = 16, kRoomDepth = 1024;

INLINE size_t lesser(size_t a, size_t b) { return a < b ? a : b; }
INLINE size_t filled(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

struct Float32 {
  typedef float Weight, Number;
  static constexpr Precision kPrecision = kFloat32;
  static constexpr bool kTiles = false;
  static constexpr size_t kTogether = 1, kDeep = 1, kRows = SIZE_MAX, kDepth = SIZE_MAX;
  struct Room {};
  INLINE Numbers<float> read(Room&, size_t, size_t, Rows x) { return {x.data, x.ld}; }

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

  // The same for one row and U blocks at once, `block` weights apart: enough independent chains to fill the machine.
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

// The even k of pairs of weights, and the odd one, as floats: bfloat16 is a float's upper half.
INLINE Bits pairs(const uint16_t* p) { return *(const UnalignedBits*)p; }
INLINE Vector even(Bits pair) { return (Vector)(pair << 16); }
INLINE Vector odd(Bits pair) { return (Vector)(pair & 0xffff0000u); }

// float32 weights of half the bytes: pairs of k side by side, widened on the way. The zero that fills an odd depth is not
// multiplied.
struct WeightsBf16 {
  typedef uint16_t Weight;
  typedef float Number;
  static constexpr Precision kPrecision = kWeightsBf16;
  static constexpr bool kTiles = false;
  static constexpr size_t kTogether = 2, kDeep = 2, kRows = SIZE_MAX, kDepth = SIZE_MAX;
  struct Room {};
  INLINE Numbers<float> read(Room&, size_t, size_t, Rows x) { return {x.data, x.ld}; }

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

// To the nearest bfloat16, the even one of two; NaN stays NaN.
INLINE Vector rounded(Vector x) {
  const Bits bits = (Bits)x, up = bits + 0x7fffu + ((bits >> 16) & 1u);
  return (Vector)((x == x ? up : bits | 0x400000u) & 0xffff0000u);
}

// Rounded x without an instruction for it: what it multiplies as float32 is exact either way.
struct ComputeBf16 : WeightsBf16 {
  static constexpr Precision kPrecision = kComputeBf16;
  static constexpr size_t kRows = kRoomRows, kDepth = kRoomDepth;
  struct Room {
    alignas(64) float numbers[kRoomRows * kRoomDepth];
  };
  static Numbers<float> read(Room& room, size_t rows, size_t depth, Rows x) {
    const size_t ld = padded(depth);
    for (size_t r = 0; r < rows; ++r) {
      const float* from = x.data + r * x.ld;
      float* to = room.numbers + r * ld;
      size_t k = 0;
      for (; k + LANES <= depth; k += LANES) store(to + k, rounded(load(from + k)));
      if (k == depth) continue;
      Vector rest = {};
      for (size_t i = k; i < depth; ++i) rest[i - k] = from[i];
      store(to + k, rounded(rest));
    }
    return {room.numbers, ld};
  }
};

}  // namespace
}  // namespace tidegate
