// Training: the gates of each cell and their derivatives, elementwise, and the products of gradients.
//
// The forward functions do the operations of the cell's tape in the same order, so that training and inference give the
// same bits. Rows hold planes of `units` floats. Gradients beyond `size` units are set to zero, because products read
// them.

namespace tidegate {
namespace {

INLINE Vector sigmoid_slope(Vector y) { return y * (splat(1.0f) - y); }
INLINE Vector tanh_slope(Vector y) { return (splat(1.0f) - y) * (splat(1.0f) + y); }

// The gradient of a state: from later steps, directly and through the recurrent maps, and from the step's own output.
INLINE Vector state_gradient(const CellBackward& b, size_t at) {
  return (load(b.d_state[0] + at) + load(b.d_recurrent + at)) + load(b.d_output + at);
}

template <bool KEEP>
void gru_forward(size_t rows, size_t units, const CellForward& f) {
  for (size_t row = 0; row < rows; ++row) {
    const float *x = f.inputs + row * 3 * units, *sums = f.sums + row * 3 * units;
    for (size_t i = 0; i < units; i += LANES) {
      const size_t at = row * units + i;
      const Vector h = load(f.state[0] + at), product = load(sums + 2 * units + i);
      const Vector r = logistic(load(x + i) + load(sums + i));
      const Vector z = logistic(load(x + units + i) + load(sums + units + i));
      const Vector n = hyperbolic_tangent(load(x + 2 * units + i) + r * product);
      store(f.next[0] + at, KEEP ? n + z * (h - n) : h + z * (n - h));
      if (!f.saved) continue;
      float* to = f.saved + row * f.ld + i;
      store(to, r);
      store(to + units, z);
      store(to + 2 * units, n);
      store(to + 3 * units, product);
    }
  }
}

// Planes n r z m, where m is R.n h + c.n. The input gates use the first three, the recurrent maps the last three.
template <bool KEEP>
void gru_backward(size_t rows, size_t size, size_t units, const CellBackward& b) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const size_t at = row * units + i;
      const float* from = b.saved + row * b.ld_saved + i;
      const Vector r = load(from), z = load(from + units), n = load(from + 2 * units), m = load(from + 3 * units);
      const Vector h = load(b.state[0] + at), d = state_gradient(b, at), one_minus_z = splat(1.0f) - z;
      const Vector dn = d * (KEEP ? one_minus_z : z) * tanh_slope(n);
      const Vector dz = d * (KEEP ? h - n : n - h) * sigmoid_slope(z);
      store(b.d_state[0] + at, d * (KEEP ? z : one_minus_z));
      float* to = b.planes + row * b.ld + i;
      store(to, mask_lanes(size - i, dn, 0.0f));
      store(to + units, mask_lanes(size - i, dn * m * sigmoid_slope(r), 0.0f));
      store(to + 2 * units, mask_lanes(size - i, dz, 0.0f));
      store(to + 3 * units, mask_lanes(size - i, dn * r, 0.0f));
    }
}

template <bool PEEPHOLES>
INLINE Vector add_peephole(Vector value, const float* peephole, Vector c) {
  return PEEPHOLES ? value + load(peephole) * c : value;
}

// With peepholes, the gates i and f also see the previous cell state, and o sees the new one, times their parameters.
template <bool PEEPHOLES>
void lstm_forward(size_t rows, size_t units, const CellForward& f) {
  for (size_t row = 0; row < rows; ++row) {
    const float *x = f.inputs + row * 4 * units, *sums = f.sums + row * 4 * units;
    for (size_t u = 0; u < units; u += LANES) {
      const size_t at = row * units + u;
      const Vector before = load(f.state[1] + at);
      const Vector i = logistic(add_peephole<PEEPHOLES>(load(x + u) + load(sums + u), f.params + u, before));
      const Vector g = hyperbolic_tangent(load(x + 2 * units + u) + load(sums + 2 * units + u));
      const Vector f_gate =
          logistic(add_peephole<PEEPHOLES>(load(x + units + u) + load(sums + units + u), f.params + units + u, before));
      const Vector c = f_gate * before + i * g;
      const Vector o = logistic(
          add_peephole<PEEPHOLES>(load(x + 3 * units + u) + load(sums + 3 * units + u), f.params + 2 * units + u, c));
      store(f.next[0] + at, o * hyperbolic_tangent(c));
      store(f.next[1] + at, c);
      if (!f.saved) continue;
      float* to = f.saved + row * f.ld + u;
      store(to, i);
      store(to + units, f_gate);
      store(to + 2 * units, g);
      store(to + 3 * units, o);
      store(to + 4 * units, c);
      if (PEEPHOLES) store(to + 5 * units, before);
    }
  }
}

// Planes i f g o.
template <bool PEEPHOLES>
void lstm_backward(size_t rows, size_t size, size_t units, const CellBackward& b) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t u = 0; u < units; u += LANES) {
      const size_t at = row * units + u;
      const float* from = b.saved + row * b.ld_saved + u;
      const Vector i = load(from), f = load(from + units), g = load(from + 2 * units), o = load(from + 3 * units);
      const Vector tanh_c = hyperbolic_tangent(load(from + 4 * units)), dh = state_gradient(b, at);
      const Vector d_o = dh * tanh_c * sigmoid_slope(o);
      Vector dc = load(b.d_state[1] + at) + dh * o * tanh_slope(tanh_c);
      if (PEEPHOLES) dc += d_o * load(b.params + 2 * units + u);
      const Vector di = dc * g * sigmoid_slope(i), df = dc * load(b.state[1] + at) * sigmoid_slope(f);
      store(b.d_state[0] + at, Vector{});
      const Vector dc_before = dc * f;
      store(b.d_state[1] + at,
            PEEPHOLES ? dc_before + di * load(b.params + u) + df * load(b.params + units + u) : dc_before);
      float* to = b.planes + row * b.ld + u;
      store(to, mask_lanes(size - u, di, 0.0f));
      store(to + units, mask_lanes(size - u, df, 0.0f));
      store(to + 2 * units, mask_lanes(size - u, dc * i * tanh_slope(g), 0.0f));
      store(to + 3 * units, mask_lanes(size - u, d_o, 0.0f));
    }
}

template <bool TANH>
void rnn_forward(size_t rows, size_t units, const CellForward& f) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const Vector a = load(f.inputs + row * units + i) + load(f.sums + row * units + i);
      const Vector h = TANH ? hyperbolic_tangent(a) : select(a < Vector{}, Vector{}, a);
      store(f.next[0] + row * units + i, h);
      if (f.saved) store(f.saved + row * f.ld + i, h);
    }
}

template <bool TANH>
void rnn_backward(size_t rows, size_t size, size_t units, const CellBackward& b) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const size_t at = row * units + i;
      const Vector h = load(b.saved + row * b.ld_saved + i), d = state_gradient(b, at);
      const Vector da = TANH ? d * tanh_slope(h) : select(h <= Vector{}, Vector{}, d);
      store(b.d_state[0] + at, Vector{});
      store(b.planes + row * b.ld + i, mask_lanes(size - i, da, 0.0f));
    }
}

// GRU with reset before, part one: r and z replace their sums, and r * h is written to `inner`.
void reset_forward(size_t rows, size_t units, const CellForward& f, float* sums, float* inner) {
  for (size_t row = 0; row < rows; ++row, sums += 3 * units)
    for (size_t i = 0; i < units; i += LANES) {
      const float* x = f.inputs + row * 3 * units + i;
      const Vector r = logistic(load(x) + load(sums + i));
      store(inner + row * units + i, r * load(f.state[0] + row * units + i));
      store(sums + units + i, logistic(load(x + units) + load(sums + units + i)));
      store(sums + i, r);
    }
}

// Part two: sums now hold r, z and R.n (r * h) + c.n.
template <bool KEEP>
void before_forward(size_t rows, size_t units, const CellForward& f) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const float* sums = f.sums + row * 3 * units + i;
      const Vector h = load(f.state[0] + row * units + i), z = load(sums + units);
      const Vector n = hyperbolic_tangent(load(f.inputs + (row * 3 + 2) * units + i) + load(sums + 2 * units));
      store(f.next[0] + row * units + i, KEEP ? n + z * (h - n) : h + z * (n - h));
      if (!f.saved) continue;
      float* to = f.saved + row * f.ld + i;
      store(to, load(sums));
      store(to + units, z);
      store(to + 2 * units, n);
    }
}

// Planes r z n: computes z and n.
template <bool KEEP>
void before_backward(size_t rows, size_t size, size_t units, const CellBackward& b) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const size_t at = row * units + i;
      const float* from = b.saved + row * b.ld_saved + i;
      const Vector z = load(from + units), n = load(from + 2 * units), h = load(b.state[0] + at);
      const Vector d = state_gradient(b, at), one_minus_z = splat(1.0f) - z;
      store(b.d_state[0] + at, d * (KEEP ? z : one_minus_z));
      float* to = b.planes + row * b.ld + i;
      store(to + units, mask_lanes(size - i, d * (KEEP ? h - n : n - h) * sigmoid_slope(z), 0.0f));
      store(to + 2 * units, mask_lanes(size - i, d * (KEEP ? one_minus_z : z) * tanh_slope(n), 0.0f));
    }
}

// Then r, from the gradient of r * h; writes r * h to `inner`.
void reset_backward(size_t rows, size_t size, size_t units, const CellBackward& b, const float* gradient,
                    float* inner) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const size_t at = row * units + i;
      const Vector r = load(b.saved + row * b.ld_saved + i), h = load(b.state[0] + at), d = load(gradient + at);
      store(b.d_state[0] + at, load(b.d_state[0] + at) + d * r);
      store(b.planes + row * b.ld + i, mask_lanes(size - i, d * h * sigmoid_slope(r), 0.0f));
      store(inner + at, r * h);
    }
}

// Minimal GRU: the gates z and n depend on the input alone.
void mingru_forward(size_t rows, size_t units, const CellForward& f) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const float* x = f.inputs + row * 2 * units + i;
      const Vector h = load(f.state[0] + row * units + i), n = load(x + units), z = logistic(load(x));
      store(f.next[0] + row * units + i, h + z * (n - h));
      if (!f.saved) continue;
      store(f.saved + row * f.ld + i, z);
      store(f.saved + row * f.ld + units + i, n);
    }
}

void mingru_backward(size_t rows, size_t size, size_t units, const CellBackward& b) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const size_t at = row * units + i;
      const Vector z = load(b.saved + row * b.ld_saved + i), n = load(b.saved + row * b.ld_saved + units + i);
      const Vector d = state_gradient(b, at);
      store(b.d_state[0] + at, d * (splat(1.0f) - z));
      store(b.planes + row * b.ld + i, mask_lanes(size - i, d * (n - load(b.state[0] + at)) * sigmoid_slope(z), 0.0f));
      store(b.planes + row * b.ld + units + i, mask_lanes(size - i, d * z, 0.0f));
    }
}

// One row times V adjacent vectors: the same chains as `matmul`, enough of them to keep the CPU busy.
template <int V>
void matmul_panel_block(size_t depth, const float* x, const float* weights, float* out) {
  Vector sums[V] = {};
  for (size_t k = 0; k < depth; ++k, weights += V * LANES) {
    Vector value = splat(x[k]);
    IN_REGISTER(value);
    UNROLL for (int v = 0; v < V; ++v) sums[v] = MULTIPLY_ADD(value, load(weights + v * LANES), sums[v]);
  }
  UNROLL for (int v = 0; v < V; ++v) store(out + v * LANES, sums[v]);
}

void matmul_panel(size_t depth, size_t vectors, const float* x, const float* weights, float* out) {
  if (vectors == 8) matmul_panel_block<8>(depth, x, weights, out);
  if (vectors == 4) matmul_panel_block<4>(depth, x, weights, out);
  if (vectors == 2) matmul_panel_block<2>(depth, x, weights, out);
  if (vectors == 1) matmul_panel_block<1>(depth, x, weights, out);
}

// sums[i] += the sum of column i of `a`, k ascending. Four vectors of columns at a time, since a single chain would
// wait for each addition.
template <int V>
INLINE void add_columns(size_t depth, MatrixView a, float* sums) {
  Vector totals[V] = {};
  for (size_t k = 0; k < depth; ++k)
    UNROLL for (int v = 0; v < V; ++v) totals[v] += load(a.data + k * a.ld + v * LANES);
  UNROLL for (int v = 0; v < V; ++v) store(sums + v * LANES, load(sums + v * LANES) + totals[v]);
}

// The width of the next panel in vectors: three, but two and two instead of three and one, since a single vector is
// slow.
INLINE size_t panel(size_t left) { return left == 4 ? 2 : left < kBlockVectors ? left : kBlockVectors; }

// Pack `wide` floats of each row, from column j on; zeros from column `width` on.
void pack_rows(size_t depth, size_t width, const float* const* rows, size_t j, size_t wide, float* packed) {
  for (size_t k = 0; k < depth; ++k, packed += wide)
    for (size_t v = 0; v < wide; v += LANES) {
      const float* from = rows[k] + j + v;
      if (j + v + LANES <= width)
        store(packed + v, load(from));
      else
        for (size_t l = 0; l < LANES; ++l) packed[v + l] = j + v + l < width ? from[l] : 0.0f;
    }
}

// out[m, v] += sum over k of a[k, m] * b[k, v], where b is packed. The rows of `a` are read in place: they are in the
// L2 cache, and packing them would cost more than prefetching them.
template <int M, int N>
INLINE void outer_tile(size_t depth, MatrixView a, const float* b, float* out, size_t ld) {
  Vector sums[M][N] = {};
  for (size_t k = 0; k < depth; ++k, a.data += a.ld, b += N * LANES) {
    Vector w[N];
    UNROLL for (int v = 0; v < N; ++v) w[v] = load(b + v * LANES);
    __builtin_prefetch(a.data + 16);  // one cache line ahead
    UNROLL for (int m = 0; m < M; ++m) {
      Vector value = splat(a.data[m]);
      IN_REGISTER(value);
      UNROLL for (int v = 0; v < N; ++v) sums[m][v] = MULTIPLY_ADD(value, w[v], sums[m][v]);
    }
  }
  UNROLL for (int m = 0; m < M; ++m)
    UNROLL for (int v = 0; v < N; ++v) {
      float* to = out + m * ld + v * LANES;
      store(to, load(to) + sums[m][v]);
    }
}

template <int N>
void outer_block(size_t depth, size_t columns, MatrixView a, const float* b, float* out, size_t ld) {
  size_t i = 0;
  for (; i + ROWS <= columns; i += ROWS) outer_tile<ROWS, N>(depth, {a.data + i, a.ld}, b, out + i * ld, ld);
  for (; i < columns; ++i)  // where ROWS is larger than LANES
    outer_tile<1, N>(depth, {a.data + i, a.ld}, b, out + i * ld, ld);
}

void add_outer_products(size_t depth, size_t columns, MatrixView a, size_t width, const float* const* b, float* out,
                        size_t ld, float* sums, float* scratch) {
  size_t i = 0;
  for (; i + 4 * LANES <= columns; i += 4 * LANES) add_columns<4>(depth, {a.data + i, a.ld}, sums + i);
  for (; i < columns; i += LANES) add_columns<1>(depth, {a.data + i, a.ld}, sums + i);
  const size_t vectors = padded_size(width) / LANES;
  for (size_t v = 0, wide; v < vectors; v += wide, out += wide * LANES) {
    wide = panel(vectors - v);
    pack_rows(depth, width, b, v * LANES, wide * LANES, scratch);
    if (wide == 3) outer_block<3>(depth, columns, a, scratch, out, ld);
    if (wide == 2) outer_block<2>(depth, columns, a, scratch, out, ld);
    if (wide == 1) outer_block<1>(depth, columns, a, scratch, out, ld);
  }
}

}  // namespace
}  // namespace tidegate
