// An engine built twice from the same fuzz bytes: with fused kernels, and programs that share memory and merge
// operations, and without. Both must always agree.
#pragma once

#include <functional>
#include <vector>

#include "input.h"
#include "tidegate.h"

namespace fuzz {

// End the process with a report that an invariant of tidegate.h is violated.
void require(bool holds, const char* what);

// Call a function of the C API with a message buffer, check what the API promises about status and message, and return
// the status.
tidegate_status call_checked(Input& in, const std::function<tidegate_status(char*, std::size_t)>& call);

class EnginePair {
 public:
  explicit EnginePair(Input& in);
  ~EnginePair();
  EnginePair(const EnginePair&) = delete;
  EnginePair& operator=(const EnginePair&) = delete;

  bool open() const { return fused != nullptr; }
  // Add a layer that fits, except for hostile fields.
  void add();
  bool finish();

  tidegate_engine *fused = nullptr, *plain = nullptr;
  std::int64_t rows = 0;  // of the embed layer's table

 private:
  // Make the same call on both engines, and check that a refused call leaves an engine as it was.
  bool call_both(const std::function<tidegate_status(tidegate_engine*, char*, std::size_t)>& call);
  void embed();
  void dense();
  void conv();
  void norm();
  void scale();
  void recurrent();
  void program(std::int64_t ids);
  void pool();
  void softmax();
  std::int32_t reserve_state(std::int64_t floats);  // byte offset of the next state array
  int pick_residual(std::int64_t width);            // index of a layer with this width for `add`, mostly -1

  Input& in_;
  std::int64_t width_, next_ = 8;
  std::vector<std::int64_t> widths_;
};

}  // namespace fuzz
