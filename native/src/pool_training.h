// Pools in training: their values after chosen steps of rows that lie as a recurrence in training has them, and gradients.
#pragma once

#include <vector>

#include "training.h"

namespace tidegate {

// The caller's arrays, checked.
struct Pooling {
  // Throws ValueError where the figures do not fit together.
  Pooling(const Kernels& kernels, const tidegate_pooling& given);

  const float* entry(std::size_t t, std::size_t row) const { return given.x + (starts[t] + row) * size; }
  std::size_t end(std::size_t k, std::size_t row) const { return static_cast<std::size_t>(given.ends[k * batch + row]); }
  // The last step of a row that any of its ends is behind.
  std::size_t longest(std::size_t row) const;
  // Where the values of a row's k-th end stand among all.
  std::size_t place(std::size_t k, std::size_t row) const { return (k * batch + row) * items * size; }
  std::size_t crew(int threads) const;

  const Kernels& kernels;
  const tidegate_pooling& given;
  const std::size_t size, units, steps, items, count;  // units: size in whole vectors; count: ends of a row
  std::size_t batch, entries;
  bool attention;
  std::vector<std::size_t> starts;  // where each step's entries begin
};

void pool_forward(const Pooling& pooling, float* out, int threads);
void pool_backward(const Pooling& pooling, const float* out, const float* dout, float* dx, float* dscore, float* dbias,
                   int threads);

}  // namespace tidegate
