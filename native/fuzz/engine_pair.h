// An engine built twice from the same fuzz bytes: with fused kernels, and programs that share memory and merge
// operations, and without. Both must always agree.
#pragma once

#include <functional>
#include <vector>

#include "input.h"
#include "program.h"

namespace fuzz {

// End the process with a report that an invariant of tidegate.h is violated.
void require(bool holds, const char* what);

// Call a function of the C API with a message buffer, check what the API promises about status and message, and return
// the status.
tidegate_status call_checked(Input& in, const std::function<tidegate_status(char*, std::size_t)>& call);

// A layer of the graph.
struct Node {
  Program program;
  std::vector<std::int32_t> sources;  // none: the node before
  std::int32_t add;
  std::int64_t first_column;
  std::int64_t late;  // how many steps its output is late, unless a field is hostile
};

class EnginePair {
 public:
  explicit EnginePair(Input& in);
  ~EnginePair();
  EnginePair(const EnginePair&) = delete;
  EnginePair& operator=(const EnginePair&) = delete;

  bool open() const { return fused != nullptr; }
  // Add a layer that fits, except for hostile fields.
  void add();
  // Join what no layer reads, and finish both engines.
  bool finish();
  // Open an engine that has one layer of the graph alone.
  tidegate_engine* open_alone(const Node& node) const;

  tidegate_engine *fused = nullptr, *plain = nullptr;
  std::vector<Node> nodes;
  std::vector<std::int64_t> rows;  // by column of ids: how many may be taken
  std::vector<bool> skips;         // by column of ids: whether a negative one stands for none

 private:
  // Make the same call on both engines, and check that a refused call leaves an engine as it was.
  bool call_both(const std::function<tidegate_status(tidegate_engine*, char*, std::size_t)>& call);
  void add_node(Node node);
  void add_ids();
  void join(const std::vector<std::int32_t>& sources);
  std::int64_t width_of(std::int32_t source) const;
  std::int64_t delay_of(std::int32_t source) const;
  std::vector<std::int32_t> pick_sources();
  std::vector<std::int32_t> find_unread() const;
  std::int32_t reserve_state(std::int64_t floats);  // byte offset of the next state array
  std::int32_t pick_residual(std::int64_t width, std::int64_t late);  // a layer for `add`, mostly -1

  Input& in_;
  const char* target_;
  std::int32_t precision_;
  std::int64_t bytes_, width_, next_ = 8;
  bool takes_ids_;
};

}  // namespace fuzz
