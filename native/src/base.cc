// The instruction set that every CPU of the architecture has: SSE2 on x86-64, four lanes without FMA elsewhere.
#if defined(__x86_64__)
#include <xmmintrin.h>
#define VECTOR_MIN(a, b) ((Vector)_mm_min_ps((__m128)(a), (__m128)(b)))
#define VECTOR_MAX(a, b) ((Vector)_mm_max_ps((__m128)(a), (__m128)(b)))
#endif
#define TARGET kernels_base
#define TARGET_NAME "base"
#define LANES 4
#define ROWS 4
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#if defined(__x86_64__)
#define IN_REGISTER(v) __asm__("" : "+x"(v))
#elif defined(__aarch64__)
#define IN_REGISTER(v) __asm__("" : "+w"(v))
#else
#define IN_REGISTER(v) (void)(v)
#endif
#include "kernel.inl"
