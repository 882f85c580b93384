// The parts of a training step outside the recurrence: the embedding with dropout, and the AdamW optimiser.
#include "embedding_adamw.h"

#include <cmath>

namespace tidegate {
namespace {

// Computes the dropout factors of one entry at a time: the scale of the numbers that stay, 0 for the others.
class DropoutFactors {
 public:
  explicit DropoutFactors(const tidegate_embedding& args)
      : args_(args), size_(static_cast<std::size_t>(args.size)), factors_(size_) {
    if (args.level < 0 || args.level > 255)
      throw ValueError("level must be from 0 to 255, found " + std::to_string(args.level));
    check_size(args.size, "size");
    if (args.random == nullptr) std::fill_n(factors_.data(), size_, 1.0f);
  }

  const float* compute(std::size_t entry) const {
    if (args_.random == nullptr) return factors_.data();
    const float scale = 256.0f / static_cast<float>(256 - args_.level);
    const std::uint8_t* const bytes = args_.random + entry * size_;
    const int level = args_.level;
    float* const to = factors_.data();
    for (std::size_t j = 0; j < size_; ++j) to[j] = bytes[j] >= level ? scale : 0.0f;
    return to;
  }

 private:
  const tidegate_embedding& args_;
  const std::size_t size_;
  AlignedFloats factors_;
};

std::int64_t check_row(std::int64_t row, std::int64_t rows, const char* what) {
  if (row < 0 || row >= rows)
    throw ValueError(std::string(what) + " must be from 0 to " + std::to_string(rows - 1) + ", found " +
                     std::to_string(row));
  return row;
}

// Check all indices before anything is written.
void check_rows(const std::int64_t* indices, std::int64_t count, std::int64_t rows, const char* what) {
  for (std::int64_t n = 0; n < count; ++n) check_row(indices[n], rows, what);
}

struct AdamwStep {
  explicit AdamwStep(const tidegate_adamw& args)
      : args(args),
        rate(static_cast<float>(args.rate / (1.0 - std::pow(args.beta1, static_cast<double>(args.step))))),
        correction(static_cast<float>(std::sqrt(1.0 - std::pow(args.beta2, static_cast<double>(args.step))))),
        weight_factor(static_cast<float>(1.0 - args.rate * args.decay)),
        beta1(static_cast<float>(args.beta1)),
        beta2(static_cast<float>(args.beta2)),
        one_minus_beta1(static_cast<float>(1.0 - args.beta1)),
        one_minus_beta2(static_cast<float>(1.0 - args.beta2)),
        eps(static_cast<float>(args.eps)) {}

  // Update n weights: with a gradient for each weight, or without any gradient.
  void update(std::size_t n, float* __restrict weights, float* __restrict mean, float* __restrict square,
              const float* __restrict gradient) const {
    for (std::size_t i = 0; i < n; ++i) {
      const float g = gradient[i] * args.factor;
      mean[i] = beta1 * mean[i] + one_minus_beta1 * g;
      square[i] = beta2 * square[i] + one_minus_beta2 * (g * g);
      weights[i] = weight_factor * weights[i] - rate * mean[i] / (std::sqrt(square[i]) / correction + eps);
    }
  }
  void update_without_gradient(std::size_t n, float* __restrict weights, float* __restrict mean,
                               float* __restrict square) const {
    for (std::size_t i = 0; i < n; ++i) {
      mean[i] = beta1 * mean[i];
      square[i] = beta2 * square[i];
      weights[i] = weight_factor * weights[i] - rate * mean[i] / (std::sqrt(square[i]) / correction + eps);
    }
  }

  const tidegate_adamw& args;
  const float rate, correction, weight_factor, beta1, beta2, one_minus_beta1, one_minus_beta2, eps;
};

}  // namespace

void embed_forward(const tidegate_embedding& args, const float* table, float* out) {
  const DropoutFactors dropout(args);
  const auto size = static_cast<std::size_t>(args.size);
  check_rows(args.ids, args.entries, args.rows, "an id");
  for (std::int64_t n = 0; n < args.entries; ++n) {
    const float* const row = table + static_cast<std::size_t>(args.ids[n]) * size;
    const float* const factors = dropout.compute(static_cast<std::size_t>(n));
    float* const to = out + static_cast<std::size_t>(n) * size;
    for (std::size_t j = 0; j < size; ++j) to[j] = row[j] * factors[j];
  }
}

void embed_backward(const tidegate_embedding& args, const std::int64_t* slots, std::int64_t count, const float* dout,
                    float* values) {
  const DropoutFactors dropout(args);
  const auto size = static_cast<std::size_t>(args.size);
  check_rows(slots, args.entries, count, "a slot");
  std::fill_n(values, static_cast<std::size_t>(std::max<std::int64_t>(count, 0)) * size, 0.0f);
  for (std::int64_t n = 0; n < args.entries; ++n) {
    float* const to = values + static_cast<std::size_t>(slots[n]) * size;
    const float* const factors = dropout.compute(static_cast<std::size_t>(n));
    const float* const from = dout + static_cast<std::size_t>(n) * size;
    for (std::size_t j = 0; j < size; ++j) to[j] += from[j] * factors[j];
  }
}

void adamw(const tidegate_adamw& args, float* weights, float* mean, float* square, const std::int64_t* row_ids,
           std::int64_t count, const float* gradient) {
  if (args.step < 1) throw ValueError("step must be 1 or more, found " + std::to_string(args.step));
  const AdamwStep step(args);
  const auto size = static_cast<std::size_t>(args.size);
  for (std::int64_t k = 0; row_ids != nullptr && k < count; ++k) {  // check everything before changing anything
    check_row(row_ids[k], args.rows, "a row id");
    if (k > 0 && row_ids[k] <= row_ids[k - 1])
      throw ValueError("row_ids must be in ascending order, without duplicates");
  }
  if (row_ids == nullptr)
    return step.update(static_cast<std::size_t>(args.rows) * size, weights, mean, square, gradient);
  std::int64_t next = 0;  // the rows before this one are done
  const auto skip_to = [&](std::int64_t row) {
    const std::size_t at = static_cast<std::size_t>(next) * size;
    step.update_without_gradient(static_cast<std::size_t>(row - next) * size, weights + at, mean + at, square + at);
    next = row;
  };
  for (std::int64_t k = 0; k < count; ++k) {
    skip_to(row_ids[k]);
    const std::size_t at = static_cast<std::size_t>(next++) * size;
    step.update(size, weights + at, mean + at, square + at, gradient + static_cast<std::size_t>(k) * size);
  }
  skip_to(args.rows);
}

}  // namespace tidegate
