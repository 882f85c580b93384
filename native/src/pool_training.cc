// Pools in training. Ahead by the kernels of inference, so with their bits; back in two looks at each row.
#include "pool_training.h"

#include <limits>

namespace tidegate {
namespace {

constexpr std::size_t kWorkPerThread = kEagerThreads ? 1 : std::size_t{1} << 20;
constexpr std::size_t kChains = 16;  // sums side by side, so that they are worked out in vectors

float dot(std::size_t n, const float* a, const float* b) {
  float part[kChains] = {};
  std::size_t i = 0;
  for (; i + kChains <= n; i += kChains)
    for (std::size_t j = 0; j < kChains; ++j) part[j] += a[i + j] * b[i + j];
  for (std::size_t j = 0; i + j < n; ++j) part[j] += a[i + j] * b[i + j];
  float sum = 0.0f;
  for (float value : part) sum += value;
  return sum;
}

void add_scaled(std::size_t n, float factor, const float* x, float* sum) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += factor * x[i];
}

// Rows first, first + 1, ... of a crew's i-th member.
Share share_of(const Pooling& of, std::size_t i, std::size_t crew) {
  const std::size_t first = of.batch * i / crew;
  return {first, of.batch * (i + 1) / crew - first};
}

// The way ahead of one row after another.
class PoolAhead {
 public:
  explicit PoolAhead(const Pooling& of) : of_(of), score_(of.units), x_(of.units), value_(of.units),
        states_(of.items * of.units), weights_(2 * of.items) {
    if (of.given.score) std::memcpy(score_.data(), of.given.score, of.size * sizeof(float));
  }

  void run(std::size_t row, float* out) {
    begin();
    const std::size_t steps = of_.longest(row);
    for (std::size_t t = 0; t < steps; ++t) {
      const float* x = of_.entry(t, row);
      if (of_.units != of_.size) {  // kernels read whole vectors
        std::memcpy(x_.data(), x, of_.size * sizeof(float));
        x = x_.data();
      }
      for (std::size_t i = 0; i < of_.items; ++i) {
        const float* const value = step(i, t, x);
        for (std::size_t k = 0; k < of_.count; ++k)
          if (of_.end(k, row) == t + 1)
            std::memcpy(out + of_.place(k, row) + i * of_.size, value, of_.size * sizeof(float));
      }
    }
  }

 private:
  void begin() {
    for (std::size_t i = 0; i < of_.items; ++i) {
      const bool max = of_.given.over[i] == TIDEGATE_MAX;
      std::fill_n(states_.data() + i * of_.units, of_.units, max ? -std::numeric_limits<float>::infinity() : 0.0f);
      weights_.data()[2 * i] = -std::numeric_limits<float>::infinity();
      weights_.data()[2 * i + 1] = 0.0f;
    }
  }

  // The value of item i after step t.
  const float* step(std::size_t i, std::size_t t, const float* x) {
    float* const state = states_.data() + i * of_.units;
    float* const weights = weights_.data() + 2 * i;
    switch (of_.given.over[i]) {
      case TIDEGATE_LAST: return x;
      case TIDEGATE_MEAN:
        of_.kernels.pool_mean(of_.size, x, static_cast<float>(t + 1), state, value_.data());
        break;
      case TIDEGATE_MAX: of_.kernels.pool_max(of_.size, x, state, value_.data()); break;
      default:
        of_.kernels.pool_attention(of_.size, x, score_.data(), of_.given.score_bias, weights, weights + 1, state,
                                   value_.data());
    }
    return value_.data();
  }

  const Pooling& of_;
  Floats score_, x_, value_, states_, weights_;
};

// The way back of one row after another.
class PoolBack {
 public:
  PoolBack(const Pooling& of, const float* out, const float* dout)
      : of_(of), out_(out), dout_(dout), room_((of.steps + of.kernels.lanes - 1) / of.kernels.lanes * of.kernels.lanes),
        energies_(room_), taken_(room_), pulls_(room_ * of.count * of.items), left_(of.size * of.count * of.items),
        means_(of.size * of.count * of.items) {}

  // dscore [H] and dbias: sums over this row alone.
  void run(std::size_t row, float* dx, float* dscore, float* dbias) {
    steps_ = of_.longest(row);
    if (of_.attention) attend(row);
    for (std::size_t n = 0; n < of_.count * of_.items; ++n) prepare(n, row);
    for (std::size_t t = 0; t < steps_; ++t) {
      const float* const x = of_.entry(t, row);
      float* const to = dx + (of_.starts[t] + row) * of_.size;
      std::fill_n(to, of_.size, 0.0f);
      float energy = 0.0f;  // gradient of this step's energy
      for (std::size_t n = 0; n < of_.count * of_.items; ++n)
        if (t < of_.end(n / of_.items, row)) energy += step(n, row, t, x, to);
      if (!of_.attention) continue;
      add_scaled(of_.size, energy, of_.given.score, to);
      add_scaled(of_.size, energy, x, dscore);
      *dbias += energy;
    }
    for (std::size_t t = steps_; t < of_.steps && row < alive(t); ++t)  // steps behind every end
      std::fill_n(dx + (of_.starts[t] + row) * of_.size, of_.size, 0.0f);
  }

 private:
  std::size_t alive(std::size_t t) const { return static_cast<std::size_t>(of_.given.rows[t]); }
  const float* gradient(std::size_t n, std::size_t row) const { return dout_ + at(n, row); }
  std::size_t at(std::size_t n, std::size_t row) const {
    return of_.place(n / of_.items, row) + n % of_.items * of_.size;
  }
  std::int32_t over(std::size_t n) const { return of_.given.over[n % of_.items]; }

  // The energies of a row, and for each of its ends how much of each step was taken, times how far it pulls.
  void attend(std::size_t row) {
    for (std::size_t t = 0; t < steps_; ++t)
      energies_.data()[t] = dot(of_.size, of_.entry(t, row), of_.given.score) + of_.given.score_bias;
  }

  void prepare(std::size_t n, std::size_t row) {
    const float* const dy = gradient(n, row);
    const std::size_t end = of_.end(n / of_.items, row);
    float* const mine = left_.data() + n * of_.size;
    if (over(n) == TIDEGATE_MAX) std::memcpy(mine, dy, of_.size * sizeof(float));
    if (over(n) == TIDEGATE_MEAN)
      for (std::size_t j = 0; j < of_.size; ++j) mine[j] = dy[j] / static_cast<float>(end);
    if (over(n) == TIDEGATE_ATTENTION) shares(end, pulls_.data() + n * room_);
  }

  // Of each of the first `end` steps the share that the attention gives it.
  void shares(std::size_t end, float* share) {
    const float peak = *std::max_element(energies_.data(), energies_.data() + end);
    for (std::size_t t = 0; t < end; ++t) share[t] = energies_.data()[t] - peak;
    const std::size_t width = (end + of_.kernels.lanes - 1) / of_.kernels.lanes * of_.kernels.lanes;
    of_.kernels.exp(1, width, {share, width}, taken_.data(), width);
    float weight = 0.0f;
    for (std::size_t t = 0; t < end; ++t) weight += taken_.data()[t];
    for (std::size_t t = 0; t < end; ++t) share[t] = taken_.data()[t] / weight;
  }

  // Adds what one value gives to the gradient of step t; returns what it gives to that of the step's energy.
  float step(std::size_t n, std::size_t row, std::size_t t, const float* x, float* to) {
    const float *const dy = gradient(n, row), *const y = out_ + at(n, row);
    float* const mine = left_.data() + n * of_.size;
    switch (over(n)) {
      case TIDEGATE_LAST:
        if (t + 1 == of_.end(n / of_.items, row)) add_scaled(of_.size, 1.0f, dy, to);
        return 0.0f;
      case TIDEGATE_MEAN: add_scaled(of_.size, 1.0f, mine, to); return 0.0f;
      case TIDEGATE_MAX:
        for (std::size_t j = 0; j < of_.size; ++j) {  // the first step that has the largest number
          const float given = x[j] == y[j] ? mine[j] : 0.0f;
          to[j] += given;
          mine[j] -= given;
        }
        return 0.0f;
      default: break;
    }
    const float share = pulls_.data()[n * room_ + t];
    add_scaled(of_.size, share, dy, to);
    return share * difference(x, y, dy);
  }

  // (x - y) . dy
  float difference(const float* x, const float* y, const float* dy) {
    float part[kChains] = {};
    std::size_t i = 0;
    for (; i + kChains <= of_.size; i += kChains)
      for (std::size_t j = 0; j < kChains; ++j) part[j] += (x[i + j] - y[i + j]) * dy[i + j];
    for (std::size_t j = 0; i + j < of_.size; ++j) part[j] += (x[i + j] - y[i + j]) * dy[i + j];
    float sum = 0.0f;
    for (float value : part) sum += value;
    return sum;
  }

  const Pooling& of_;
  const float *out_, *dout_;
  const std::size_t room_;
  std::size_t steps_ = 0;
  Floats energies_, taken_, pulls_, left_, means_;
};

}  // namespace

Pooling::Pooling(const Kernels& kernels, const tidegate_pooling& given)
    : kernels(kernels),
      given(given),
      size(checked_size(given.size, "size")),
      units((size + kernels.lanes - 1) / kernels.lanes * kernels.lanes),
      steps(checked_size(given.steps, "steps")),
      items(checked_size(given.items, "the number of pools")),
      count(checked_size(given.count, "the number of ends")),
      batch(checked_size(given.rows[0], "rows[0]")),
      entries(0),
      attention(false) {
  for (std::size_t t = 0; t < steps; ++t) {
    if (given.rows[t] < 1 || (t > 0 && given.rows[t] > given.rows[t - 1]))
      throw ValueError("rows[" + std::to_string(t) + "] must be from 1 to those of the step before, found " +
                       std::to_string(given.rows[t]));
    starts.push_back(entries);
    entries += static_cast<std::size_t>(given.rows[t]);
  }
  for (std::size_t i = 0; i < items; ++i) {
    if (given.over[i] < TIDEGATE_LAST || given.over[i] > TIDEGATE_ATTENTION)
      throw ValueError("unknown pool " + std::to_string(given.over[i]));
    attention = attention || given.over[i] == TIDEGATE_ATTENTION;
  }
  if (attention != (given.score != nullptr))
    throw ValueError(attention ? "attention needs a score" : "a score is for attention only");
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t row = 0; row < batch; ++row) {
      const std::int64_t end = given.ends[k * batch + row];
      if (end < 1 || end > given.steps || static_cast<std::size_t>(given.rows[end - 1]) <= row)
        throw ValueError("an end of row " + std::to_string(row) + " must be from 1 to its steps, found " +
                         std::to_string(end));
    }
}

std::size_t Pooling::longest(std::size_t row) const {
  std::size_t most = 0;
  for (std::size_t k = 0; k < count; ++k) most = std::max(most, end(k, row));
  return most;
}

std::size_t Pooling::crew(int threads) const {
  const std::size_t worth = std::max<std::size_t>(1, std::min(entries * size * items / kWorkPerThread, batch));
  return std::min(static_cast<std::size_t>(std::max(1, threads)), worth);
}

void pool_forward(const Pooling& of, float* out, int threads) {
  const std::size_t crew = of.crew(threads);
  share_out(crew, [&](std::size_t i) {
    const Share share = share_of(of, i, crew);
    PoolAhead ahead(of);
    for (std::size_t row = share.first; row < share.first + share.count; ++row) ahead.run(row, out);
  });
}

void pool_backward(const Pooling& of, const float* out, const float* dout, float* dx, float* dscore, float* dbias,
                   int threads) {
  const std::size_t crew = of.crew(threads);
  Floats scores(of.batch * of.size), biases(of.batch);  // row by row, then summed in order: threads change no bit
  share_out(crew, [&](std::size_t i) {
    const Share share = share_of(of, i, crew);
    PoolBack back(of, out, dout);
    for (std::size_t row = share.first; row < share.first + share.count; ++row)
      back.run(row, dx, scores.data() + row * of.size, biases.data() + row);
  });
  if (!of.attention) return;
  std::fill_n(dscore, of.size, 0.0f);
  *dbias = 0.0f;
  for (std::size_t row = 0; row < of.batch; ++row) {
    add_scaled(of.size, 1.0f, scores.data() + row * of.size, dscore);
    *dbias += biases.data()[row];
  }
}

}  // namespace tidegate
