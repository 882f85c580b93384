// NEON of aarch64: four lanes with FMA, thirty-two registers.
#include <arm_neon.h>
#define TARGET kernels_neon
#define TARGET_NAME "neon"
#define LANES 4
#define ROWS 8
#define MULTIPLY_ADD(a, b, c) ((Vector)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define IN_REGISTER(v) __asm__("" : "+w"(v))
#include "kernel.inl"
