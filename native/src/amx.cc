// AMX: tiles of 16 rows by 16 columns by 32 values of k in bfloat16. One instruction sums the even and the odd k of its
// 32 separately, then adds both to the result. A row's bits are the same for any number of rows. Subnormal numbers
// count as zero.
#include <immintrin.h>
#define LANES 16
#define ROWS 8
#define MULTIPLY_ADD(a, b, c) ((Vector)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define VECTOR_MIN(a, b) ((Vector)_mm512_maskz_min_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define VECTOR_MAX(a, b) ((Vector)_mm512_maskz_max_ps((__mmask16)-1, (__m512)(a), (__m512)(b)))
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#include "matmul_kernels.inl"
#include "rounding.inl"

namespace tidegate {
namespace {

// The use of the thread's tiles: 0 to 2 hold the sums of a block's vectors, 3 the rows of x, 4 to 6 the weights.
struct TileConfig {
  uint8_t palette, start, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

struct AmxTiles : RoundedPairs<32> {
  static constexpr bool kUsesTiles = true;

  // Configures the thread's tiles for its number of rows, and releases them at the end, so that the system need not
  // save them.
  struct Buffer : RoundedPairs<32>::Buffer {
    size_t rows = 0;
    ~Buffer() { _tile_release(); }
  };

  static NumberView<uint16_t> read(Buffer& buffer, size_t rows, size_t depth, MatrixView x) {
    if (buffer.rows != rows) configure(rows);
    buffer.rows = rows;
    return round_rows(buffer, rows, depth, x);
  }

  static void configure(size_t rows) {
    alignas(64) TileConfig config = {};
    config.palette = 1;
    for (int i = 0; i < 7; ++i) config.row_bytes[i] = 64, config.rows[i] = (uint8_t)(i < 4 ? rows : 16);
    // the whole struct, because some compilers assume that the instruction reads 8 bytes
    __asm__ volatile("" : "+m"(config));
    _tile_loadconfig(&config);
  }

  template <int N>
  INLINE void tiles(size_t depth, NumberView<uint16_t> x, const uint16_t* weights, MatrixView start, float* out,
                           size_t ld) {
    __asm__ volatile("" ::: "memory");  // stores before the tile loads must be complete
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

extern const MatmulKernels matmul_amx;
const MatmulKernels matmul_amx = matmul_kernels<AmxTiles>();

}  // namespace tidegate
