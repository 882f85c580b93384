// All that multiplies, for any form: products and what is fused with them.
#include "vector.inl"

#include "activation.inl"
#include "precision.inl"
#include "product.inl"
#ifndef TIDEGATE_NO_FUSED
#include "fused.inl"
#endif

namespace tidegate {
namespace {

template <class F>
constexpr Products products() {
#ifdef TIDEGATE_NO_FUSED
  return {F::kPrecision, F::kTogether, F::kDeep, product<F>, nullptr, nullptr, nullptr};
#else
  return {F::kPrecision, F::kTogether, F::kDeep, product<F>, gru<F>, gru_step<F>, row_product<F>};
#endif
}

}  // namespace
}  // namespace tidegate
