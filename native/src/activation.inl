// The activations. They use no fused multiply-add, so that every target gives the same bits. NaN stays NaN: the limits
// are applied with comparisons that are false for NaN. The coefficients are our own minimax fits; tidegate.h states
// their errors, and tests check them.

namespace tidegate {
namespace {

// Round to the nearest integer, ties to even; return it as a float and as an int. For |t| < 2^22.
struct NearestInteger {
  Vector value;
  Mask number;
};

INLINE NearestInteger round_nearest(Vector t) {
  const Vector magic = splat(12582912.0f);  // 1.5 * 2^23, so that the last bit of the sum is worth one
  const Vector shifted = t + magic;
  return {shifted - magic, (Mask)shifted - (Mask)magic};
}

INLINE Vector power_of_two(Mask n) { return (Vector)((n + 127) << 23); }

INLINE Vector clamp_max(Vector x, float limit) { return VECTOR_MIN(splat(limit), x); }
INLINE Vector clamp_min(Vector x, float limit) { return VECTOR_MAX(splat(limit), x); }

INLINE Vector exponential(Vector x) {
  x = clamp_min(clamp_max(x, 100.0f), -110.0f);  // beyond these limits the result is infinity or zero anyway
  const NearestInteger n = round_nearest(x * splat(1.44269504f));
  // ln 2 as the sum of two constants; the first has only 9 bits, so that n times it is exact.
  const Vector r = (x - n.value * splat(0.693359375f)) - n.value * splat(-2.12194440e-4f);
  Vector p = splat(0.00138146f);
  p = p * r + splat(0.00836871564f);
  p = p * r + splat(0.041668389f);
  p = p * r + splat(0.166665211f);
  p = p * r + splat(0.49999994f);
  p = (p * r) * r + r + splat(1.0f);
  const Mask half = n.number >> 1;  // two factors, since 2^n itself may be out of range
  return p * power_of_two(half) * power_of_two(n.number - half);
}

INLINE Vector logistic(Vector x) {
  Vector t = x * splat(-1.44269504f);
  t = clamp_min(clamp_max(t, 128.0f), -126.0f);
  const NearestInteger n = round_nearest(t);
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
  const Vector c = clamp_min(clamp_max(x, 9.0f), -9.0f);
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
  return clamp_min(clamp_max(c * p / q, 1.0f), -1.0f);  // exactly 1 from 9 on
}

}  // namespace
}  // namespace tidegate
