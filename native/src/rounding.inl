// Rows rounded to bfloat16 by AVX-512's own instruction, pairs of k side by side as packed weights have them.

namespace tidegate {
namespace {

// What forms that read pairs have in common. Deep: zeros fill a row to a multiple of it.
template <size_t Deep>
struct RoundedPairs {
  typedef uint16_t Weight, Number;
  static constexpr Precision kPrecision = kComputeBf16;
  static constexpr size_t kTogether = 2, kDeep = Deep, kRows = kRoomRows, kDepth = kRoomDepth;
  struct Room {
    alignas(64) uint16_t numbers[kRoomRows * kRoomDepth];
  };
};

// The first `count` of 32 numbers, zeros for the others.
INLINE void round_32(uint16_t* to, const float* x, size_t count) {
  const __mmask32 there = count < 32 ? (1u << count) - 1 : ~0u;
  const __m512 left = _mm512_maskz_loadu_ps((__mmask16)there, x), right = _mm512_maskz_loadu_ps((__mmask16)(there >> 16), x + 16);
  const __m512bh all = _mm512_cvtne2ps_pbh(right, left);
  __builtin_memcpy(to, &all, sizeof all);
}

// Rows of `depth` in the room, with zeros to a multiple of 32.
template <class Room>
Numbers<uint16_t> round_rows(Room& room, size_t rows, size_t depth, Rows x) {
  const size_t ld = filled(depth, 32);
  for (size_t r = 0; r < rows; ++r)
    for (size_t k = 0; k < ld; k += 32) round_32(room.numbers + r * ld + k, x.data + r * x.ld + k, depth - k);
  return {room.numbers, ld};
}

}  // namespace
}  // namespace tidegate
