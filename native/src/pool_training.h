// Pooling in training: values after chosen steps of packed rows (stored as tidegate_training describes), and gradients.
#pragma once

#include <vector>

#include "training.h"

namespace tidegate {

// The caller's arguments, checked.
struct Pooling {
  // Throws ValueError if the arguments do not fit together.
  Pooling(const Kernels& kernels, const tidegate_pooling& args);

  const float* entry(std::size_t t, std::size_t row) const { return args.x + (starts[t] + row) * size; }
  std::size_t end(std::size_t k, std::size_t row) const { return static_cast<std::size_t>(args.ends[k * batch + row]); }
  // Return the largest end of a row; steps after it are not pooled.
  std::size_t last_end(std::size_t row) const;
  // Return the index in `out` of the values at a row's k-th end.
  std::size_t output_index(std::size_t k, std::size_t row) const { return (k * batch + row) * items * size; }
  std::size_t worker_count(int threads) const;

  const Kernels& kernels;
  const tidegate_pooling& args;
  const std::size_t size, units, steps, items, count;  // units: size rounded up to whole vectors; count: ends per row
  std::size_t batch, entries;
  bool attention;
  std::vector<std::size_t> starts;  // the first entry of each step
};

void pool_forward(const Pooling& pooling, float* out, int threads);
void pool_backward(const Pooling& pooling, const float* out, const float* dout, float* dx, float* dscore, float* dbias,
                   int threads);

}  // namespace tidegate
