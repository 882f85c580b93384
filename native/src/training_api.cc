// The C API of training.
#include "engine.h"
#include "guarded.h"
#include "learning.h"
#include "pool_training.h"
#include "training.h"

using tidegate::find_target;
using tidegate::guarded;
using tidegate::Pooling;
using tidegate::Training;

extern "C" {

tidegate_status tidegate_train_saved(const char* target, int32_t cell, int64_t size, int64_t* floats, char* message,
                                     size_t capacity) {
  return guarded(message, capacity, [&] {
    const std::size_t lanes = find_target(target, "target").lanes, units = tidegate::checked_size(size, "size");
    const tidegate::TrainedCell found = tidegate::trained_cell(cell);
    *floats = static_cast<int64_t>(found.saved * ((units + lanes - 1) / lanes * lanes) +
                                   (found.normed ? tidegate::kDeviations : 0));
  });
}

tidegate_status tidegate_train_forward(const char* target, const tidegate_training* training, float* y, float* last,
                                       float* saved, int threads, char* message, size_t capacity) {
  return guarded(message, capacity,
                 [&] { train_forward(Training(find_target(target, "target"), *training), y, last, saved, threads); });
}

tidegate_status tidegate_train_backward(const char* target, const tidegate_training* training,
                                        const tidegate_gradients* gradients, int threads, char* message,
                                        size_t capacity) {
  return guarded(message, capacity, [&] {
    train_backward(Training(find_target(target, "target"), *training), *gradients, threads);
  });
}

tidegate_status tidegate_train_pool_forward(const char* target, const tidegate_pooling* pooling, float* out,
                                            int threads, char* message, size_t capacity) {
  return guarded(message, capacity,
                 [&] { pool_forward(Pooling(find_target(target, "target"), *pooling), out, threads); });
}

tidegate_status tidegate_train_pool_backward(const char* target, const tidegate_pooling* pooling, const float* out,
                                             const float* dout, float* dx, float* dscore, float* dbias, int threads,
                                             char* message, size_t capacity) {
  return guarded(message, capacity, [&] {
    pool_backward(Pooling(find_target(target, "target"), *pooling), out, dout, dx, dscore, dbias, threads);
  });
}

tidegate_status tidegate_train_embed_forward(const tidegate_embedding* embedding, const float* table, float* out,
                                             char* message, size_t capacity) {
  return guarded(message, capacity, [&] { tidegate::embed_forward(*embedding, table, out); });
}

tidegate_status tidegate_train_embed_backward(const tidegate_embedding* embedding, const int64_t* slots, int64_t count,
                                              const float* dout, float* values, char* message, size_t capacity) {
  return guarded(message, capacity, [&] { tidegate::embed_backward(*embedding, slots, count, dout, values); });
}

tidegate_status tidegate_train_adamw(const tidegate_adamw* adamw, float* weights, float* mean, float* square,
                                     const int64_t* which, int64_t count, const float* gradient, char* message,
                                     size_t capacity) {
  return guarded(message, capacity, [&] { tidegate::adamw(*adamw, weights, mean, square, which, count, gradient); });
}

}  // extern "C"
