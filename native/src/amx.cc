// AMX: tiles of 16 rows by 16 columns by 32 k of bfloat16. An instruction adds up the even k and the odd ones of its 32
// apart, then adds both to the sum; a row's bits are the same for any number of rows. Values below the normal floats
// count as zero there.
#include <immintrin.h>
#define LANES 16
#define ROWS 8
#define MULTIPLY_ADD(a, b, c) ((Vector)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define LESSER(a, b) ((Vector)_mm512_maskz_min_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define GREATER(a, b) ((Vector)_mm512_maskz_max_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#include "products.inl"
#include "rounding.inl"

namespace tidegate {
namespace {

// What a thread's tiles are: 0 to 2 sums of a block's vectors, 3 rows of x, 4 to 6 weights.
struct Shape {
  uint8_t palette, start, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

struct Tiles : RoundedPairs<32> {
  static constexpr bool kTiles = true;

  // While it lives, the thread's tiles have as many rows as it holds; then none, so that nobody need save them.
  struct Room : RoundedPairs<32>::Room {
    size_t rows = 0;
    ~Room() { _tile_release(); }
  };

  static Numbers<uint16_t> read(Room& room, size_t rows, size_t depth, Rows x) {
    if (room.rows != rows) shape(rows);
    room.rows = rows;
    return round_rows(room, rows, depth, x);
  }

  static void shape(size_t rows) {
    alignas(64) Shape shape = {};
    shape.palette = 1;
    for (int i = 0; i < 7; ++i) shape.row_bytes[i] = 64, shape.rows[i] = (uint8_t)(i < 4 ? rows : 16);
    __asm__ volatile("" : "+m"(shape));  // all of it: some compilers think that the instruction reads 8 bytes
    _tile_loadconfig(&shape);
  }

  template <int N>
  INLINE void tiles(size_t depth, Numbers<uint16_t> x, const uint16_t* weights, Rows start, float* out,
                           size_t ld) {
    __asm__ volatile("" ::: "memory");  // what the tiles read has been written
    _tile_loadd(0, start.data, start.ld * sizeof(float));
    if constexpr (N > 1) _tile_loadd(1, start.data + LANES, start.ld * sizeof(float));
    if constexpr (N > 2) _tile_loadd(2, start.data + 2 * LANES, start.ld * sizeof(float));
    constexpr size_t kRow = 2 * N * LANES;
    for (size_t k = 0; k < depth; k += 32, weights += 16 * kRow) {
      _tile_loadd(3, x.data + k, x.ld * sizeof(uint16_t));
      _tile_loadd(4, weights, kRow * sizeof(uint16_t));
      _tile_dpbf16ps(0, 3, 4);
      if constexpr (N > 1) {
        _tile_loadd(5, weights + 2 * LANES, kRow * sizeof(uint16_t));
        _tile_dpbf16ps(1, 3, 5);
      }
      if constexpr (N > 2) {
        _tile_loadd(6, weights + 4 * LANES, kRow * sizeof(uint16_t));
        _tile_dpbf16ps(2, 3, 6);
      }
    }
    _tile_stored(0, out, ld * sizeof(float));
    if constexpr (N > 1) _tile_stored(1, out + LANES, ld * sizeof(float));
    if constexpr (N > 2) _tile_stored(2, out + 2 * LANES, ld * sizeof(float));
  }
};

}  // namespace

extern const Products products_amx;
const Products products_amx = products<Tiles>();

}  // namespace tidegate
