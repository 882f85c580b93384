/* tidegate: small recurrent models for streams. The native engine's C API.
 *
 * An engine is a chain of layers for one target (instruction set). Open it, add its layers in order, finish it, then
 * run it, from as many threads as you like. Adding copies the weights: the caller's arrays may go afterwards.
 *
 * Arrays are C-contiguous; float32 unless said otherwise; shapes stand in brackets. T steps, B rows, F inputs,
 * O outputs, N streams. A stream's state is a block of `state_bytes` bytes: the number of steps it has seen (int64, at
 * offset 0), then the layers' arrays at the offsets given when they were added. All zeros at first, except a pool's
 * max and peak, which start at minus infinity.
 *
 * Results are the same bits for a step, a sequence, any chunks of it, any batch and any number of threads, on one
 * target and version.
 *
 * Functions that can fail return a status and write one sentence, without a final full stop, to `message`
 * (`capacity` bytes, TIDEGATE_MESSAGE is enough; it may be null when capacity is 0). Nothing is thrown. Opcodes,
 * activations and pools are passed as int32, so that one that does not exist is refused like any other number.
 */
#ifndef TIDEGATE_H
#define TIDEGATE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) || !defined(__GNUC__)
#define TIDEGATE_API
#else
#define TIDEGATE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define TIDEGATE_MESSAGE 512

typedef enum tidegate_status {
  TIDEGATE_OK = 0,
  TIDEGATE_VALUE = 1,    /* an argument is wrong; nothing has changed */
  TIDEGATE_MEMORY = 2,   /* out of memory; nothing has changed */
  TIDEGATE_INTERNAL = 3, /* a fault of this library */
} tidegate_status;

typedef struct tidegate_engine tidegate_engine;

/* An instruction of a tape is four int32: opcode, a, b, 0. Instruction i writes register i and reads older ones. */
typedef enum tidegate_opcode {
  TIDEGATE_INPUT = 0, /* a: gate; H wide: W_a x + b_a */
  TIDEGATE_STATE,     /* a: state */
  TIDEGATE_PARAM,     /* a: parameter */
  TIDEGATE_CONST,     /* a: constant; one wide */
  TIDEGATE_RECUR,     /* a: recurrent map, b: register, H wide: R_a v + c_a */
  TIDEGATE_PROJECT,   /* b: register, H wide: Q v, P wide */
  TIDEGATE_NEG,       /* unary: a: register */
  TIDEGATE_ABS,
  TIDEGATE_EXP,
  TIDEGATE_SIGMOID,
  TIDEGATE_TANH,
  TIDEGATE_RELU,
  TIDEGATE_NORM, /* (v - mean) / sqrt(variance + TIDEGATE_NORM_EPS) over the whole register */
  TIDEGATE_ADD, /* binary: a, b: registers of equal width, or one of them one wide */
  TIDEGATE_SUB,
  TIDEGATE_MUL,
  TIDEGATE_DIV,
  TIDEGATE_MINIMUM,
  TIDEGATE_MAXIMUM,
  TIDEGATE_OPCODES /* their number */
} tidegate_opcode;

typedef enum tidegate_activation {
  TIDEGATE_NONE = 0,
  TIDEGATE_ACTIVATION_RELU,
  TIDEGATE_ACTIVATION_TANH,
  TIDEGATE_ACTIVATION_SIGMOID,
} tidegate_activation;

typedef enum tidegate_pool {
  TIDEGATE_LAST = 0,
  TIDEGATE_MEAN,
  TIDEGATE_MAX,
  TIDEGATE_ATTENTION,
} tidegate_pool;

/* Largest errors of the activations, the same on every target (they use no fused multiply-add): sigmoid's absolute
 * one; tanh's and exp's relative ones, where the exact result is a normal float. Tests hold them on a sample of all
 * floats; over every single one where they peak, the largest were 9.50e-8, 3.61e-7 and 8.36e-8. */
#define TIDEGATE_SIGMOID_ABS 1.1e-7
#define TIDEGATE_TANH_REL 3.7e-7
#define TIDEGATE_EXP_REL 1.0e-7

#define TIDEGATE_NORM_EPS 1e-5f

/* Limits of a tape, of any size (inputs, outputs, widths), and of a stream's state. */
#define TIDEGATE_MAX_INSTRUCTIONS 256
#define TIDEGATE_MAX_REGISTERS 64
#define TIDEGATE_MAX_SIZE (1 << 20)
#define TIDEGATE_MAX_STATE_BYTES (1 << 24)

/* What products multiply; states, outputs and sums are float32 always. Weights that multiply (of embed, dense and conv; W,
 * R and Q) are rounded to the nearest bfloat16, the even one of two; biases, gains and parameters are not. */
typedef enum tidegate_precision {
  TIDEGATE_FLOAT32 = 0,
  TIDEGATE_WEIGHTS_BF16, /* bfloat16 weights, of half the bytes, widened */
  TIDEGATE_COMPUTE_BF16, /* what they multiply is rounded to bfloat16 as well */
  TIDEGATE_PRECISIONS    /* their number */
} tidegate_precision;

/* Name of the i-th target of this build, best first; null past the end. In a precision: those with an instruction for
 * bfloat16 are there for TIDEGATE_COMPUTE_BF16 alone. */
TIDEGATE_API const char* tidegate_compiled(int i);
TIDEGATE_API const char* tidegate_compiled_in(int32_t precision, int i);

/* Name of the i-th target that this machine can run, best first; null past the end. */
TIDEGATE_API const char* tidegate_target(int i);
TIDEGATE_API const char* tidegate_target_in(int32_t precision, int i);

/* *name: the value of the environment variable TIDEGATE_TARGET if set, else the best target. A value that names no
 * target this machine can run is an error. */
TIDEGATE_API tidegate_status tidegate_default_target(const char** name, char* message, size_t capacity);
TIDEGATE_API tidegate_status tidegate_default_target_in(int32_t precision, const char** name, char* message,
                                                        size_t capacity);

/* A new engine without layers. fused: 0 keeps to the interpreter (same bits, slower). */
TIDEGATE_API tidegate_status tidegate_open(const char* target, int64_t state_bytes, int fused,
                                           tidegate_engine** engine, char* message, size_t capacity);
TIDEGATE_API tidegate_status tidegate_open_in(int32_t precision, const char* target, int64_t state_bytes, int fused,
                                              tidegate_engine** engine, char* message, size_t capacity);

/* Frees the engine; null is allowed. */
TIDEGATE_API void tidegate_close(tidegate_engine* engine);

/* In every tidegate_add_*: `add` is the index of an earlier layer whose output is added to this one's, or -1. */

/* Row x of weight[rows, size] for id x. Must be the first layer; makes the engine's input int32 ids. */
TIDEGATE_API tidegate_status tidegate_add_embed(tidegate_engine* engine, int64_t rows, int64_t size,
                                                const float* weight, int add, char* message, size_t capacity);

/* activation(weight[size, inputs] x + bias[size]). */
TIDEGATE_API tidegate_status tidegate_add_dense(tidegate_engine* engine, int64_t inputs, int64_t size,
                                                const float* weight, const float* bias, int32_t activation,
                                                int add, char* message, size_t capacity);

/* activation(weight[size, width * inputs] (the last `width` inputs end to end, oldest first) + bias[size]); zeros stand
 * before a row's first input. past_offset, in bytes: past[(width - 1) * inputs], oldest first, zeros at first; -1 for
 * a width of 1. */
TIDEGATE_API tidegate_status tidegate_add_conv(tidegate_engine* engine, int64_t inputs, int64_t size, int64_t width,
                                               const float* weight, const float* bias, int32_t activation,
                                               int32_t past_offset, int add, char* message, size_t capacity);

/* (x - mean) / sqrt(variance + eps) * gain[size] + bias[size]; the variance divides by size. */
TIDEGATE_API tidegate_status tidegate_add_norm(tidegate_engine* engine, int64_t size, const float* gain,
                                               const float* bias, float eps, int add, char* message, size_t capacity);

/* (x - mean[size]) / deviation[size]. */
TIDEGATE_API tidegate_status tidegate_add_scale(tidegate_engine* engine, int64_t size, const float* mean,
                                                const float* deviation, int add, char* message, size_t capacity);

/* A cell, as its tape. H = size; params lie end to end in `params`, the p-th param_sizes[p] floats long. A tape with a
 * projection has P = project > 0 and Q: its output, and what its recurrent maps multiply, are P wide. Without one P = H,
 * project = 0 and Q is null. */
typedef struct tidegate_recurrent {
  int64_t inputs, size, project;
  int32_t instructions, output; /* output: register, P wide */
  const int32_t* tape;          /* [instructions, 4] */
  const int32_t* widths;        /* [instructions]: floats in each register */
  int32_t consts_count;
  const float* consts;
  int32_t gates, maps, states, params_count;
  const float *W, *b;           /* [gates * H, inputs], [gates * H] */
  const float *R, *c;           /* [maps * H, P], [maps * H] */
  const float* Q;               /* [P, H] */
  const int32_t* next;          /* [states]: register holding each state's next value */
  const int32_t* state_offsets; /* [states]: bytes from the start of the state block */
  const int32_t* state_sizes;   /* [states]: floats */
  const float* params;
  const int32_t* param_sizes; /* [params_count] */
} tidegate_recurrent;

TIDEGATE_API tidegate_status tidegate_add_recurrent(tidegate_engine* engine, const tidegate_recurrent* cell, int add,
                                                    char* message, size_t capacity);

/* The concatenation of `items` pools over the steps so far. offsets[i], in bytes: mean: sum[size]; max: max[size];
 * attention: peak[1], weight[1], sum[size], end to end; last: -1. score[size] and score_bias are attention's. */
TIDEGATE_API tidegate_status tidegate_add_pool(tidegate_engine* engine, int64_t size, int32_t items,
                                               const int32_t* over, const int32_t* offsets, const float* score,
                                               float score_bias, int add, char* message, size_t capacity);

/* exp(x - max) / sum of exp(x - max). */
TIDEGATE_API tidegate_status tidegate_add_softmax(tidegate_engine* engine, int64_t size, int add, char* message,
                                                  size_t capacity);

/* Checks the chain of layers and allocates; the engine can run from here on, and takes no more layers. */
TIDEGATE_API tidegate_status tidegate_finish(tidegate_engine* engine, char* message, size_t capacity);

typedef struct tidegate_facts {
  const char* target;
  int64_t state_bytes;
  int64_t inputs;  /* F; 1 where the input is ids */
  int64_t outputs; /* O */
  int ids;         /* whether the input is int32 ids */
  int layers;
  int finished;
} tidegate_facts;

TIDEGATE_API tidegate_facts tidegate_about(const tidegate_engine* engine);

/* Whether layer i runs a fused kernel. */
TIDEGATE_API int tidegate_fused(const tidegate_engine* engine, int layer);

/* Runs B rows; row b takes its first lengths[b] of the T steps. x: int32[T, B] or float[T, B, F]; what lies past a
 * row's length is not read. state_in, state_out: B blocks, not overlapping. every = 0: out[B, O] holds each row's
 * output after its last step (untouched for length 0). every = 1: out[T, B, O], untouched past a row's length; it
 * overlaps neither x nor the states. threads: at most so many, 1 or more. */
TIDEGATE_API tidegate_status tidegate_run(const tidegate_engine* engine, int64_t T, int64_t B, const void* x,
                                          const int32_t* lengths, const uint8_t* state_in, uint8_t* state_out,
                                          float* out, int every, int threads, char* message, size_t capacity);

/* One step of one stream, in place on its state. x: int32[1] or float[F]; out[O]. Allocates nothing once warm. */
TIDEGATE_API tidegate_status tidegate_step(const tidegate_engine* engine, const void* x, uint8_t* state, float* out,
                                           char* message, size_t capacity);

/* One step for each of n entries, in place on states[N]. Entry i is stream ids[i] with input x[i] (int32[n] or
 * float[n, F]) and output out[i, O]; entries of one stream are applied in order. out overlaps neither x nor the states.
 * All is checked before any change. On one thread it allocates nothing once warm. */
TIDEGATE_API tidegate_status tidegate_pool_step(const tidegate_engine* engine, int64_t n, const int64_t* ids,
                                                const void* x, int64_t N, uint8_t* states, float* out, int threads,
                                                char* message, size_t capacity);

/* Training: a cell's recurrence over whole rows, and its gradients. No engine is needed. The outputs have the bits of
 * an engine that runs the same cell. */
typedef enum tidegate_cell {
  TIDEGATE_CELL_GRU = 0,     /* gates r z n; reset after, update keep */
  TIDEGATE_CELL_GRU_REPLACE, /* the same, update replace */
  TIDEGATE_CELL_LSTM,        /* gates i f g o; states h c */
  TIDEGATE_CELL_RNN_TANH,    /* gate n */
  TIDEGATE_CELL_RNN_RELU,
  TIDEGATE_CELL_MINGRU, /* gates z n of the input alone: no R, c */
  TIDEGATE_CELL_GRU_BEFORE, /* gates r z n; reset before, update keep */
  TIDEGATE_CELL_GRU_BEFORE_REPLACE,
  TIDEGATE_CELL_LSTM_PEEPHOLES, /* own parameters: what i, f and o multiply the cell state by */
  TIDEGATE_CELLS, /* their number */
  TIDEGATE_CELL_NORMED = 256 /* added to a cell: a norm of each gate's W x + b and each map's R v + c, apart */
} tidegate_cell;

/* T steps of B rows; rows[t] of them, the first ones, have a step t: rows[0] = B, and never more than before. Entries
 * stand step by step without gaps, N = the sum of rows. G gates, M recurrent maps, S states. */
typedef struct tidegate_training {
  int32_t cell;
  int64_t steps, inputs, size; /* T, I, H */
  const int64_t* rows;         /* [T] */
  const float* x;              /* [N, I] */
  const float *W, *b;          /* [G * H, I], [G * H] */
  const float *R, *c;          /* [M * H, H], [M * H] */
  const float* first;          /* [S, B, H]: states before the first step */
  /* [O, H], or null where O is 0: the cell's own parameters, then with norms the gains of the gates and of
   * the maps, then the biases of the same. */
  const float* own;
} tidegate_training;

/* Floats that tidegate_train_forward saves for each entry. */
TIDEGATE_API tidegate_status tidegate_train_saved(const char* target, int32_t cell, int64_t size, int64_t* floats,
                                                  char* message, size_t capacity);

/* y[N, H]: outputs; last[S, B, H]: states after each row's last step; saved[N * floats], or null where no gradients will
 * be asked for. threads: at most so many; no bit depends on them. */
TIDEGATE_API tidegate_status tidegate_train_forward(const char* target, const tidegate_training* training, float* y,
                                                    float* last, float* saved, int threads, char* message,
                                                    size_t capacity);

/* Gradients, from those of y and last. dx[N, I] may be null; dfirst[S, B, H]; dW, db, dR, dc as W, b, R, c. Those of the
 * weights depend on which rows stand together, none on threads. Reads y and saved, and writes neither. */
typedef struct tidegate_gradients {
  const float *y, *saved, *dy, *dlast;
  float *dx, *dfirst, *dW, *db, *dR, *dc, *down; /* down: as own */
} tidegate_gradients;

TIDEGATE_API tidegate_status tidegate_train_backward(const char* target, const tidegate_training* training,
                                                     const tidegate_gradients* gradients, int threads, char* message,
                                                     size_t capacity);

/* Pools side by side over rows that lie as tidegate_training has them, at K ends of each row at once. The values have the
 * bits of an engine's pool. score[H] and score_bias are attention's; score is null without it. */
typedef struct tidegate_pooling {
  int64_t steps, size;  /* T, H */
  const int64_t* rows;  /* [T] */
  const float* x;       /* [N, H] */
  int64_t count;        /* K */
  const int64_t* ends;  /* [K, B]: steps that a value is over, from 1 to the row's own */
  int32_t items;
  const int32_t* over;  /* [items]: tidegate_pool */
  const float* score;
  float score_bias;
} tidegate_pooling;

/* out[K, B, items * H]. threads: at most so many; no bit depends on them. */
TIDEGATE_API tidegate_status tidegate_train_pool_forward(const char* target, const tidegate_pooling* pooling,
                                                         float* out, int threads, char* message, size_t capacity);

/* Gradients, from that of out: dx[N, H]; dscore[H] and dbias[1], both untouched without attention. Of equal largest
 * numbers the first one has max's gradient. */
TIDEGATE_API tidegate_status tidegate_train_pool_backward(const char* target, const tidegate_pooling* pooling,
                                                          const float* out, const float* dout, float* dx,
                                                          float* dscore, float* dbias, int threads, char* message,
                                                          size_t capacity);

/* Rows of a table[rows, H] for entries, with dropout: an entry's number stays, times 256 / (256 - level), where its random
 * byte is `level` or more, and is 0 elsewhere. */
typedef struct tidegate_embedding {
  int64_t rows, size, entries; /* rows, H, N */
  const int64_t* ids;          /* [N] */
  const uint8_t* random;       /* [N, H]; null: all stays as it is */
  int32_t level;               /* 0 to 255 */
} tidegate_embedding;

/* out[N, H]. */
TIDEGATE_API tidegate_status tidegate_train_embed_forward(const tidegate_embedding* embedding, const float* table,
                                                          float* out, char* message, size_t capacity);

/* The gradient of the rows that were taken: values[count, H], where entry n's is added to row slots[n]. */
TIDEGATE_API tidegate_status tidegate_train_embed_backward(const tidegate_embedding* embedding, const int64_t* slots,
                                                           int64_t count, const float* dout, float* values,
                                                           char* message, size_t capacity);

/* One step of AdamW. factor: multiplies the gradient. step: its number, from 1. */
typedef struct tidegate_adamw {
  int64_t rows, size, step;
  double rate, beta1, beta2, eps, decay;
  float factor;
} tidegate_adamw;

/* In place on weights, mean and square [rows, size]. which[count]: the rows that gradient[count, size] is of, ascending; the
 * gradient of others is 0. null: of all. */
TIDEGATE_API tidegate_status tidegate_train_adamw(const tidegate_adamw* adamw, float* weights, float* mean,
                                                  float* square, const int64_t* which, int64_t count,
                                                  const float* gradient, char* message, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
