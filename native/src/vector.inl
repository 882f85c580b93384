// The vector type of one instruction set, built on GCC's vector extensions. The file that includes this one defines
//   TARGET            the name of its table of kernels (an identifier)
//   LANES             floats in a vector
//   ROWS              rows of a product that are computed together
//   MULTIPLY_ADD      (a, b, c) -> a * b + c; fused where the instruction set can
//   VECTOR_MIN, _MAX  (a, b) -> a < b ? a : b and a > b ? a : b, which is b if either is NaN; by default with a select
//   IN_REGISTER(v)    keeps a vector in a register (or the compiler reloads a broadcast value at each use)
#include "kernels.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

namespace tidegate {
namespace {

typedef float Vector __attribute__((vector_size(LANES * 4)));
typedef int Mask __attribute__((vector_size(LANES * 4)));
typedef float Unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

INLINE Vector load(const float* p) { return *(const Unaligned*)p; }
INLINE void store(float* p, Vector v) { *(Unaligned*)p = v; }
INLINE Vector splat(float x) { return x - Vector{}; }
INLINE Vector select(Mask mask, Vector yes, Vector no) { return mask ? yes : no; }
#ifndef VECTOR_MIN
#define VECTOR_MIN(a, b) select((a) < (b), a, b)
#define VECTOR_MAX(a, b) select((a) > (b), a, b)
#endif
INLINE size_t padded_size(size_t n) { return (n + LANES - 1) / LANES * LANES; }

INLINE Mask lane_indices() {
  static const int numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Mask mask;
  __builtin_memcpy(&mask, numbers, sizeof mask);
  return mask;
}

// The first `count` lanes of x; `rest` in the others.
INLINE Vector mask_lanes(size_t count, Vector x, float rest) {
  return count >= LANES ? x : select(lane_indices() < (int)count, x, splat(rest));
}

INLINE float sum_lanes(Vector v) {
  float sum = v[0];
  for (int i = 1; i < LANES; ++i) sum += v[i];
  return sum;
}

INLINE Vector square_root(Vector v) {
  Vector root;
  for (int i = 0; i < LANES; ++i) root[i] = __builtin_sqrtf(v[i]);
  return root;
}

// The larger or the smaller of two values; NaN if either is NaN.
INLINE Vector max_or_nan(Vector a, Vector b) { return select((a > b) | (a != a), a, b); }
INLINE Vector min_or_nan(Vector a, Vector b) { return select((a < b) | (a != a), a, b); }

}  // namespace
}  // namespace tidegate
