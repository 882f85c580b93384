// The vector of one instruction set, from GCC's vector extensions. The including unit has defined
//   TARGET           the table's name (an identifier)
//   LANES            floats in a vector
//   ROWS             rows of a product computed together
//   MULTIPLY_ADD     (a, b, c) -> a * b + c; fused where the instruction set can
//   LESSER, GREATER  (a, b) -> a < b ? a : b and a > b ? a : b, which is b where one is NaN; default: by a select
//   IN_REGISTER(v)   keep a vector in a register (stops the compiler from reloading a broadcast for each use)
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
#ifndef LESSER
#define LESSER(a, b) select((a) < (b), a, b)
#define GREATER(a, b) select((a) > (b), a, b)
#endif
INLINE size_t padded(size_t n) { return (n + LANES - 1) / LANES * LANES; }

INLINE Mask lane() {
  static const int numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Mask mask;
  __builtin_memcpy(&mask, numbers, sizeof mask);
  return mask;
}

// x where fewer than `count` lanes lie to the left, `rest` elsewhere.
INLINE Vector first(size_t count, Vector x, float rest) {
  return count >= LANES ? x : select(lane() < (int)count, x, splat(rest));
}

INLINE float lanes_sum(Vector v) {
  float sum = v[0];
  for (int i = 1; i < LANES; ++i) sum += v[i];
  return sum;
}

// The larger one; NaN if either is.
INLINE Vector larger(Vector a, Vector b) { return select((a > b) | (a != a), a, b); }
INLINE Vector smaller(Vector a, Vector b) { return select((a < b) | (a != a), a, b); }

}  // namespace
}  // namespace tidegate
