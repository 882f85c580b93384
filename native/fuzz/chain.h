// An engine, built twice from the same fuzz bytes: with fused kernels and without. What one says, the other must too.
#pragma once

#include <functional>
#include <vector>

#include "input.h"
#include "tidegate.h"

namespace fuzz {

// Ends the process with a report: an invariant of tidegate.h does not hold.
void require(bool holds, const char* what);

// A call of the C API with room for a message: its status, after the promises about both are checked.
tidegate_status called(Input& in, const std::function<tidegate_status(char*, std::size_t)>& call);

class Chain {
 public:
  explicit Chain(Input& in);
  ~Chain();
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  bool open() const { return fused != nullptr; }
  // Adds a layer that fits, but for what is hostile.
  void add();
  bool finish();

  tidegate_engine *fused = nullptr, *plain = nullptr;
  std::int64_t rows = 0;  // of an embed

 private:
  // The same call on both engines; one that is refused leaves an engine as it was.
  bool both(const std::function<tidegate_status(tidegate_engine*, char*, std::size_t)>& call);
  void embed();
  void dense();
  void conv();
  void norm();
  void scale();
  void recurrent();
  void pool();
  void softmax();
  std::int32_t room(std::int64_t floats);  // byte offset of the next state array
  int earlier(std::int64_t width);         // `add`: a layer of this width, mostly none

  Input& in_;
  std::int64_t width_, next_ = 8;
  std::vector<std::int64_t> widths_;
};

}  // namespace fuzz
