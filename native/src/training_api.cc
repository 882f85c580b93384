// The C API of training.
#include "engine.h"
#include "status.h"
#include "embedding_adamw.h"
#include "pool_training.h"
#include "training.h"

using tidegate::catch_as_status;
using tidegate::find_target;
using tidegate::Pooling;
using tidegate::Training;

extern "C" {

tidegate_status tidegate_train_saved_size(const char* target, int32_t cell, int64_t size, int64_t* floats,
                                          char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] {
    const std::size_t lanes = find_target(target, "target").lanes, units = tidegate::check_size(size, "size");
    const tidegate::CellSpec spec = tidegate::get_cell_spec(cell);
    *floats = static_cast<int64_t>(spec.saved * ((units + lanes - 1) / lanes * lanes) +
                                   (spec.has_norms ? tidegate::kDeviationFloats : 0));
  });
}

tidegate_status tidegate_train_forward(const char* target, const tidegate_training* training, float* y,
                                       float* final_states, float* saved, int threads, char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] {
    train_forward(Training(find_target(target, "target"), *training), y, final_states, saved, threads);
  });
}

tidegate_status tidegate_train_backward(const char* target, const tidegate_training* training,
                                        const tidegate_gradients* gradients, int threads, char* message,
                                        size_t capacity) {
  return catch_as_status(message, capacity, [&] {
    train_backward(Training(find_target(target, "target"), *training), *gradients, threads);
  });
}

tidegate_status tidegate_train_pool_forward(const char* target, const tidegate_pooling* pooling, float* out,
                                            int threads, char* message, size_t capacity) {
  return catch_as_status(message, capacity,
                         [&] { pool_forward(Pooling(find_target(target, "target"), *pooling), out, threads); });
}

tidegate_status tidegate_train_pool_backward(const char* target, const tidegate_pooling* pooling, const float* out,
                                             const float* dout, float* dx, float* dscore, float* dbias, int threads,
                                             char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] {
    pool_backward(Pooling(find_target(target, "target"), *pooling), out, dout, dx, dscore, dbias, threads);
  });
}

tidegate_status tidegate_train_embed_forward(const tidegate_embedding* embedding, const float* table, float* out,
                                             char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] { tidegate::embed_forward(*embedding, table, out); });
}

tidegate_status tidegate_train_embed_backward(const tidegate_embedding* embedding, const int64_t* slots, int64_t count,
                                              const float* dout, float* values, char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] { tidegate::embed_backward(*embedding, slots, count, dout, values); });
}

tidegate_status tidegate_train_adamw(const tidegate_adamw* adamw, float* weights, float* mean, float* square,
                                     const int64_t* row_ids, int64_t count, const float* gradient, char* message,
                                     size_t capacity) {
  return catch_as_status(message, capacity,
                         [&] { tidegate::adamw(*adamw, weights, mean, square, row_ids, count, gradient); });
}

}  // extern "C"
