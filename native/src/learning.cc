// What a training step does around the recurrences: rows of a table, and the optimiser.
#include "learning.h"

#include <cmath>

namespace tidegate {
namespace {

// Room for what one entry's random bytes leave: the factor of what stays, or 0.
class Factors {
 public:
  explicit Factors(const tidegate_embedding& given)
      : given_(given), size_(static_cast<std::size_t>(given.size)), factors_(size_) {
    if (given.level < 0 || given.level > 255)
      throw ValueError("level must be from 0 to 255, found " + std::to_string(given.level));
    checked_size(given.size, "size");
    if (given.random == nullptr) std::fill_n(factors_.data(), size_, 1.0f);
  }

  const float* of(std::size_t entry) const {
    if (given_.random == nullptr) return factors_.data();
    const float scale = 256.0f / static_cast<float>(256 - given_.level);
    const std::uint8_t* const bytes = given_.random + entry * size_;
    const int level = given_.level;
    float* const to = factors_.data();
    for (std::size_t j = 0; j < size_; ++j) to[j] = bytes[j] >= level ? scale : 0.0f;
    return to;
  }

 private:
  const tidegate_embedding& given_;
  const std::size_t size_;
  Floats factors_;
};

std::int64_t checked_row(std::int64_t row, std::int64_t rows, const char* what) {
  if (row < 0 || row >= rows)
    throw ValueError(std::string(what) + " must be from 0 to " + std::to_string(rows - 1) + ", found " +
                     std::to_string(row));
  return row;
}

// All of them, before anything is written.
void check_rows(const std::int64_t* found, std::int64_t count, std::int64_t rows, const char* what) {
  for (std::int64_t n = 0; n < count; ++n) checked_row(found[n], rows, what);
}

struct Step {
  explicit Step(const tidegate_adamw& of)
      : of(of), rate(static_cast<float>(of.rate / (1.0 - std::pow(of.beta1, static_cast<double>(of.step))))),
        correction(static_cast<float>(std::sqrt(1.0 - std::pow(of.beta2, static_cast<double>(of.step))))),
        keep(static_cast<float>(1.0 - of.rate * of.decay)), beta1(static_cast<float>(of.beta1)),
        beta2(static_cast<float>(of.beta2)), take1(static_cast<float>(1.0 - of.beta1)),
        take2(static_cast<float>(1.0 - of.beta2)), eps(static_cast<float>(of.eps)) {}

  // n weights whose gradient is `gradient`, of which one is given for every weight or none at all.
  void with(std::size_t n, float* __restrict weights, float* __restrict mean, float* __restrict square,
            const float* __restrict gradient) const {
    for (std::size_t i = 0; i < n; ++i) {
      const float g = gradient[i] * of.factor;
      mean[i] = beta1 * mean[i] + take1 * g;
      square[i] = beta2 * square[i] + take2 * (g * g);
      weights[i] = keep * weights[i] - rate * mean[i] / (std::sqrt(square[i]) / correction + eps);
    }
  }
  void without(std::size_t n, float* __restrict weights, float* __restrict mean, float* __restrict square) const {
    for (std::size_t i = 0; i < n; ++i) {
      mean[i] = beta1 * mean[i];
      square[i] = beta2 * square[i];
      weights[i] = keep * weights[i] - rate * mean[i] / (std::sqrt(square[i]) / correction + eps);
    }
  }

  const tidegate_adamw& of;
  const float rate, correction, keep, beta1, beta2, take1, take2, eps;
};

}  // namespace

void embed_forward(const tidegate_embedding& given, const float* table, float* out) {
  const Factors dropout(given);
  const auto size = static_cast<std::size_t>(given.size);
  check_rows(given.ids, given.entries, given.rows, "an id");
  for (std::int64_t n = 0; n < given.entries; ++n) {
    const float* const row = table + static_cast<std::size_t>(given.ids[n]) * size;
    const float* const factors = dropout.of(static_cast<std::size_t>(n));
    float* const to = out + static_cast<std::size_t>(n) * size;
    for (std::size_t j = 0; j < size; ++j) to[j] = row[j] * factors[j];
  }
}

void embed_backward(const tidegate_embedding& given, const std::int64_t* slots, std::int64_t count, const float* dout,
                    float* values) {
  const Factors dropout(given);
  const auto size = static_cast<std::size_t>(given.size);
  check_rows(slots, given.entries, count, "a slot");
  std::fill_n(values, static_cast<std::size_t>(std::max<std::int64_t>(count, 0)) * size, 0.0f);
  for (std::int64_t n = 0; n < given.entries; ++n) {
    float* const to = values + static_cast<std::size_t>(slots[n]) * size;
    const float* const factors = dropout.of(static_cast<std::size_t>(n));
    const float* const from = dout + static_cast<std::size_t>(n) * size;
    for (std::size_t j = 0; j < size; ++j) to[j] += from[j] * factors[j];
  }
}

void adamw(const tidegate_adamw& given, float* weights, float* mean, float* square, const std::int64_t* rows,
           std::int64_t count, const float* gradient) {
  if (given.step < 1) throw ValueError("step must be 1 or more, found " + std::to_string(given.step));
  const Step step(given);
  const auto size = static_cast<std::size_t>(given.size);
  for (std::int64_t k = 0; rows != nullptr && k < count; ++k) {  // all is checked before any change
    checked_row(rows[k], given.rows, "a row with a gradient");
    if (k > 0 && rows[k] <= rows[k - 1]) throw ValueError("rows with a gradient must ascend");
  }
  if (rows == nullptr) return step.with(static_cast<std::size_t>(given.rows) * size, weights, mean, square, gradient);
  std::int64_t next = 0;  // rows before it are done
  const auto skip_to = [&](std::int64_t row) {
    const std::size_t at = static_cast<std::size_t>(next) * size;
    step.without(static_cast<std::size_t>(row - next) * size, weights + at, mean + at, square + at);
    next = row;
  };
  for (std::int64_t k = 0; k < count; ++k) {
    skip_to(rows[k]);
    const std::size_t at = static_cast<std::size_t>(next++) * size;
    step.with(size, weights + at, mean + at, square + at, gradient + static_cast<std::size_t>(k) * size);
  }
  skip_to(given.rows);
}

}  // namespace tidegate
