"""The library of C functions; a file contains only those that its model uses.

They do what the native target `base` does, in the same order, so the bits are the same: a product is one chain from
its bias, a sum over a vector has four lanes, and the activations are those of native/src/activation.inl. The only
function from the machine's library is sqrtf, which IEEE 754 rounds exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Function(NamedTuple):
    """A C function. needs: the functions that it calls. code: its C."""

    needs: tuple[str, ...]
    code: str


ACTIVATIONS = {"exp": "exponential", "sigmoid": "logistic", "tanh": "hyperbolic_tangent", "relu": "rectified"}

NEEDS: dict[str, tuple[str, ...]] = {
    "exponential": ("limited", "power_of_two"),
    "logistic": ("limited", "power_of_two"),
    "hyperbolic_tangent": ("limited",),
    "normalize": ("lanes",),
}
TEXTS: dict[str, str] = {
    "larger": """\
/* The larger number; NaN if either is NaN. */
static float larger(float a, float b) { return a > b || a != a ? a : b; }
""",
    "smaller": """\
/* The smaller number; NaN if either is NaN. */
static float smaller(float a, float b) { return a < b || a != a ? a : b; }
""",
    "rectified": """\
static float rectified(float x) { return x < 0.0f ? 0.0f : x; }
""",
    "limited": """\
/* x limited to [low, high]; NaN stays NaN. */
static float limited(float x, float low, float high) {
  x = x > high ? high : x;
  return x < low ? low : x;
}
""",
    "power_of_two": """\
/* The last bit of t + SHIFT is worth 1, so its last bits hold the whole number nearest to t. */
#define SHIFT 12582912.0f

typedef union {
  float value;
  int32_t bits;
} Number;

/* 2^n for n in [-127, 128]; 0 and infinity at the ends. */
static float power_of_two(int32_t n) {
  Number power;
  power.bits = (int32_t)((uint32_t)(n + 127) << 23);
  return power.value;
}

/* The whole number n nearest to t, from t + SHIFT. */
static int32_t whole(float shifted) {
  Number sum, shift;
  sum.value = shifted;
  shift.value = SHIFT;
  return shifted == shifted ? sum.bits - shift.bits : 0;
}
""",
    "exponential": """\
/* e^x = 2^n e^r, with a polynomial for e^r. */
static float exponential(float x) {
  float shifted, n, r, p;
  int32_t number, half;
  x = limited(x, -110.0f, 100.0f);
  shifted = x * 1.44269504f + SHIFT;
  n = shifted - SHIFT;
  r = (x - n * 0.693359375f) - n * -2.12194440e-4f; /* ln 2 in two parts; n times the first is exact */
  p = 0.00138146f;
  p = p * r + 0.00836871564f;
  p = p * r + 0.041668389f;
  p = p * r + 0.166665211f;
  p = p * r + 0.49999994f;
  p = (p * r) * r + r + 1.0f;
  number = whole(shifted);
  half = (number - (number < 0)) / 2; /* rounded down; 2^n itself may be out of range */
  return p * power_of_two(half) * power_of_two(number - half);
}
""",
    "logistic": """\
/* 1 / (1 + e^-x), where e^-x = 2^n 2^f, with a polynomial for 2^f. */
static float logistic(float x) {
  const float t = limited(x * -1.44269504f, -126.0f, 128.0f);
  const float shifted = t + SHIFT;
  const float f = t - (shifted - SHIFT);
  float p = 0.000153533605f;
  p = p * f + 0.0013398875f;
  p = p * f + 0.00961843692f;
  p = p * f + 0.0555033237f;
  p = p * f + 0.240226477f;
  p = p * f + 0.693147182f;
  p = p * f + 1.0f;
  return 1.0f / (1.0f + p * power_of_two(whole(shifted)));
}
""",
    "hyperbolic_tangent": """\
/* tanh x as a quotient of two polynomials; 1 from x = 9 on. */
static float hyperbolic_tangent(float x) {
  const float c = limited(x, -9.0f, 9.0f), s = c * c;
  float p = -8.56183681e-14f, q = 0.000254888932f;
  p = p * s + 5.30936822e-11f;
  p = p * s + -2.02969357e-08f;
  p = p * s + 1.11734416e-05f;
  p = p * s + 0.00310588116f;
  p = p * s + 0.130857661f;
  p = p * s + 1.0f;
  q = q * s + 0.0245029442f;
  q = q * s + 0.46419096f;
  q = q * s + 1.0f;
  if (x >= 9.0f) return 1.0f;
  if (x <= -9.0f) return -1.0f;
  return limited(c * p / q, -1.0f, 1.0f);
}
""",
    "product": """\
/* y = W x + b. Each y is one chain of additions that starts from its bias. */
static void product(size_t rows, size_t columns, const float *W, const float *b, const float *x, float *y) {
  for (size_t j = 0; j < rows; ++j, W += columns) {
    float sum = b[j];
    for (size_t k = 0; k < columns; ++k) sum += W[k] * x[k];
    y[j] = sum;
  }
}
""",
    "projection": """\
/* y = Q x. */
static void projection(size_t rows, size_t columns, const float *Q, const float *x, float *y) {
  for (size_t j = 0; j < rows; ++j, Q += columns) {
    float sum = 0.0f;
    for (size_t k = 0; k < columns; ++k) sum += Q[k] * x[k];
    y[j] = sum;
  }
}
""",
    "lanes": """\
/* A vector is summed in four lanes; lane l adds the numbers l, l + 4, l + 8 ... */
static float lanes(const float *lane) { return lane[0] + lane[1] + lane[2] + lane[3]; }
""",
    "normalize": """\
/* x normalised to mean 0 and variance 1. */
static void normalize(size_t n, const float *x, float eps, float *y) {
  float lane[4] = {0.0f, 0.0f, 0.0f, 0.0f}, square[4] = {0.0f, 0.0f, 0.0f, 0.0f}, mean, spread;
  for (size_t i = 0; i < n; ++i) lane[i % 4] += x[i];
  mean = lanes(lane) / (float)n;
  for (size_t i = 0; i < n; ++i) square[i % 4] += (x[i] - mean) * (x[i] - mean);
  spread = sqrtf(lanes(square) / (float)n + eps);
  for (size_t i = 0; i < n; ++i) y[i] = (x[i] - mean) / spread;
}
""",
    "bag": """\
/* The sum of the rows of a table that n ids select, in order; a negative id selects none. */
static void bag(size_t n, const int32_t *ids, size_t size, const float *table, float *y) {
  for (size_t i = 0; i < size; ++i) y[i] = 0.0f;
  for (size_t k = 0; k < n; ++k)
    for (size_t i = 0; i < size && ids[k] >= 0; ++i) y[i] += table[(size_t)ids[k] * size + i];
}
""",
    "copy": """\
static void copy(size_t n, const float *x, float *y) {
  for (size_t i = 0; i < n; ++i) y[i] = x[i];
}
""",
    "plus": """\
static void plus(size_t n, const float *x, float *y) {
  for (size_t i = 0; i < n; ++i) y[i] += x[i];
}
""",
}
FUNCTIONS = {name: Function(NEEDS.get(name, ()), text) for name, text in TEXTS.items()}


def collect_functions(names: Iterable[str]) -> Iterator[str]:
    """Yield the code of these functions and of all that they call, callees first.

    >>> [code.split("(")[0] for code in collect_functions(["rectified"])]
    ['static float rectified']
    """
    required: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in required:
            required.add(name)
            waiting += FUNCTIONS[name].needs
    return (function.code for name, function in FUNCTIONS.items() if name in required)
