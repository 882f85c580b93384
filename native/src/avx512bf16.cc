// AVX-512 with its dot product of bfloat16 (BF16): two k an instruction, the odd one's product added first; values below
// the normal floats count as zero there.
#include <immintrin.h>
#define LANES 16
#define ROWS 8
#define MULTIPLY_ADD(a, b, c) ((Vector)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define LESSER(a, b) ((Vector)_mm512_maskz_min_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define GREATER(a, b) ((Vector)_mm512_maskz_max_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#include "products.inl"
#include "rounding.inl"

namespace tidegate {
namespace {

struct Dot : RoundedPairs<2> {
  static constexpr bool kTiles = false;
  INLINE Numbers<uint16_t> read(Room& room, size_t rows, size_t depth, Rows x) {
    return round_rows(room, rows, depth, x);
  }

  INLINE Vector two(const uint16_t* x) {
    int pair;
    __builtin_memcpy(&pair, x, sizeof pair);
    return (Vector)_mm512_set1_epi32(pair);
  }
  INLINE Vector add(Vector sum, Vector x, const uint16_t* weights) {
    return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)pairs(weights));
  }

  template <int M, int N>
  INLINE void accumulate(size_t depth, const uint16_t* x, size_t ldx, const uint16_t* weights,
                                Vector (&sums)[M][N]) {
    for (size_t k = 0; k < depth; k += 2, weights += 2 * N * LANES)
      UNROLL for (int m = 0; m < M; ++m) {
        Vector value = two(x + m * ldx + k);
        IN_REGISTER(value);
        UNROLL for (int v = 0; v < N; ++v) sums[m][v] = add(sums[m][v], value, weights + 2 * v * LANES);
      }
  }

  template <int U>
  INLINE void accumulate_row(size_t depth, const uint16_t* x, const uint16_t* weights, size_t block,
                                    Vector (&sums)[U][kBlockVectors]) {
    for (size_t k = 0; k < depth; k += 2, weights += 2 * kBlockVectors * LANES) {
      Vector value = two(x + k);
      IN_REGISTER(value);
      UNROLL for (int u = 0; u < U; ++u)
        UNROLL for (int v = 0; v < kBlockVectors; ++v)
          sums[u][v] = add(sums[u][v], value, weights + u * block + 2 * v * LANES);
    }
  }
};

}  // namespace

extern const Products products_avx512bf16;
const Products products_avx512bf16 = products<Dot>();

}  // namespace tidegate
