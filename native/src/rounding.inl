// Round rows to bfloat16 with the instruction of AVX-512, in adjacent pairs of k as in packed weights.

namespace tidegate {
namespace {

// The common part of formats that read pairs. DepthMultiple: rows are filled with zeros to a multiple of it.
template <size_t DepthMultiple>
struct RoundedPairs {
  typedef uint16_t Weight, Number;
  static constexpr Precision kPrecision = kComputeBf16;
  static constexpr size_t kPack = 2, kDepthMultiple = DepthMultiple, kMaxRows = kBufferRows, kMaxDepth = kBufferDepth;
  struct Buffer {
    alignas(64) uint16_t numbers[kBufferRows * kBufferDepth];
  };
};

// Round the first `count` of 32 numbers; the others become zero.
INLINE void round_32(uint16_t* to, const float* x, size_t count) {
  const __mmask32 present = count < 32 ? (1u << count) - 1 : ~0u;
  const __m512 left = _mm512_maskz_loadu_ps((__mmask16)present, x);
  const __m512 right = _mm512_maskz_loadu_ps((__mmask16)(present >> 16), x + 16);
  const __m512bh rounded = _mm512_cvtne2ps_pbh(right, left);
  __builtin_memcpy(to, &rounded, sizeof rounded);
}

// Round rows of `depth` numbers into the buffer, filled with zeros to a multiple of 32.
template <class Buffer>
NumberView<uint16_t> round_rows(Buffer& buffer, size_t rows, size_t depth, MatrixView x) {
  const size_t ld = round_up(depth, 32);
  for (size_t r = 0; r < rows; ++r)
    for (size_t k = 0; k < ld; k += 32) round_32(buffer.numbers + r * ld + k, x.data + r * x.ld + k, depth - k);
  return {buffer.numbers, ld};
}

}  // namespace
}  // namespace tidegate
