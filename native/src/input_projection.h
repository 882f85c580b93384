// W x + b of a recurrent layer: computed for all items of a chunk at once, before the recurrence.
#pragma once

#include "layer.h"

namespace tidegate {

class InputProjection {
 public:
  // Arguments as for PackedWeights; the length of `order` is a multiple of the vector length.
  InputProjection(const Kernels& kernels, std::size_t depth, const std::vector<std::int64_t>& order,
                  const float* weights, const float* bias);

  // Compute the projection of every row of an embed layer's table, so that run() takes ids and only looks results up:
  // the same bits, faster. Returns false, and does nothing, if that table would be empty or too large.
  bool fold(const Layer& embed);

  // x: rows of `depth` floats, or ids after fold(). out: rows of `columns` floats.
  void run(std::size_t items, MatrixView x, float* out) const;

  // The matrix that run() multiplies by; null after fold().
  const PackedMatrix* matrix() const { return table_ ? nullptr : &packed_.matrix(); }

  const std::size_t columns;

 private:
  const Kernels& kernels_;
  PackedWeights packed_;
  std::unique_ptr<AlignedFloats> table_;
};

}  // namespace tidegate
