// Activations, without FMA, so that every target gives the same bits. NaN stays NaN: limits are set by selects whose
// comparison is false for NaN. Coefficients are minimax fits of our own; the errors stand in tidegate.h and tests.

namespace tidegate {
namespace {

// Nearest integer, ties to even; as a float and as an int. For |t| < 2^22.
struct Whole {
  Vector value;
  Mask number;
};

INLINE Whole whole(Vector t) {
  const Vector magic = splat(12582912.0f);  // 1.5 * 2^23: the sum's last bit is worth one
  const Vector shifted = t + magic;
  return {shifted - magic, (Mask)shifted - (Mask)magic};
}

INLINE Vector power_of_two(Mask n) { return (Vector)((n + 127) << 23); }

INLINE Vector at_most(Vector x, float limit) { return LESSER(splat(limit), x); }
INLINE Vector at_least(Vector x, float limit) { return GREATER(splat(limit), x); }

INLINE Vector exponential(Vector x) {
  x = at_least(at_most(x, 100.0f), -110.0f);  // beyond, the result is infinity or zero all the same
  const Whole n = whole(x * splat(1.44269504f));
  // ln 2 in two parts; the first has 9 bits, so that n * it is exact.
  const Vector r = (x - n.value * splat(0.693359375f)) - n.value * splat(-2.12194440e-4f);
  Vector p = splat(0.00138146f);
  p = p * r + splat(0.00836871564f);
  p = p * r + splat(0.041668389f);
  p = p * r + splat(0.166665211f);
  p = p * r + splat(0.49999994f);
  p = (p * r) * r + r + splat(1.0f);
  const Mask half = n.number >> 1;  // two factors: 2^n alone may be out of range
  return p * power_of_two(half) * power_of_two(n.number - half);
}

INLINE Vector logistic(Vector x) {
  Vector t = x * splat(-1.44269504f);
  t = at_least(at_most(t, 128.0f), -126.0f);
  const Whole n = whole(t);
  const Vector f = t - n.value;
  Vector p = splat(0.000153533605f);
  p = p * f + splat(0.0013398875f);
  p = p * f + splat(0.00961843692f);
  p = p * f + splat(0.0555033237f);
  p = p * f + splat(0.240226477f);
  p = p * f + splat(0.693147182f);
  p = p * f + splat(1.0f);
  return splat(1.0f) / (splat(1.0f) + p * power_of_two(n.number));  // 2^128 is infinity
}

INLINE Vector hyperbolic_tangent(Vector x) {
  const Vector c = at_least(at_most(x, 9.0f), -9.0f);
  const Vector s = c * c;
  Vector p = splat(-8.56183681e-14f);
  p = p * s + splat(5.30936822e-11f);
  p = p * s + splat(-2.02969357e-08f);
  p = p * s + splat(1.11734416e-05f);
  p = p * s + splat(0.00310588116f);
  p = p * s + splat(0.130857661f);
  p = p * s + splat(1.0f);
  Vector q = splat(0.000254888932f);
  q = q * s + splat(0.0245029442f);
  q = q * s + splat(0.46419096f);
  q = q * s + splat(1.0f);
  return at_least(at_most(c * p / q, 1.0f), -1.0f);  // at 9 and beyond, exactly 1
}

}  // namespace
}  // namespace tidegate
