// Pooling in training. The forward pass uses the kernels of inference and so has their bits; the backward pass reads
// each row twice.
#include "pool_training.h"

#include <limits>

namespace tidegate {
namespace {

constexpr std::size_t kWorkPerThread = kEagerThreads ? 1 : std::size_t{1} << 20;
constexpr std::size_t kPartialSums = 16;  // partial sums, so that the compiler can vectorise a reduction

float dot(std::size_t n, const float* a, const float* b) {
  float part[kPartialSums] = {};
  std::size_t i = 0;
  for (; i + kPartialSums <= n; i += kPartialSums)
    for (std::size_t j = 0; j < kPartialSums; ++j) part[j] += a[i + j] * b[i + j];
  for (std::size_t j = 0; i + j < n; ++j) part[j] += a[i + j] * b[i + j];
  float sum = 0.0f;
  for (float value : part) sum += value;
  return sum;
}

void add_scaled(std::size_t n, float factor, const float* x, float* sum) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += factor * x[i];
}

// Return the rows of worker i.
RowRange rows_of_worker(const Pooling& pooling, std::size_t i, std::size_t worker_count) {
  const std::size_t first = pooling.batch * i / worker_count;
  return {first, pooling.batch * (i + 1) / worker_count - first};
}

// The forward pass of one row after another.
class PoolForward {
 public:
  explicit PoolForward(const Pooling& pooling)
      : pooling_(pooling),
        score_(pooling.units),
        x_(pooling.units),
        value_(pooling.units),
        states_(pooling.items * pooling.units),
        weights_(2 * pooling.items) {
    if (pooling.args.score) std::memcpy(score_.data(), pooling.args.score, pooling.size * sizeof(float));
  }

  void run(std::size_t row, float* out) {
    reset();
    const std::size_t steps = pooling_.last_end(row);
    for (std::size_t t = 0; t < steps; ++t) {
      const float* x = pooling_.entry(t, row);
      if (pooling_.units != pooling_.size) {  // kernels read whole vectors
        std::memcpy(x_.data(), x, pooling_.size * sizeof(float));
        x = x_.data();
      }
      for (std::size_t i = 0; i < pooling_.items; ++i) {
        const float* const value = step(i, t, x);
        for (std::size_t k = 0; k < pooling_.count; ++k)
          if (pooling_.end(k, row) == t + 1)
            std::memcpy(out + pooling_.output_index(k, row) + i * pooling_.size, value, pooling_.size * sizeof(float));
      }
    }
  }

 private:
  void reset() {
    for (std::size_t i = 0; i < pooling_.items; ++i) {
      const bool max = pooling_.args.over[i] == TIDEGATE_MAX;
      std::fill_n(states_.data() + i * pooling_.units, pooling_.units,
                  max ? -std::numeric_limits<float>::infinity() : 0.0f);
      weights_.data()[2 * i] = -std::numeric_limits<float>::infinity();
      weights_.data()[2 * i + 1] = 0.0f;
    }
  }

  // Return the value of pool i after step t.
  const float* step(std::size_t i, std::size_t t, const float* x) {
    float* const state = states_.data() + i * pooling_.units;
    float* const weights = weights_.data() + 2 * i;
    switch (pooling_.args.over[i]) {
      case TIDEGATE_LAST: return x;
      case TIDEGATE_MEAN:
        pooling_.kernels.pool_mean(pooling_.size, x, static_cast<float>(t + 1), state, value_.data());
        break;
      case TIDEGATE_MAX: pooling_.kernels.pool_max(pooling_.size, x, state, value_.data()); break;
      default:
        pooling_.kernels.pool_attention(pooling_.size, x, score_.data(), pooling_.args.score_bias, weights, weights + 1,
                                        state, value_.data());
    }
    return value_.data();
  }

  const Pooling& pooling_;
  AlignedFloats score_, x_, value_, states_, weights_;
};

// The backward pass of one row after another.
class PoolBackward {
 public:
  PoolBackward(const Pooling& pooling, const float* out, const float* dout)
      : pooling_(pooling),
        out_(out),
        dout_(dout),
        padded_steps_((pooling.steps + pooling.kernels.lanes - 1) / pooling.kernels.lanes * pooling.kernels.lanes),
        energies_(padded_steps_),
        exps_(padded_steps_),
        attention_(padded_steps_ * pooling.count * pooling.items),
        remaining_(pooling.size * pooling.count * pooling.items) {}

  // Write dx for the row, and its contributions to dscore [H] and dbias.
  void run(std::size_t row, float* dx, float* dscore, float* dbias) {
    steps_ = pooling_.last_end(row);
    if (pooling_.attention) compute_energies(row);
    for (std::size_t n = 0; n < pooling_.count * pooling_.items; ++n) prepare_value(n, row);
    for (std::size_t t = 0; t < steps_; ++t) {
      const float* const x = pooling_.entry(t, row);
      float* const to = dx + (pooling_.starts[t] + row) * pooling_.size;
      std::fill_n(to, pooling_.size, 0.0f);
      float d_energy = 0.0f;  // gradient of this step's energy
      for (std::size_t n = 0; n < pooling_.count * pooling_.items; ++n)
        if (t < pooling_.end(n / pooling_.items, row)) d_energy += step(n, row, t, x, to);
      if (!pooling_.attention) continue;
      add_scaled(pooling_.size, d_energy, pooling_.args.score, to);
      add_scaled(pooling_.size, d_energy, x, dscore);
      *dbias += d_energy;
    }
    for (std::size_t t = steps_; t < pooling_.steps && row < alive_rows(t); ++t)  // steps after every end
      std::fill_n(dx + (pooling_.starts[t] + row) * pooling_.size, pooling_.size, 0.0f);
  }

 private:
  std::size_t alive_rows(std::size_t t) const { return static_cast<std::size_t>(pooling_.args.batch_sizes[t]); }
  const float* gradient(std::size_t n, std::size_t row) const { return dout_ + output_of(n, row); }
  std::size_t output_of(std::size_t n, std::size_t row) const {
    return pooling_.output_index(n / pooling_.items, row) + n % pooling_.items * pooling_.size;
  }
  std::int32_t over(std::size_t n) const { return pooling_.args.over[n % pooling_.items]; }

  // Compute the attention energies of a row.
  void compute_energies(std::size_t row) {
    for (std::size_t t = 0; t < steps_; ++t)
      energies_.data()[t] = dot(pooling_.size, pooling_.entry(t, row), pooling_.args.score) + pooling_.args.score_bias;
  }

  void prepare_value(std::size_t n, std::size_t row) {
    const float* const dy = gradient(n, row);
    const std::size_t end = pooling_.end(n / pooling_.items, row);
    float* const value_gradient = remaining_.data() + n * pooling_.size;
    if (over(n) == TIDEGATE_MAX) std::memcpy(value_gradient, dy, pooling_.size * sizeof(float));
    if (over(n) == TIDEGATE_MEAN)
      for (std::size_t j = 0; j < pooling_.size; ++j) value_gradient[j] = dy[j] / static_cast<float>(end);
    if (over(n) == TIDEGATE_ATTENTION) compute_attention(end, attention_.data() + n * padded_steps_);
  }

  // Compute the attention weights of the first `end` steps.
  void compute_attention(std::size_t end, float* weights) {
    const float peak = *std::max_element(energies_.data(), energies_.data() + end);
    for (std::size_t t = 0; t < end; ++t) weights[t] = energies_.data()[t] - peak;
    const std::size_t width = (end + pooling_.kernels.lanes - 1) / pooling_.kernels.lanes * pooling_.kernels.lanes;
    pooling_.kernels.exp(1, width, {weights, width}, exps_.data(), width);
    float total = 0.0f;
    for (std::size_t t = 0; t < end; ++t) total += exps_.data()[t];
    for (std::size_t t = 0; t < end; ++t) weights[t] = exps_.data()[t] / total;
  }

  // Add the gradient that one pooled value gives to step t; return the one that it gives to the step's energy.
  float step(std::size_t n, std::size_t row, std::size_t t, const float* x, float* to) {
    const float *const dy = gradient(n, row), *const y = out_ + output_of(n, row);
    float* const value_gradient = remaining_.data() + n * pooling_.size;
    switch (over(n)) {
      case TIDEGATE_LAST:
        if (t + 1 == pooling_.end(n / pooling_.items, row)) add_scaled(pooling_.size, 1.0f, dy, to);
        return 0.0f;
      case TIDEGATE_MEAN: add_scaled(pooling_.size, 1.0f, value_gradient, to); return 0.0f;
      case TIDEGATE_MAX:
        for (std::size_t j = 0; j < pooling_.size; ++j) {  // only the first step with the largest number has a gradient
          const float g = x[j] == y[j] ? value_gradient[j] : 0.0f;
          to[j] += g;
          value_gradient[j] -= g;
        }
        return 0.0f;
      default: break;
    }
    const float weight = attention_.data()[n * padded_steps_ + t];
    add_scaled(pooling_.size, weight, dy, to);
    return weight * dot_difference(x, y, dy);
  }

  // Return the dot product of x - y and dy.
  float dot_difference(const float* x, const float* y, const float* dy) {
    float part[kPartialSums] = {};
    std::size_t i = 0;
    for (; i + kPartialSums <= pooling_.size; i += kPartialSums)
      for (std::size_t j = 0; j < kPartialSums; ++j) part[j] += (x[i + j] - y[i + j]) * dy[i + j];
    for (std::size_t j = 0; i + j < pooling_.size; ++j) part[j] += (x[i + j] - y[i + j]) * dy[i + j];
    float sum = 0.0f;
    for (float value : part) sum += value;
    return sum;
  }

  const Pooling& pooling_;
  const float *out_, *dout_;
  const std::size_t padded_steps_;
  std::size_t steps_ = 0;
  AlignedFloats energies_, exps_, attention_, remaining_;
};

}  // namespace

Pooling::Pooling(const Kernels& kernels, const tidegate_pooling& args)
    : kernels(kernels),
      args(args),
      size(check_size(args.size, "size")),
      units((size + kernels.lanes - 1) / kernels.lanes * kernels.lanes),
      steps(check_size(args.steps, "steps")),
      items(check_size(args.items, "the number of pools")),
      count(check_size(args.count, "the number of ends")),
      batch(check_size(args.batch_sizes[0], "batch_sizes[0]")),
      entries(0),
      attention(false) {
  for (std::size_t t = 0; t < steps; ++t) {
    if (args.batch_sizes[t] < 1 || (t > 0 && args.batch_sizes[t] > args.batch_sizes[t - 1]))
      throw ValueError("batch_sizes[" + std::to_string(t) + "] must be from 1 to the size of the step before, found " +
                       std::to_string(args.batch_sizes[t]));
    starts.push_back(entries);
    entries += static_cast<std::size_t>(args.batch_sizes[t]);
  }
  for (std::size_t i = 0; i < items; ++i) {
    if (args.over[i] < TIDEGATE_LAST || args.over[i] > TIDEGATE_ATTENTION)
      throw ValueError("unknown pool " + std::to_string(args.over[i]));
    attention = attention || args.over[i] == TIDEGATE_ATTENTION;
  }
  if (attention != (args.score != nullptr))
    throw ValueError(attention ? "attention needs a score" : "a score is for attention only");
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t row = 0; row < batch; ++row) {
      const std::int64_t end = args.ends[k * batch + row];
      if (end < 1 || end > args.steps || static_cast<std::size_t>(args.batch_sizes[end - 1]) <= row)
        throw ValueError("an end of row " + std::to_string(row) + " must be from 1 to its steps, found " +
                         std::to_string(end));
    }
}

std::size_t Pooling::last_end(std::size_t row) const {
  std::size_t last = 0;
  for (std::size_t k = 0; k < count; ++k) last = std::max(last, end(k, row));
  return last;
}

std::size_t Pooling::worker_count(int threads) const {
  const std::size_t useful_workers = std::max<std::size_t>(1, std::min(entries * size * items / kWorkPerThread, batch));
  return std::min(static_cast<std::size_t>(std::max(1, threads)), useful_workers);
}

void pool_forward(const Pooling& pooling, float* out, int threads) {
  const std::size_t worker_count = pooling.worker_count(threads);
  parallel_for(worker_count, [&](std::size_t i) {
    const RowRange share = rows_of_worker(pooling, i, worker_count);
    PoolForward forward(pooling);
    for (std::size_t row = share.first; row < share.first + share.count; ++row) forward.run(row, out);
  });
}

void pool_backward(const Pooling& pooling, const float* out, const float* dout, float* dx, float* dscore, float* dbias,
                   int threads) {
  const std::size_t worker_count = pooling.worker_count(threads);
  // per row, then summed in order, so that no bit depends on threads
  AlignedFloats scores(pooling.batch * pooling.size), biases(pooling.batch);
  parallel_for(worker_count, [&](std::size_t i) {
    const RowRange share = rows_of_worker(pooling, i, worker_count);
    PoolBackward backward(pooling, out, dout);
    for (std::size_t row = share.first; row < share.first + share.count; ++row)
      backward.run(row, dx, scores.data() + row * pooling.size, biases.data() + row);
  });
  if (!pooling.attention) return;
  std::fill_n(dscore, pooling.size, 0.0f);
  *dbias = 0.0f;
  for (std::size_t row = 0; row < pooling.batch; ++row) {
    add_scaled(pooling.size, 1.0f, scores.data() + row * pooling.size, dscore);
    *dbias += biases.data()[row];
  }
}

}  // namespace tidegate
