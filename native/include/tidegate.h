/* tidegate: small recurrent models for streams. The C API of the native engine.
 *
 * An engine is a graph of layers for one target (an instruction set); the output of the last one is the engine's. Open
 * it, add its layers in order, finish it, then run it from any number of threads. Adding a layer copies its weights, so
 * the caller may free its arrays afterwards.
 *
 * Arrays are C-contiguous and float32 unless stated otherwise. Shapes are in brackets: T steps, B rows, F inputs, O
 * outputs, N streams. The state of a stream is a block of `state_bytes` bytes: the number of steps so far (int64, at
 * offset 0), then the layers' arrays at the offsets given when the layers were added. A new stream's block is all
 * zeros, except the max and the peak of a pool, which start at minus infinity.
 *
 * On one target and version, results have the same bits whether steps are run one by one, as a whole sequence or in
 * chunks, in any batch, and with any number of threads.
 *
 * Functions that can fail return a status and write one sentence, without a final full stop, to `message` (`capacity`
 * bytes; TIDEGATE_MESSAGE is enough; it may be null if capacity is 0). They throw no exceptions. Operations and pools
 * are passed as int32, so that unknown ones are refused with a message like any other wrong number.
 */
#ifndef TIDEGATE_H
#define TIDEGATE_H

#include <stddef.h>
#include <stdint.h>

#include "tidegate_program.h"

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
  TIDEGATE_VALUE = 1,    /* an argument is invalid; nothing was changed */
  TIDEGATE_MEMORY = 2,   /* out of memory; nothing was changed */
  TIDEGATE_INTERNAL = 3, /* a bug in this library */
} tidegate_status;

typedef struct tidegate_engine tidegate_engine;

typedef enum tidegate_pool {
  TIDEGATE_LAST = 0,
  TIDEGATE_MEAN,
  TIDEGATE_MAX,
  TIDEGATE_ATTENTION,
} tidegate_pool;

/* Bounds on the errors of the activations, the same on every target (they use no fused multiply-add): absolute for
 * sigmoid, relative for tanh and exp where the exact result is a normal float. Tests check them on a sample of all
 * floats. Over every single float, the largest errors were 9.50e-8, 3.61e-7 and 8.36e-8. */
#define TIDEGATE_SIGMOID_ABS 1.1e-7
#define TIDEGATE_TANH_REL 3.7e-7
#define TIDEGATE_EXP_REL 1.0e-7

#define TIDEGATE_NORM_EPS 1e-5f

/* Limits on any size (inputs, outputs, widths), and on a stream's state. */
#define TIDEGATE_MAX_SIZE (1 << 20)
#define TIDEGATE_MAX_STATE_BYTES (1 << 24)
#define TIDEGATE_MAX_IDS 512
#define TIDEGATE_MAX_LOOK_AHEAD 4096
#define TIDEGATE_MAX_SOURCES 4096

/* The number format of products; states, outputs and sums are always float32. In the bfloat16 formats, the matrices of
 * products and the tables are rounded to the nearest bfloat16, ties to even. Other tensors are not rounded. */
typedef enum tidegate_precision {
  TIDEGATE_FLOAT32 = 0,
  TIDEGATE_WEIGHTS_BF16, /* weights are stored as bfloat16 and widened */
  TIDEGATE_COMPUTE_BF16, /* what the weights multiply is rounded to bfloat16 too */
  TIDEGATE_PRECISIONS    /* the number of precisions */
} tidegate_precision;

/* Return the name of the i-th target of this build, best first; null past the end. The functions that end in _in take
 * a precision; targets with a bfloat16 instruction are listed for TIDEGATE_COMPUTE_BF16 only. */
TIDEGATE_API const char* tidegate_compiled_target(int i);
TIDEGATE_API const char* tidegate_compiled_target_in(int32_t precision, int i);

/* Return the name of the i-th target that this CPU can run, best first; null past the end. */
TIDEGATE_API const char* tidegate_target(int i);
TIDEGATE_API const char* tidegate_target_in(int32_t precision, int i);

/* Set *name to the value of the environment variable TIDEGATE_TARGET if it is set, else to the best target. It is an
 * error if the variable names no target that this CPU can run. */
TIDEGATE_API tidegate_status tidegate_default_target(const char** name, char* message, size_t capacity);
TIDEGATE_API tidegate_status tidegate_default_target_in(int32_t precision, const char** name, char* message,
                                                        size_t capacity);

/* Make an engine without layers. fused: 0 uses only the interpreter of programs (the same bits, slower). */
TIDEGATE_API tidegate_status tidegate_open(const char* target, int64_t state_bytes, int fused,
                                           tidegate_engine** engine, char* message, size_t capacity);
TIDEGATE_API tidegate_status tidegate_open_in(int32_t precision, const char* target, int64_t state_bytes, int fused,
                                              tidegate_engine** engine, char* message, size_t capacity);

/* Free the engine; null is allowed. */
TIDEGATE_API void tidegate_close(tidegate_engine* engine);

/* A layer in the graph. sources: what it reads: earlier layers, by index, or the engine's input, -1; several are
 * joined, in order, into one row. With a source_count of 0 it reads the layer before; the first one reads the engine's
 * input. A layer that takes ids reads as many columns of the engine's input, from first_column on, and nothing else;
 * several layers may read the same columns. Otherwise first_column is 0. add: the index of an earlier layer whose output
 * is added to this one's; -1: none. Each output but the last must be read or added. */
typedef struct tidegate_node {
  tidegate_program program;
  const int32_t* sources; /* [source_count] */
  int32_t source_count;
  int32_t add;
  int64_t first_column;
} tidegate_node;

/* Add a layer. If its program has the operations of a layer for which there is a fused kernel, that one runs it. */
TIDEGATE_API tidegate_status tidegate_add(tidegate_engine* engine, const tidegate_node* node, char* message,
                                          size_t capacity);

/* Check the graph of layers and allocate memory. The engine can then run, and takes no more layers. */
TIDEGATE_API tidegate_status tidegate_finish(tidegate_engine* engine, char* message, size_t capacity);

/* Facts about an engine. */
typedef struct tidegate_info {
  const char* target;
  int64_t state_bytes;
  int64_t inputs;  /* F; with ids, the number of columns at each step */
  int64_t outputs; /* O */
  int64_t look_ahead; /* A, the steps that an answer waits for: the sum of the layers' along a path */
  int ids;         /* 1 if the input is int32 ids */
  int layers;
  int finished;
} tidegate_info;

TIDEGATE_API tidegate_info tidegate_get_info(const tidegate_engine* engine);

/* Return 1 if a fused kernel runs the layer, 0 if it runs by its operations. */
TIDEGATE_API int tidegate_is_fused(const tidegate_engine* engine, int layer);

/* The output of a layer that looks ahead is late: as late as its sources, which must be equally late, and by what it
 * looks ahead; what a layer adds must be as late as its own output. An engine whose output is A > 0 steps late gives
 * with step t the output of step t - A of its row, and none with the first A steps. The outputs of the last A steps
 * follow when the row ends (`ends`). Where there is no output, `out` is left untouched.
 *
 * Run B rows; row b runs its first lengths[b] of the T steps. x: int32[T, B, F] ids or float[T, B, F]; entries past a row's
 * length are not read. state_in, state_out: B blocks each, which must not overlap. per_step = 0: out[B, O] receives
 * each row's output after its last step (untouched for length 0). per_step = 1: out[T, B, O] receives the output that
 * comes with each step (untouched past a row's length). ends = 1: each row ends after its steps, and state_out may only
 * be used to begin anew; out[T + A, B, O] then also receives the outputs that follow, those of row b at lengths[b] to
 * lengths[b] + A - 1. T may be 0. out must not overlap x or the states. threads: the most to use, 1 or
 * more. */
TIDEGATE_API tidegate_status tidegate_run(const tidegate_engine* engine, int64_t T, int64_t B, const void* x,
                                          const int32_t* lengths, const uint8_t* state_in, uint8_t* state_out,
                                          float* out, int per_step, int ends, int threads, char* message,
                                          size_t capacity);

/* Run one step of one stream and update its state in place. x: int32[F] ids or float[F]; out[O]. Allocates no memory after
 * the first call. */
TIDEGATE_API tidegate_status tidegate_step(const tidegate_engine* engine, const void* x, uint8_t* state, float* out,
                                           char* message, size_t capacity);

/* Run one step for each of n entries, in place on states[N]. Entry i steps stream ids[i] with input x[i] (int32[n, F] ids
 * or float[n, F]) and writes out[i, O]; entries of the same stream are applied in order. out must not overlap x or the
 * states. Everything is checked before anything changes. With one thread, allocates no memory after the first call. */
TIDEGATE_API tidegate_status tidegate_step_many(const tidegate_engine* engine, int64_t n, const int64_t* ids,
                                                const void* x, int64_t N, uint8_t* states, float* out, int threads,
                                                char* message, size_t capacity);

/* Run one step for each of n rows that continue the states of others, as the hypotheses of a search do. Row i begins from
 * states_in[parents[i]], and writes states_out[i] and out[i, O]. A block is split at byte own_bytes: the N blocks of
 * states_in and the n of states_out have what stands before it; what stands behind it must be states that steps only
 * read (whose next value is themselves), all of them, and is read from held[owners[i]], M blocks of state_bytes -
 * own_bytes, so that rows share it. x: int32[n, F] ids or float[n, F]. Nothing that is written may overlap anything
 * else. The engine must not look ahead. Everything is checked before anything changes. With one thread, allocates no
 * memory after the first call. */
TIDEGATE_API tidegate_status tidegate_step_from(const tidegate_engine* engine, int64_t n, const void* x,
                                                const int64_t* parents, int64_t N, const uint8_t* states_in,
                                                int64_t own_bytes, const int64_t* owners, int64_t M,
                                                const uint8_t* held, uint8_t* states_out, float* out, int threads,
                                                char* message, size_t capacity);

/* Training: run a cell over whole rows, and compute its gradients. No engine is needed. The outputs have the same bits
 * as an engine that runs the cell. */
typedef enum tidegate_cell {
  TIDEGATE_CELL_GRU = 0,     /* gates r z n; reset after, update keep */
  TIDEGATE_CELL_GRU_REPLACE, /* the same with update replace */
  TIDEGATE_CELL_LSTM,        /* gates i f g o; states h c */
  TIDEGATE_CELL_RNN_TANH,    /* gate n */
  TIDEGATE_CELL_RNN_RELU,
  TIDEGATE_CELL_MINGRU, /* gates z n, of the input alone: no R and c */
  TIDEGATE_CELL_GRU_BEFORE, /* gates r z n; reset before, update keep */
  TIDEGATE_CELL_GRU_BEFORE_REPLACE,
  TIDEGATE_CELL_LSTM_PEEPHOLES, /* own parameters: the peepholes of i, f and o */
  TIDEGATE_CELLS, /* the number of cells */
  TIDEGATE_CELL_WITH_NORMS = 256 /* add it to a cell: a norm of each gate's W x + b and of each map's R v + c */
} tidegate_cell;

/* T steps of B rows, longest first. Only the first batch_sizes[t] rows have a step t: batch_sizes[0] = B, and no later
 * one is larger than the one before. Entries are packed step by step without gaps (as in torch's PackedSequence); N is
 * the sum of batch_sizes. G gates, M recurrent maps, S states. */
typedef struct tidegate_training {
  int32_t cell;
  int64_t steps, inputs, size; /* T, I, H */
  const int64_t* batch_sizes;  /* [T] */
  const float* x;              /* [N, I] */
  const float *W, *b;          /* [G * H, I], [G * H] */
  const float *R, *c;          /* [M * H, H], [M * H] */
  const float* initial_states; /* [S, B, H]: states before the first step */
  /* [O, H], or null if O is 0: the cell's own parameters; with norms, then the gains of the gates and of the maps, and
   * the biases in the same order. */
  const float* params;
} tidegate_training;

/* Set *floats to the number of floats that tidegate_train_forward saves per entry. */
TIDEGATE_API tidegate_status tidegate_train_saved_size(const char* target, int32_t cell, int64_t size, int64_t* floats,
                                                  char* message, size_t capacity);

/* Write y[N, H], the outputs; final_states[S, B, H], the states after each row's last step; and saved[N * floats],
 * which the backward pass needs and which may be null. threads: the most to use; no bit depends on it. */
TIDEGATE_API tidegate_status tidegate_train_forward(const char* target, const tidegate_training* training, float* y,
                                                    float* final_states, float* saved, int threads, char* message,
                                                    size_t capacity);

/* The gradients, computed from dy[N, H] and dfinal_states[S, B, H]. dx[N, I] may be null; the others have the shapes of
 * what they are the gradients of. The gradients of weights depend on which rows are in a batch, but not on the number
 * of threads. y and saved are only read. */
typedef struct tidegate_gradients {
  const float *y, *saved, *dy, *dfinal_states;
  float *dx, *dinitial_states, *dW, *db, *dR, *dc, *dparams;
} tidegate_gradients;

TIDEGATE_API tidegate_status tidegate_train_backward(const char* target, const tidegate_training* training,
                                                     const tidegate_gradients* gradients, int threads, char* message,
                                                     size_t capacity);

/* Pool packed rows (see tidegate_training) at K ends of each row at once, with one or more pools. The values have the
 * same bits as an engine's pool layer. score[H] and score_bias are for attention; without it, score is null. */
typedef struct tidegate_pooling {
  int64_t steps, size;        /* T, H */
  const int64_t* batch_sizes; /* [T] */
  const float* x;             /* [N, H] */
  int64_t count;              /* K */
  const int64_t* ends;        /* [K, B]: the number of steps to pool, from 1 to the row's length */
  int32_t items;
  const int32_t* over; /* [items]: tidegate_pool */
  const float* score;
  float score_bias;
} tidegate_pooling;

/* Write out[K, B, items * H]. threads: the most to use; no bit depends on it. */
TIDEGATE_API tidegate_status tidegate_train_pool_forward(const char* target, const tidegate_pooling* pooling,
                                                         float* out, int threads, char* message, size_t capacity);

/* Compute gradients from dout: dx[N, H], dscore[H] and dbias[1]; the last two are untouched without attention. If
 * several steps have the same maximum, the first one gets the gradient of max. */
TIDEGATE_API tidegate_status tidegate_train_pool_backward(const char* target, const tidegate_pooling* pooling,
                                                          const float* out, const float* dout, float* dx,
                                                          float* dscore, float* dbias, int threads, char* message,
                                                          size_t capacity);

/* Look up rows of a table[rows, H], with dropout: a number is kept, times 256 / (256 - level), if its random byte is at
 * least `level`, and is 0 otherwise. */
typedef struct tidegate_embedding {
  int64_t rows, size, entries; /* rows, H, N */
  const int64_t* ids;          /* [N] */
  const uint8_t* random;       /* [N, H]; null: no dropout */
  int32_t level;               /* 0 to 255 */
} tidegate_embedding;

/* Write out[N, H]. */
TIDEGATE_API tidegate_status tidegate_train_embed_forward(const tidegate_embedding* embedding, const float* table,
                                                          float* out, char* message, size_t capacity);

/* Compute the gradients of the rows that were looked up: values[count, H], where entry n adds to row slots[n]. */
TIDEGATE_API tidegate_status tidegate_train_embed_backward(const tidegate_embedding* embedding, const int64_t* slots,
                                                           int64_t count, const float* dout, float* values,
                                                           char* message, size_t capacity);

/* One step of AdamW. factor: the gradient is multiplied by it. step: the number of the step, from 1. */
typedef struct tidegate_adamw {
  int64_t rows, size, step;
  double rate, beta1, beta2, eps, decay;
  float factor;
} tidegate_adamw;

/* Update weights, mean and square [rows, size] in place. row_ids[count]: the rows that have a gradient, in ascending
 * order; gradient[count, size] belongs to them, and that of all other rows is 0. Null: all rows have one. */
TIDEGATE_API tidegate_status tidegate_train_adamw(const tidegate_adamw* adamw, float* weights, float* mean,
                                                  float* square, const int64_t* row_ids, int64_t count,
                                                  const float* gradient, char* message, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
