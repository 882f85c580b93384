// Memory for the values of a program, which is used again.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

namespace tidegate {

// Allocates slots; a released one serves the next value of the same size.
class Slots {
 public:
  std::size_t acquire(std::size_t floats) {
    auto& free = free_[floats];
    if (free.empty()) {
      free.push_back(total_);
      total_ += floats;
    }
    const std::size_t at = free.back();
    free.pop_back();
    return at;
  }
  void release(std::size_t floats, std::size_t at) { free_[floats].push_back(at); }
  std::size_t total() const { return total_; }

 private:
  std::map<std::size_t, std::vector<std::size_t>> free_;
  std::size_t total_ = 0;
};

}  // namespace tidegate
