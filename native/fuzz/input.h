// Fuzz bytes, read as what a caller of the C API may choose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fuzz {

// Thrown for an input that is valid and too large to try: it ends the run without a finding.
struct Skip {};

constexpr std::int64_t kMostSize = 1 << 12, kMostFloats = 1 << 18, kMostBytes = 1 << 22;

class Input {
 public:
  // The first bytes name up to three fields that turn hostile: which `given` in order, and what it becomes.
  Input(const std::uint8_t* data, std::size_t size);

  std::uint8_t byte();  // 0 once the input is used up
  std::uint64_t word();
  std::int64_t below(std::int64_t n);  // of 0 to n - 1; n at most 256
  bool once_in(std::int64_t n) { return below(n) == 0; }

  // `value`, or anything where this field is hostile.
  std::int64_t given(std::int64_t value);
  std::int32_t given32(std::int64_t value) { return static_cast<std::int32_t>(given(value)); }
  // The same for a size. Skips one that is allowed and large.
  std::int64_t size(std::int64_t value);

  // As many floats as the shape says, and no more room than that; none where a size is not allowed.
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
  bool wild_;  // floats of every kind
};

}  // namespace fuzz
