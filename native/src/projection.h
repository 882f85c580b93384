// W x + b of a recurrent layer for all items of a chunk at once, ahead of its recurrence.
#pragma once

#include "layer.h"

namespace tidegate {

class Projection {
 public:
  // As Packed. `order` has whole vectors.
  Projection(const Kernels& kernels, std::size_t depth, const std::vector<std::int64_t>& order, const float* weights,
             const float* bias);

  // Works out the projection of each row of an embed `depth` wide, so that run() takes ids and only looks them up: the
  // same bits. False, and nothing is done, where that table would be empty or too large.
  bool fold(const Layer& embed);

  // x: rows of `depth` floats or, once folded, ids. out: rows of `columns` floats.
  void run(std::size_t items, Rows x, float* out) const;

  // What run() works out; null once folded, when it only looks up.
  const Product* product() const { return table_ ? nullptr : &packed_.product(); }

  const std::size_t columns;

 private:
  const Kernels& kernels_;
  Packed packed_;
  std::unique_ptr<Floats> table_;
};

}  // namespace tidegate
