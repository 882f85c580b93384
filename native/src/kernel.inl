// Every kernel's body, once. A unit of one instruction set defines its macros (see vector.inl), includes this file
// and has its table. Nothing from the standard library: an inline function compiled here for a new instruction set
// could be the copy the linker keeps for all.
#include "products.inl"
#include "normed.inl"
#include "training.inl"

namespace tidegate {
namespace {

#define UNARY(name, expression)                                              \
  void name(size_t rows, size_t width, Rows x, float* out, size_t ld) {      \
    if (x.ld == width && ld == width) width *= rows, rows = 1;               \
    for (size_t r = 0; r < rows; ++r)                                        \
      for (size_t i = 0; i < width; i += LANES) {                            \
        const Vector a = load(x.data + r * x.ld + i);                        \
        store(out + r * ld + i, expression);                                 \
      }                                                                      \
  }

UNARY(neg, -a)
UNARY(abs, (Vector)((Mask)a & 0x7fffffff))
UNARY(exp, exponential(a))
UNARY(sigmoid, logistic(a))
UNARY(tanh, hyperbolic_tangent(a))
UNARY(relu, select(a < Vector{}, Vector{}, a))

#define BINARY(name, expression)                                                               \
  void name(size_t rows, size_t width, Form form, Rows x, Rows y, float* out, size_t ld) {     \
    if (form == kFormFull && x.ld == width && y.ld == width && ld == width) width *= rows, rows = 1; \
    for (size_t r = 0; r < rows; ++r) {                                                        \
      const float *left = x.data + r * x.ld, *right = y.data + r * y.ld;                       \
      float* to = out + r * ld;                                                                \
      if (form == kFormFull)                                                                   \
        for (size_t i = 0; i < width; i += LANES) {                                            \
          const Vector a = load(left + i), b = load(right + i);                                \
          store(to + i, expression);                                                           \
        }                                                                                      \
      else if (form == kFormLeftOne) {                                                         \
        const Vector a = splat(*left);                                                         \
        for (size_t i = 0; i < width; i += LANES) {                                            \
          const Vector b = load(right + i);                                                    \
          store(to + i, expression);                                                           \
        }                                                                                      \
      } else {                                                                                 \
        const Vector b = splat(*right);                                                        \
        for (size_t i = 0; i < width; i += LANES) {                                            \
          const Vector a = load(left + i);                                                     \
          store(to + i, expression);                                                           \
        }                                                                                      \
      }                                                                                        \
    }                                                                                          \
  }

BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a * b)
BINARY(div, a / b)
BINARY(minimum, smaller(a, b))
BINARY(maximum, larger(a, b))

// Row reductions have one order: lane i adds up values i, i + LANES, ..., then the lanes are added in order.
float sum(size_t n, const float* x) {
  Vector total = {};
  for (size_t i = 0; i < n; i += LANES) total += first(n - i, load(x + i), 0.0f);
  return lanes_sum(total);
}

float sum_of_squares(size_t n, const float* x, float mean) {
  Vector total = {};
  for (size_t i = 0; i < n; i += LANES) {
    const Vector d = first(n - i, load(x + i) - splat(mean), 0.0f);
    total += d * d;
  }
  return lanes_sum(total);
}

float dot(size_t n, const float* x, const float* y) {
  Vector total = {};
  for (size_t i = 0; i < n; i += LANES)
    total = MULTIPLY_ADD(first(n - i, load(x + i), 0.0f), first(n - i, load(y + i), 0.0f), total);
  return lanes_sum(total);
}

float deviation(size_t n, const float* x, float mean, float eps) {
  return __builtin_sqrtf(sum_of_squares(n, x, mean) / (float)n + eps);
}

void norm(size_t rows, size_t n, Rows x, const float* gain, const float* bias, float eps, float* out, size_t ld) {
  for (size_t r = 0; r < rows; ++r) {
    const float* row = x.data + r * x.ld;
    const float mean = sum(n, row) / (float)n;
    const Vector spread = splat(deviation(n, row, mean, eps));
    for (size_t i = 0; i < n; i += LANES)
      store(out + r * ld + i, (load(row + i) - splat(mean)) / spread * load(gain + i) + load(bias + i));
  }
}

void normalize(size_t rows, size_t n, Rows x, float eps, float* out, size_t ld) {
  for (size_t r = 0; r < rows; ++r) {
    const float* row = x.data + r * x.ld;
    const float mean = sum(n, row) / (float)n;
    const Vector spread = splat(deviation(n, row, mean, eps));
    for (size_t i = 0; i < n; i += LANES) store(out + r * ld + i, (load(row + i) - splat(mean)) / spread);
  }
}

void softmax(size_t rows, size_t n, Rows x, float* out, size_t ld) {
  for (size_t r = 0; r < rows; ++r) {
    const float* row = x.data + r * x.ld;
    float* to = out + r * ld;
    Vector most = splat(row[0]);
    for (size_t i = 0; i < n; i += LANES) most = larger(most, first(n - i, load(row + i), row[0]));
    float peak = most[0];
    for (int i = 1; i < LANES; ++i) peak = peak > most[i] || peak != peak ? peak : most[i];
    for (size_t i = 0; i < n; i += LANES) store(to + i, exponential(load(row + i) - splat(peak)));
    float total = 0.0f;
    for (size_t i = 0; i < n; ++i) total += to[i];
    for (size_t i = 0; i < n; i += LANES) store(to + i, load(to + i) / splat(total));
  }
}

void pool_mean(size_t n, const float* x, float steps, float* sum, float* out) {
  for (size_t i = 0; i < n; i += LANES) {
    const Vector total = load(sum + i) + load(x + i);
    store(sum + i, total);
    store(out + i, total / splat(steps));
  }
}

void pool_max(size_t n, const float* x, float* max, float* out) {
  for (size_t i = 0; i < n; i += LANES) {
    const Vector most = larger(load(max + i), load(x + i));
    store(max + i, most);
    store(out + i, most);
  }
}

void pool_attention(size_t n, const float* x, const float* score, float score_bias, float* peak, float* weight,
                    float* sum, float* out) {
  const Vector energy = splat(dot(n, x, score) + score_bias), old = splat(*peak);
  const Vector most = larger(old, energy);
  const Vector keep = exponential(old - most), take = exponential(energy - most);
  const Vector total = splat(*weight) * keep + take;
  *peak = most[0];
  *weight = total[0];
  for (size_t i = 0; i < n; i += LANES) {
    const Vector value = load(sum + i) * keep + take * load(x + i);
    store(sum + i, value);
    store(out + i, value / total);
  }
}

// The table in one precision.
template <class F>
constexpr Kernels table() {
  return {
    products<F>(), TARGET_NAME, LANES,
    neg,         abs,   exp,       sigmoid,  tanh,           relu,
    add,         sub,   mul,       div,      minimum,        maximum,
    norm,        normalize, softmax, normed, normed_back, column_sums, pool_mean, pool_max, pool_attention,
    outer,
    row,
    {{gru_forward<true>, gru_backward<true>, nullptr, nullptr},
     {gru_forward<false>, gru_backward<false>, nullptr, nullptr},
     {lstm_forward<false>, lstm_backward<false>, nullptr, nullptr},
     {rnn_forward<true>, rnn_backward<true>, nullptr, nullptr},
     {rnn_forward<false>, rnn_backward<false>, nullptr, nullptr},
     {mingru_forward, mingru_backward, nullptr, nullptr},
     {before_forward<true>, before_backward<true>, reset_forward, reset_backward},
     {before_forward<false>, before_backward<false>, reset_forward, reset_backward},
     {lstm_forward<true>, lstm_backward<true>, nullptr, nullptr}},
  };
}

}  // namespace

extern const Kernels TARGET[kPrecisions];
const Kernels TARGET[kPrecisions] = {table<Float32>(), table<WeightsBf16>(), table<ComputeBf16>()};

}  // namespace tidegate
