// Layers without state: embed, dense, norm, scale and softmax. They treat every item alike, whatever its step.
#include <cstring>

#include "layer.h"

namespace tidegate {
namespace {

// A lookup table of float32, or of bfloat16 in half the memory if the precision is not float32. The rows of a step's
// ids are summed in order.
class Embed final : public Layer {
 public:
  Embed(const Kernels& kernels, std::size_t rows, std::size_t size, std::size_t ids, const float* weight)
      : Layer(kernels, "embed", rows, size), ids_(ids) {
    const std::size_t count = rows * size;
    if (kernels.precision == kFloat32) {
      float32_.assign(weight, weight + count);
    } else {
      bf16_.resize(count);
      for (std::size_t i = 0; i < count; ++i) bf16_[i] = to_bf16(weight[i]);
    }
  }

  // x holds int32 ids, which are already checked.
  void run(const Chunk& chunk, const Tile&, MatrixView x, float* out) const override {
    for (std::size_t i = 0; i < chunk.items; ++i, out += padded_size(size)) {
      look_up(id(x, i, 0), 1, out);
      for (std::size_t k = 1; k < ids_; ++k) add_row(id(x, i, k), out);
    }
  }
  std::vector<IdUse> ids() const override { return std::vector<IdUse>(ids_, IdUse::kRow); }
  bool looks_up() const override { return ids_ == 1; }
  void look_up(std::size_t first, std::size_t count, float* out) const override {
    for (std::size_t r = first; r < first + count; ++r, out += padded_size(size)) {
      if (!float32_.empty()) {
        std::memcpy(out, float32_.data() + r * size, size * sizeof(float));
        continue;
      }
      for (std::size_t i = 0; i < size; ++i) out[i] = from_bf16(bf16_[r * size + i]);
    }
  }
  std::size_t work() const override { return ids_ * size; }

 private:
  static std::size_t id(MatrixView x, std::size_t item, std::size_t k) {
    std::int32_t value;
    std::memcpy(&value, x.data + item * x.ld + k, sizeof value);
    return static_cast<std::size_t>(value);
  }
  void add_row(std::size_t row, float* out) const {
    if (!float32_.empty())
      for (std::size_t i = 0; i < size; ++i) out[i] += float32_[row * size + i];
    else
      for (std::size_t i = 0; i < size; ++i) out[i] += from_bf16(bf16_[row * size + i]);
  }

  const std::size_t ids_;
  std::vector<float> float32_;
  std::vector<std::uint16_t> bf16_;
};

class Dense final : public Layer {
 public:
  Dense(const Kernels& kernels, const AffineWeights& weights)
      : Layer(kernels, "dense", weights.inputs, weights.size),
        activation_(weights.activation),
        packed_(kernels, inputs, make_range(size), weights.weight, weights.bias) {}

  void run(const Chunk& chunk, const Tile&, MatrixView x, float* out) const override {
    const std::size_t ld = padded_size(size);
    kernels.matmul(chunk.items, &packed_.matrix(), x, out, ld);
    if (activation_) activation_(chunk.items, ld, {out, ld}, out, ld);
  }
  std::size_t work() const override { return inputs * size; }

 private:
  Unary* activation_;
  PackedWeights packed_;
};

class Norm final : public Layer {
 public:
  Norm(const Kernels& kernels, std::size_t size, const float* gain, const float* bias, float eps)
      : Layer(kernels, "norm", size, size),
        gain_(copy_padded(*this, gain, size)),
        bias_(copy_padded(*this, bias, size)),
        eps_(eps) {}

  void run(const Chunk& chunk, const Tile&, MatrixView x, float* out) const override {
    kernels.norm(chunk.items, size, x, gain_.data(), bias_.data(), eps_, out, padded_size(size));
  }

 private:
  AlignedFloats gain_, bias_;
  float eps_;
};

class Scale final : public Layer {
 public:
  Scale(const Kernels& kernels, std::size_t size, const float* mean, const float* deviation)
      : Layer(kernels, "scale", size, size),
        mean_(copy_padded(*this, mean, size)),
        deviation_(copy_padded(*this, deviation, size)) {}

  void run(const Chunk& chunk, const Tile&, MatrixView x, float* out) const override {
    const std::size_t ld = padded_size(size);
    kernels.sub(chunk.items, ld, kBroadcastNone, x, {mean_.data(), 0}, out, ld);
    kernels.div(chunk.items, ld, kBroadcastNone, {out, ld}, {deviation_.data(), 0}, out, ld);
  }

 private:
  AlignedFloats mean_, deviation_;
};

class Softmax final : public Layer {
 public:
  Softmax(const Kernels& kernels, std::size_t size) : Layer(kernels, "softmax", size, size) {}

  void run(const Chunk& chunk, const Tile&, MatrixView x, float* out) const override {
    kernels.softmax(chunk.items, size, x, out, padded_size(size));
  }
};

}  // namespace

std::unique_ptr<Layer> make_embed(const Kernels& kernels, std::size_t rows, std::size_t size, std::size_t ids,
                                  const float* weight) {
  return std::make_unique<Embed>(kernels, rows, size, ids, weight);
}

std::unique_ptr<Layer> make_dense(const Kernels& kernels, const AffineWeights& weights) {
  return std::make_unique<Dense>(kernels, weights);
}

std::unique_ptr<Layer> make_norm(const Kernels& kernels, std::size_t size, const float* gain, const float* bias,
                                 float eps) {
  return std::make_unique<Norm>(kernels, size, gain, bias, eps);
}

std::unique_ptr<Layer> make_scale(const Kernels& kernels, std::size_t size, const float* mean,
                                  const float* deviation) {
  return std::make_unique<Scale>(kernels, size, mean, deviation);
}

std::unique_ptr<Layer> make_softmax(const Kernels& kernels, std::size_t size) {
  return std::make_unique<Softmax>(kernels, size);
}

}  // namespace tidegate
