// AVX-512 with the dot product of bfloat16 (BF16): two values of k per instruction, the product of the odd one added
// first. Subnormal numbers count as zero.
#include <immintrin.h>
#define LANES 16
#define ROWS 8
#define MULTIPLY_ADD(a, b, c) ((Vector)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define VECTOR_MIN(a, b) ((Vector)_mm512_maskz_min_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define VECTOR_MAX(a, b) ((Vector)_mm512_maskz_max_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#include "matmul_kernels.inl"
#include "rounding.inl"

namespace tidegate {
namespace {

struct DotBf16 : RoundedPairs<2> {
  static constexpr bool kUsesTiles = false;
  INLINE NumberView<uint16_t> read(Buffer& buffer, size_t rows, size_t depth, MatrixView x) {
    return round_rows(buffer, rows, depth, x);
  }

  INLINE Vector splat_pair(const uint16_t* x) {
    int pair;
    __builtin_memcpy(&pair, x, sizeof pair);
    return (Vector)_mm512_set1_epi32(pair);
  }
  INLINE Vector dot_pairs(Vector sum, Vector x, const uint16_t* weights) {
    return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)pairs(weights));
  }

  template <int M, int N>
  INLINE void accumulate(size_t depth, const uint16_t* x, size_t ldx, const uint16_t* weights,
                                Vector (&sums)[M][N]) {
    for (size_t k = 0; k < depth; k += 2, weights += 2 * N * LANES)
      UNROLL for (int m = 0; m < M; ++m) {
        Vector value = splat_pair(x + m * ldx + k);
        IN_REGISTER(value);
        UNROLL for (int v = 0; v < N; ++v) sums[m][v] = dot_pairs(sums[m][v], value, weights + 2 * v * LANES);
      }
  }

  template <int U>
  INLINE void accumulate_row(size_t depth, const uint16_t* x, const uint16_t* weights, size_t block,
                                    Vector (&sums)[U][kBlockVectors]) {
    for (size_t k = 0; k < depth; k += 2, weights += 2 * kBlockVectors * LANES) {
      Vector value = splat_pair(x + k);
      IN_REGISTER(value);
      UNROLL for (int u = 0; u < U; ++u)
        UNROLL for (int v = 0; v < kBlockVectors; ++v)
          sums[u][v] = dot_pairs(sums[u][v], value, weights + u * block + 2 * v * LANES);
    }
  }
};

}  // namespace

extern const MatmulKernels matmul_avx512bf16;
const MatmulKernels matmul_avx512bf16 = matmul_kernels<DotBf16>();

}  // namespace tidegate
