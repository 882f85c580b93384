/* A layer as the operations of its step, for tidegate_add in tidegate.h. */
#ifndef TIDEGATE_PROGRAM_H
#define TIDEGATE_PROGRAM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A layer described by the operations of its step, each on one row. An operation is eight int32: opcode, the size of its
 * result in floats, a, b, c, p, q, r. Operation i writes register i and reads earlier ones. */
typedef enum tidegate_operation {
  TIDEGATE_OP_INPUT = 0, /* the input */
  TIDEGATE_OP_TAKE,      /* a: tensor's register, b: which id of the step: that row of the table */
  TIDEGATE_OP_STATE,     /* a: state */
  TIDEGATE_OP_STEPS,     /* how many steps there were, with this one */
  TIDEGATE_OP_TENSOR,    /* a: tensor, b: its first number */
  TIDEGATE_OP_CONST,     /* a: constant */
  TIDEGATE_OP_AFFINE,    /* a: register, b: matrix, c: bias, both registers of tensors: W a + bias */
  TIDEGATE_OP_MATMUL,    /* a: register, b: matrix */
  TIDEGATE_OP_SELECT,    /* a, b, c: where a is not 0, b, else c; of equal sizes, or size 1 */
  TIDEGATE_OP_EXPAND,    /* a[p, 1, r] repeated to [p, q, r] */
  TIDEGATE_OP_PART,      /* a[p, q], from column r on: [p, size / p] */
  TIDEGATE_OP_CONCAT,    /* the registers joined[a] to joined[a + b - 1], of shapes [p, any], side by side */
  TIDEGATE_OP_SUM,       /* a[p, q, r] over its middle axis, in ascending order */
  TIDEGATE_OP_PEAK,      /* the largest of them; NaN if one is NaN */
  TIDEGATE_OP_MEAN,      /* a[size, q] over its last axis */
  TIDEGATE_OP_DOT,       /* a[any, q] times b[any, q] over the last axis; the shorter one is repeated */
  TIDEGATE_OP_PUSH,      /* a with b appended, without as many numbers at its beginning */
  TIDEGATE_OP_BAG,       /* a: tensor's register: the sum of its rows of ids b to b + c - 1 of the step, in this order,
                          * from zeros; a negative id adds nothing */
  TIDEGATE_OP_NEG,       /* unary: a */
  TIDEGATE_OP_ABS,
  TIDEGATE_OP_EXP,
  TIDEGATE_OP_SIGMOID,
  TIDEGATE_OP_TANH,
  TIDEGATE_OP_RELU,
  TIDEGATE_OP_NORM, /* (v - mean) / sqrt(variance + TIDEGATE_NORM_EPS) over the whole register */
  TIDEGATE_OP_SQRT,
  TIDEGATE_OP_ADD, /* binary: a, b: of equal sizes, or one of them size 1 */
  TIDEGATE_OP_SUB,
  TIDEGATE_OP_MUL,
  TIDEGATE_OP_DIV,
  TIDEGATE_OP_MINIMUM,
  TIDEGATE_OP_MAXIMUM,
  TIDEGATE_OP_LESS,   /* 1 where a < b, else 0 */
  TIDEGATE_OPERATIONS /* the number of operations */
} tidegate_operation;

#define TIDEGATE_OPERATION_WIDTH 8
#define TIDEGATE_MAX_OPERATIONS 16384

typedef struct tidegate_program {
  int64_t inputs, ids;   /* floats of the input; or, with 1 or more ids a step, rows of the tables that they select */
  int64_t ahead;         /* how many later steps an output reads: it is about the step `ahead` steps before the input's */
  int32_t operations, output;
  const int32_t* code;   /* [operations, TIDEGATE_OPERATION_WIDTH] */
  int32_t joined_count;
  const int32_t* joined; /* registers that are joined */
  int32_t consts_count;
  const float* consts;
  int32_t tensors_count;
  const float* const* tensors;
  const int64_t* tensor_sizes;  /* [tensors_count]: floats */
  int32_t states;
  const int32_t* next;          /* [states]: register holding each state's next value */
  const int32_t* state_offsets; /* [states]: bytes from the start of the state block */
  const int32_t* state_sizes;   /* [states]: floats */
} tidegate_program;

#ifdef __cplusplus
}
#endif

#endif
