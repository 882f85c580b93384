// The body of every kernel, written once. The file of each instruction set defines its macros (see vector.inl) and
// includes this file, which defines its table of kernels. Nothing of the standard library is used here: an inline
// function compiled for a newer instruction set could be the copy that the linker keeps for the whole program.
#include "matmul_kernels.inl"
#include "cell_norm.inl"
#include "training.inl"

namespace tidegate {
namespace {

#define UNARY(name, expression)                                              \
  void name(size_t rows, size_t width, MatrixView x, float* out, size_t ld) {      \
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
UNARY(sqrt, square_root(a))

#define BINARY(name, expression)                                                               \
  void name(size_t rows, size_t width, Broadcast broadcast, MatrixView x, MatrixView y, float* out, size_t ld) {     \
    if (broadcast == kBroadcastNone && x.ld == width && y.ld == width && ld == width) width *= rows, rows = 1; \
    for (size_t r = 0; r < rows; ++r) {                                                        \
      const float *left = x.data + r * x.ld, *right = y.data + r * y.ld;                       \
      float* to = out + r * ld;                                                                \
      if (broadcast == kBroadcastNone)                                                                   \
        for (size_t i = 0; i < width; i += LANES) {                                            \
          const Vector a = load(left + i), b = load(right + i);                                \
          store(to + i, expression);                                                           \
        }                                                                                      \
      else if (broadcast == kBroadcastLeft) {                                                         \
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
BINARY(minimum, min_or_nan(a, b))
BINARY(maximum, max_or_nan(a, b))
BINARY(less, select(a < b, splat(1.0f), Vector{}))

// Reductions over a row have one fixed order: lane i sums the values i, i + LANES, ..., then the lanes are added in
// order.
float sum(size_t n, const float* x) {
  Vector total = {};
  for (size_t i = 0; i < n; i += LANES) total += mask_lanes(n - i, load(x + i), 0.0f);
  return sum_lanes(total);
}

float sum_of_squares(size_t n, const float* x, float mean) {
  Vector total = {};
  for (size_t i = 0; i < n; i += LANES) {
    const Vector d = mask_lanes(n - i, load(x + i) - splat(mean), 0.0f);
    total += d * d;
  }
  return sum_lanes(total);
}

float dot(size_t n, const float* x, const float* y) {
  Vector total = {};
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) total = MULTIPLY_ADD(load(x + i), load(y + i), total);
  if (i < n) total = MULTIPLY_ADD(mask_lanes(n - i, load(x + i), 0.0f), mask_lanes(n - i, load(y + i), 0.0f), total);
  return sum_lanes(total);
}

float compute_deviation(size_t n, const float* x, float mean, float eps) {
  return __builtin_sqrtf(sum_of_squares(n, x, mean) / (float)n + eps);
}

void means(size_t groups, size_t n, const float* x, float* out) {
  for (size_t g = 0; g < groups; ++g) out[g] = sum(n, x + g * n) / (float)n;
}

void dots(size_t groups, size_t n, size_t x_groups, const float* x, size_t y_groups, const float* y, float* out) {
  for (size_t g = 0, i = 0, j = 0; g < groups; ++g) {
    out[g] = dot(n, x + i * n, y + j * n);
    if (++i == x_groups) i = 0;
    if (++j == y_groups) j = 0;
  }
}

#define REDUCE(name, first, vector_expression, expression)                             \
  void name(size_t outer, size_t n, size_t inner, const float* x, float* out) {        \
    for (size_t o = 0; o < outer; ++o, x += n * inner, out += inner) {                 \
      size_t i = 0;                                                                    \
      for (; i + LANES <= inner; i += LANES) {                                         \
        Vector a = first ? load(x + i) : Vector{};                                     \
        for (size_t k = first; k < n; ++k) {                                           \
          const Vector b = load(x + k * inner + i);                                    \
          a = vector_expression;                                                       \
        }                                                                              \
        store(out + i, a);                                                             \
      }                                                                                \
      for (; i < inner; ++i) {                                                         \
        float a = first ? x[i] : 0.0f;                                                 \
        for (size_t k = first; k < n; ++k) {                                           \
          const float b = x[k * inner + i];                                            \
          a = expression;                                                              \
        }                                                                              \
        out[i] = a;                                                                    \
      }                                                                                \
    }                                                                                  \
  }

REDUCE(sum_axis, 0, a + b, a + b)
REDUCE(peak_axis, 1, max_or_nan(a, b), (a > b || a != a ? a : b))

void sum_products(size_t n, size_t groups, size_t width, const float* a, const float* b, float* out) {
  for (size_t g = 0; g < groups; ++g, ++a, b += width, out += width) {
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
      Vector total = {};
      for (size_t k = 0; k < n; ++k) total += splat(a[k * groups]) * load(b + k * groups * width + i);
      store(out + i, total);
    }
    for (; i < width; ++i) {
      float total = 0.0f;
      for (size_t k = 0; k < n; ++k) total += a[k * groups] * b[k * groups * width + i];
      out[i] = total;
    }
  }
}

void norm(size_t rows, size_t n, MatrixView x, const float* gain, const float* bias, float eps, float* out, size_t ld) {
  for (size_t r = 0; r < rows; ++r) {
    const float* row = x.data + r * x.ld;
    const float mean = sum(n, row) / (float)n;
    const Vector deviation = splat(compute_deviation(n, row, mean, eps));
    for (size_t i = 0; i < n; i += LANES)
      store(out + r * ld + i, (load(row + i) - splat(mean)) / deviation * load(gain + i) + load(bias + i));
  }
}

void normalize(size_t rows, size_t n, MatrixView x, float eps, float* out, size_t ld) {
  for (size_t r = 0; r < rows; ++r) {
    const float* row = x.data + r * x.ld;
    const float mean = sum(n, row) / (float)n;
    const Vector deviation = splat(compute_deviation(n, row, mean, eps));
    for (size_t i = 0; i < n; i += LANES) store(out + r * ld + i, (load(row + i) - splat(mean)) / deviation);
  }
}

void softmax(size_t rows, size_t n, MatrixView x, float* out, size_t ld) {
  for (size_t r = 0; r < rows; ++r) {
    const float* row = x.data + r * x.ld;
    float* to = out + r * ld;
    Vector largest = splat(row[0]);
    for (size_t i = 0; i < n; i += LANES) largest = max_or_nan(largest, mask_lanes(n - i, load(row + i), row[0]));
    float peak = largest[0];
    for (int i = 1; i < LANES; ++i) peak = peak > largest[i] || peak != peak ? peak : largest[i];
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
    const Vector largest = max_or_nan(load(max + i), load(x + i));
    store(max + i, largest);
    store(out + i, largest);
  }
}

void pool_attention(size_t n, const float* x, const float* score, float score_bias, float* peak, float* weight,
                    float* sum, float* out) {
  const Vector energy = splat(dot(n, x, score) + score_bias), old = splat(*peak);
  const Vector largest = max_or_nan(old, energy);
  const Vector keep = exponential(old - largest), take = exponential(energy - largest);
  const Vector total = splat(*weight) * keep + take;
  *peak = largest[0];
  *weight = total[0];
  for (size_t i = 0; i < n; i += LANES) {
    const Vector value = load(sum + i) * keep + take * load(x + i);
    store(sum + i, value);
    store(out + i, value / total);
  }
}

// The table for one number format.
template <class F>
constexpr Kernels table() {
  return {
    matmul_kernels<F>(), TARGET_NAME, LANES,
    neg,         abs,   exp,       sigmoid,  tanh,           relu,    sqrt,
    add,         sub,   mul,       div,      minimum,        maximum, less,
    sum_axis,    peak_axis, means, sum_products, dots,
    norm,        normalize, softmax,
    cell_norm,   cell_norm_backward, add_column_sums,
    pool_mean,   pool_max, pool_attention,
    add_outer_products,
    matmul_panel,
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
