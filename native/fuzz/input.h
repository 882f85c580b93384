// Fuzz bytes, read as the arguments of a caller of the C API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fuzz {

// Thrown for an input that is valid but too large to try. It ends the run without a finding.
struct Skip {};

constexpr std::int64_t kMaxSize = 1 << 12, kMaxFloats = 1 << 18, kMaxBytes = 1 << 22;

class Input {
 public:
  // The first bytes choose up to three hostile fields: the index of the call to `maybe_hostile`, and its value.
  Input(const std::uint8_t* data, std::size_t size);

  std::uint8_t byte();  // 0 after the end of the input
  std::uint64_t word();
  std::int64_t below(std::int64_t n);  // from 0 to n - 1; n is at most 256
  bool once_in(std::int64_t n) { return below(n) == 0; }

  // Return `value`, or an arbitrary number if this field is hostile.
  std::int64_t maybe_hostile(std::int64_t value);
  std::int32_t maybe_hostile32(std::int64_t value) { return static_cast<std::int32_t>(maybe_hostile(value)); }
  // The same for a size. Throws Skip for one that is valid but large.
  std::int64_t size(std::int64_t value);

  // Return as many floats as the shape says, in memory of exactly that length; none if a size is invalid.
  std::vector<float> floats(std::int64_t a, std::int64_t b = 1, std::int64_t c = 1);

 private:
  struct Hostile {
    std::uint64_t field;
    std::uint8_t kind;
    std::int64_t value;
  };
  float number();

  const std::uint8_t *next_, *end_;
  std::vector<Hostile> hostile_;
  std::uint64_t field_ = 0, random_;
  bool special_floats_;  // whether floats include infinities, NaN and others
};

}  // namespace fuzz
