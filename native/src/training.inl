// Training: a cell's gates and their derivatives, element by element, and the products of gradients over rows.
//
// The gates ahead are the operations of the cell's tape in its order, so that training's outputs have inference's bits.
// Rows hold planes of `units` floats side by side. Beyond `size` units gradients are set to zero: products read them.

namespace tidegate {
namespace {

INLINE Vector logistic_slope(Vector y) { return y * (splat(1.0f) - y); }
INLINE Vector tangent_slope(Vector y) { return (splat(1.0f) - y) * (splat(1.0f) + y); }

// What reaches a state: from later steps, directly and through a product, and from the step's own output.
INLINE Vector reached(const CellBackward& b, size_t at) {
  return (load(b.carry[0] + at) + load(b.product + at)) + load(b.output + at);
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

// Planes n r z m, m that of R.n h + c.n: inputs take the first three, recurrent maps the last three.
template <bool KEEP>
void gru_backward(size_t rows, size_t size, size_t units, const CellBackward& b) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const size_t at = row * units + i;
      const float* from = b.saved + row * b.ld_saved + i;
      const Vector r = load(from), z = load(from + units), n = load(from + 2 * units), m = load(from + 3 * units);
      const Vector h = load(b.state[0] + at), d = reached(b, at), other = splat(1.0f) - z;
      const Vector dn = d * (KEEP ? other : z) * tangent_slope(n);
      const Vector dz = d * (KEEP ? h - n : n - h) * logistic_slope(z);
      store(b.carry[0] + at, d * (KEEP ? z : other));
      float* to = b.planes + row * b.ld + i;
      store(to, first(size - i, dn, 0.0f));
      store(to + units, first(size - i, dn * m * logistic_slope(r), 0.0f));
      store(to + 2 * units, first(size - i, dz, 0.0f));
      store(to + 3 * units, first(size - i, dn * r, 0.0f));
    }
}

template <bool PEEPHOLES>
INLINE Vector seen(Vector value, const float* peephole, Vector c) {
  return PEEPHOLES ? value + load(peephole) * c : value;
}

// With peepholes, gates see the cell state, times own parameters: i and f the one before, o the next.
template <bool PEEPHOLES>
void lstm_forward(size_t rows, size_t units, const CellForward& f) {
  for (size_t row = 0; row < rows; ++row) {
    const float *x = f.inputs + row * 4 * units, *sums = f.sums + row * 4 * units;
    for (size_t u = 0; u < units; u += LANES) {
      const size_t at = row * units + u;
      const Vector before = load(f.state[1] + at);
      const Vector i = logistic(seen<PEEPHOLES>(load(x + u) + load(sums + u), f.own + u, before));
      const Vector g = hyperbolic_tangent(load(x + 2 * units + u) + load(sums + 2 * units + u));
      const Vector f_gate =
          logistic(seen<PEEPHOLES>(load(x + units + u) + load(sums + units + u), f.own + units + u, before));
      const Vector c = f_gate * before + i * g;
      const Vector o =
          logistic(seen<PEEPHOLES>(load(x + 3 * units + u) + load(sums + 3 * units + u), f.own + 2 * units + u, c));
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
      const Vector squashed = hyperbolic_tangent(load(from + 4 * units)), dh = reached(b, at);
      const Vector d_o = dh * squashed * logistic_slope(o);
      Vector dc = load(b.carry[1] + at) + dh * o * tangent_slope(squashed);
      if (PEEPHOLES) dc += d_o * load(b.own + 2 * units + u);
      const Vector di = dc * g * logistic_slope(i), df = dc * load(b.state[1] + at) * logistic_slope(f);
      store(b.carry[0] + at, Vector{});
      const Vector kept = dc * f;
      store(b.carry[1] + at, PEEPHOLES ? kept + di * load(b.own + u) + df * load(b.own + units + u) : kept);
      float* to = b.planes + row * b.ld + u;
      store(to, first(size - u, di, 0.0f));
      store(to + units, first(size - u, df, 0.0f));
      store(to + 2 * units, first(size - u, dc * i * tangent_slope(g), 0.0f));
      store(to + 3 * units, first(size - u, d_o, 0.0f));
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
      const Vector h = load(b.saved + row * b.ld_saved + i), d = reached(b, at);
      const Vector da = TANH ? d * tangent_slope(h) : select(h <= Vector{}, Vector{}, d);
      store(b.carry[0] + at, Vector{});
      store(b.planes + row * b.ld + i, first(size - i, da, 0.0f));
    }
}

// Reset before, first part: r and z take the place of their sums, r * h goes to `inner`.
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

// Second part: sums hold r, z and R.n (r * h) + c.n.
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

// Planes r z n: z and n.
template <bool KEEP>
void before_backward(size_t rows, size_t size, size_t units, const CellBackward& b) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const size_t at = row * units + i;
      const float* from = b.saved + row * b.ld_saved + i;
      const Vector z = load(from + units), n = load(from + 2 * units), h = load(b.state[0] + at);
      const Vector d = reached(b, at), other = splat(1.0f) - z;
      store(b.carry[0] + at, d * (KEEP ? z : other));
      float* to = b.planes + row * b.ld + i;
      store(to + units, first(size - i, d * (KEEP ? h - n : n - h) * logistic_slope(z), 0.0f));
      store(to + 2 * units, first(size - i, d * (KEEP ? other : z) * tangent_slope(n), 0.0f));
    }
}

// Then r, from the gradient of r * h; `inner` becomes r * h.
void reset_backward(size_t rows, size_t size, size_t units, const CellBackward& b, const float* gradient, float* inner) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < units; i += LANES) {
      const size_t at = row * units + i;
      const Vector r = load(b.saved + row * b.ld_saved + i), h = load(b.state[0] + at), d = load(gradient + at);
      store(b.carry[0] + at, load(b.carry[0] + at) + d * r);
      store(b.planes + row * b.ld + i, first(size - i, d * h * logistic_slope(r), 0.0f));
      store(inner + at, r * h);
    }
}

// A minimal GRU: gates z n of the input alone.
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
      const Vector d = reached(b, at);
      store(b.carry[0] + at, d * (splat(1.0f) - z));
      store(b.planes + row * b.ld + i, first(size - i, d * (n - load(b.state[0] + at)) * logistic_slope(z), 0.0f));
      store(b.planes + row * b.ld + units + i, first(size - i, d * z, 0.0f));
    }
}

// One row times V vectors side by side: the chains of `product`, enough of them to fill the machine.
template <int V>
void row_block(size_t depth, const float* x, const float* weights, float* out) {
  Vector sums[V] = {};
  for (size_t k = 0; k < depth; ++k, weights += V * LANES) {
    Vector value = splat(x[k]);
    IN_REGISTER(value);
    UNROLL for (int v = 0; v < V; ++v) sums[v] = MULTIPLY_ADD(value, load(weights + v * LANES), sums[v]);
  }
  UNROLL for (int v = 0; v < V; ++v) store(out + v * LANES, sums[v]);
}

void row(size_t depth, size_t vectors, const float* x, const float* weights, float* out) {
  if (vectors == 8) row_block<8>(depth, x, weights, out);
  if (vectors == 4) row_block<4>(depth, x, weights, out);
  if (vectors == 2) row_block<2>(depth, x, weights, out);
  if (vectors == 1) row_block<1>(depth, x, weights, out);
}

// sums[i] += each column of `a` added up, k ascending: four vectors of columns at once, as one chain alone would wait.
template <int V>
INLINE void add_columns(size_t depth, Rows a, float* sums) {
  Vector totals[V] = {};
  for (size_t k = 0; k < depth; ++k)
    UNROLL for (int v = 0; v < V; ++v) totals[v] += load(a.data + k * a.ld + v * LANES);
  UNROLL for (int v = 0; v < V; ++v) store(sums + v * LANES, load(sums + v * LANES) + totals[v]);
}

// Vectors side by side: three, but two and two where one would be left over, as one alone is slow.
INLINE size_t panel(size_t left) { return left == 4 ? 2 : left < kBlockVectors ? left : kBlockVectors; }

// Floats from column j on of each row, `wide` of them side by side; zeros from column `width` on.
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

// out[m, v] += sum over k of a[k, m] * b[k, v], b packed. The rows of `a` are read where they lie: they are in the
// second-level cache, and packing them would cost more than asking for the next ones ahead of time.
template <int M, int N>
INLINE void outer_tile(size_t depth, Rows a, const float* b, float* out, size_t ld) {
  Vector sums[M][N] = {};
  for (size_t k = 0; k < depth; ++k, a.data += a.ld, b += N * LANES) {
    Vector w[N];
    UNROLL for (int v = 0; v < N; ++v) w[v] = load(b + v * LANES);
    __builtin_prefetch(a.data + 16);  // a cache line ahead
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
void outer_block(size_t depth, size_t columns, Rows a, const float* b, float* out, size_t ld) {
  size_t i = 0;
  for (; i + ROWS <= columns; i += ROWS) outer_tile<ROWS, N>(depth, {a.data + i, a.ld}, b, out + i * ld, ld);
  for (; i < columns; ++i)  // where ROWS is more than LANES
    outer_tile<1, N>(depth, {a.data + i, a.ld}, b, out + i * ld, ld);
}

void outer(size_t depth, size_t columns, Rows a, size_t width, const float* const* b, float* out, size_t ld, float* sums,
           float* scratch) {
  size_t i = 0;
  for (; i + 4 * LANES <= columns; i += 4 * LANES) add_columns<4>(depth, {a.data + i, a.ld}, sums + i);
  for (; i < columns; i += LANES) add_columns<1>(depth, {a.data + i, a.ld}, sums + i);
  const size_t vectors = padded(width) / LANES;
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
