// The kernels that multiply, for any number format: products, and the fused steps built on them.
#include "vector.inl"

#include "activation.inl"
#include "precision.inl"
#include "matmul.inl"
#ifndef TIDEGATE_NO_FUSED
#include "fused.inl"
#endif

namespace tidegate {
namespace {

template <class F>
constexpr MatmulKernels matmul_kernels() {
#ifdef TIDEGATE_NO_FUSED
  return {F::kPrecision, F::kPack, F::kDepthMultiple, matmul<F>, nullptr, nullptr, nullptr};
#else
  return {F::kPrecision, F::kPack, F::kDepthMultiple, matmul<F>, gru<F>, gru_step<F>, matmul_row<F>};
#endif
}

}  // namespace
}  // namespace tidegate
