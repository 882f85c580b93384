// AVX2 with FMA: eight lanes, sixteen registers.
#include <immintrin.h>
#define TARGET kernels_avx2
#define TARGET_NAME "avx2"
#define LANES 8
#define ROWS 4
#define MULTIPLY_ADD(a, b, c) ((Vector)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define VECTOR_MIN(a, b) ((Vector)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define VECTOR_MAX(a, b) ((Vector)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define IN_REGISTER(v) __asm__("" : "+x"(v))
#include "kernel.inl"
