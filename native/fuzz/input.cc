#include "input.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "tidegate.h"

namespace fuzz {
namespace {

constexpr std::int64_t kBoundaryValues[] = {
    -1,        0,         1,         2,         3,         4,           7,         8,         15,        16,
    17,        63,        64,        65,        255,       256,         257,       1 << 20,   (1 << 20) + 1,
    1 << 24,   INT32_MAX, INT32_MIN, 1LL << 31, 1LL << 32, (1LL << 32) + 8, 1LL << 40, INT64_MAX, INT64_MIN};

constexpr float kSpecialFloats[] = {0.0f,
                                    -0.0f,
                                    1e-45f,
                                    -1e-38f,
                                    88.8f,
                                    -104.0f,
                                    3.4e38f,
                                    -3.4e38f,
                                    std::numeric_limits<float>::infinity(),
                                    -std::numeric_limits<float>::infinity(),
                                    std::numeric_limits<float>::quiet_NaN()};

}  // namespace

Input::Input(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {
  for (std::int64_t left = below(4); left > 0; --left) {
    const std::uint64_t field = byte() | byte() << 8;
    const std::uint8_t kind = byte();
    const auto count = static_cast<std::int64_t>(sizeof kBoundaryValues / sizeof *kBoundaryValues);
    const std::int64_t value = kind < 128   ? kBoundaryValues[below(count)]
                               : kind < 192 ? static_cast<std::int8_t>(byte())
                                            : static_cast<std::int64_t>(word());
    hostile_.push_back({field % 1024, kind, value});
  }
  random_ = word() | 1;
  special_floats_ = once_in(3);
}

std::uint8_t Input::byte() { return next_ < end_ ? *next_++ : 0; }

std::uint64_t Input::word() {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | byte();
  return value;
}

std::int64_t Input::below(std::int64_t n) { return byte() % n; }

std::int64_t Input::maybe_hostile(std::int64_t value) {
  ++field_;
  for (const Hostile& hostile : hostile_)
    if (hostile.field == field_) {
      const bool shifted = hostile.kind >= 128 && hostile.kind < 192;
      return shifted ? static_cast<std::int64_t>(static_cast<std::uint64_t>(value) + hostile.value) : hostile.value;
    }
  return value;
}

std::int64_t Input::size(std::int64_t value) {
  const std::int64_t size = maybe_hostile(value);
  if (size > kMaxSize && size <= TIDEGATE_MAX_SIZE) throw Skip();
  return size;
}

float Input::number() {
  random_ ^= random_ << 13, random_ ^= random_ >> 7, random_ ^= random_ << 17;
  if (special_floats_ && random_ % 64 < sizeof kSpecialFloats / sizeof *kSpecialFloats)
    return kSpecialFloats[random_ % 64];
  return static_cast<float>(static_cast<std::int64_t>(random_ >> 16 & 0xffff) - 0x8000) / 0x4000;
}

std::vector<float> Input::floats(std::int64_t a, std::int64_t b, std::int64_t c) {
  std::int64_t count = 1;
  for (const std::int64_t n : {a, b, c}) {
    if (n < 1 || n > INT32_MAX) return {};
    if (n > kMaxFloats / count) throw Skip();
    count *= n;
  }
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& x : values) x = number();
  return values;
}

}  // namespace fuzz
