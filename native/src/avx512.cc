// AVX-512 (F, BW, DQ, VL): sixteen lanes, thirty-two registers.
#include <immintrin.h>
#define TARGET kernels_avx512
#define TARGET_NAME "avx512"
#define LANES 16
#define ROWS 8
#define MULTIPLY_ADD(a, b, c) ((Vector)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
// The masked forms, because some versions of GCC warn about an undefined operand in their own plain ones.
#define VECTOR_MIN(a, b) ((Vector)_mm512_maskz_min_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define VECTOR_MAX(a, b) ((Vector)_mm512_maskz_max_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#include "kernel.inl"
