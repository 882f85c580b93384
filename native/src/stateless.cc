// Layers without state: embed, dense, norm, softmax. Their items are all alike, whatever the step.
#include <cstring>

#include "layer.h"

namespace tidegate {
namespace {

class Embed final : public Layer {
 public:
  Embed(const Kernels& kernels, std::size_t rows, std::size_t size, const float* weight)
      : Layer(kernels, "embed", rows, size), weight_(kept(kernels, weight, rows * size)) {}

  // x holds int32 ids, already checked.
  void run(const Chunk& chunk, const Tile&, Rows x, float* out) const override {
    for (std::size_t i = 0; i < chunk.items; ++i) {
      std::int32_t id;
      std::memcpy(&id, x.data + i * x.ld, sizeof id);
      std::memcpy(out + i * padded(size), weight_.data() + static_cast<std::size_t>(id) * size, size * sizeof(float));
    }
  }
  const float* table() const override { return weight_.data(); }

 private:
  std::vector<float> weight_;
};

class Dense final : public Layer {
 public:
  Dense(const Kernels& kernels, std::size_t inputs, std::size_t size, const float* weight, const float* bias,
        std::int32_t activation)
      : Layer(kernels, "dense", inputs, size),
        activation_(activation_kernel(kernels, activation)),
        packed_(kernels, inputs, in_order(size), weight, bias) {}

  void run(const Chunk& chunk, const Tile&, Rows x, float* out) const override {
    const std::size_t ld = padded(size);
    kernels.product(chunk.items, &packed_.product(), x, out, ld);
    if (activation_) activation_(chunk.items, ld, {out, ld}, out, ld);
  }
  std::size_t work() const override { return inputs * size; }

 private:
  Unary* activation_;
  Packed packed_;
};

class Norm final : public Layer {
 public:
  Norm(const Kernels& kernels, std::size_t size, const float* gain, const float* bias, float eps)
      : Layer(kernels, "norm", size, size),
        gain_(padded_copy(*this, gain, size)),
        bias_(padded_copy(*this, bias, size)),
        eps_(eps) {}

  void run(const Chunk& chunk, const Tile&, Rows x, float* out) const override {
    kernels.norm(chunk.items, size, x, gain_.data(), bias_.data(), eps_, out, padded(size));
  }

 private:
  Floats gain_, bias_;
  float eps_;
};

class Scale final : public Layer {
 public:
  Scale(const Kernels& kernels, std::size_t size, const float* mean, const float* deviation)
      : Layer(kernels, "scale", size, size),
        mean_(padded_copy(*this, mean, size)),
        deviation_(padded_copy(*this, deviation, size)) {}

  void run(const Chunk& chunk, const Tile&, Rows x, float* out) const override {
    const std::size_t ld = padded(size);
    kernels.sub(chunk.items, ld, kFormFull, x, {mean_.data(), 0}, out, ld);
    kernels.div(chunk.items, ld, kFormFull, {out, ld}, {deviation_.data(), 0}, out, ld);
  }

 private:
  Floats mean_, deviation_;
};

class Softmax final : public Layer {
 public:
  Softmax(const Kernels& kernels, std::size_t size) : Layer(kernels, "softmax", size, size) {}

  void run(const Chunk& chunk, const Tile&, Rows x, float* out) const override {
    kernels.softmax(chunk.items, size, x, out, padded(size));
  }
};

}  // namespace

std::unique_ptr<Layer> make_embed(const Kernels& kernels, std::int64_t rows, std::int64_t size, const float* weight) {
  if (rows < 1 || rows > INT32_MAX)
    throw ValueError("embed: rows must be from 1 to 2147483647, found " + std::to_string(rows));
  return std::make_unique<Embed>(kernels, static_cast<std::size_t>(rows), checked_size(size, "embed: size"), weight);
}

std::unique_ptr<Layer> make_dense(const Kernels& kernels, std::int64_t inputs, std::int64_t size, const float* weight,
                                  const float* bias, std::int32_t activation) {
  return std::make_unique<Dense>(kernels, checked_size(inputs, "dense: inputs"), checked_size(size, "dense: size"),
                                 weight, bias, activation);
}

std::unique_ptr<Layer> make_norm(const Kernels& kernels, std::int64_t size, const float* gain, const float* bias,
                                 float eps) {
  if (!(eps >= 0.0f)) throw ValueError("norm: eps must be 0 or more, found " + std::to_string(eps));
  return std::make_unique<Norm>(kernels, checked_size(size, "norm: size"), gain, bias, eps);
}

std::unique_ptr<Layer> make_scale(const Kernels& kernels, std::int64_t size, const float* mean,
                                  const float* deviation) {
  return std::make_unique<Scale>(kernels, checked_size(size, "scale: size"), mean, deviation);
}

std::unique_ptr<Layer> make_softmax(const Kernels& kernels, std::int64_t size) {
  return std::make_unique<Softmax>(kernels, checked_size(size, "softmax: size"));
}

}  // namespace tidegate
