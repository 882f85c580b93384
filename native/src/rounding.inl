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

INLINE void round_to(uint16_t* to, __m512 x) {
  const __m256bh half = _mm512_cvtneps_pbh(x);
  __builtin_memcpy(to, &half, sizeof half);
}

// Rows of `depth` in the room, with zeros to a multiple of 32.
template <class Room>
Numbers<uint16_t> round_rows(Room& room, size_t rows, size_t depth, Rows x) {
  const size_t ld = filled(depth, 32);
  for (size_t r = 0; r < rows; ++r) {
    const float* from = x.data + r * x.ld;
    uint16_t* to = room.numbers + r * ld;
    size_t k = 0;
    for (; k + LANES <= depth; k += LANES) round_to(to + k, _mm512_loadu_ps(from + k));
    for (; k < ld; k += LANES) {
      const __mmask16 there = k < depth ? (__mmask16)((1u << (depth - k)) - 1) : (__mmask16)0;
      round_to(to + k, _mm512_maskz_loadu_ps(there, from + (k < depth ? k : 0)));
    }
  }
  return {room.numbers, ld};
}

}  // namespace
}  // namespace tidegate
