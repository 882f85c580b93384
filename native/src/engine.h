// An engine: a finished chain of layers, and the workspaces it runs in.
#pragma once

#include <atomic>
#include <mutex>

#include "layer.h"

namespace tidegate {

// Where each part of a workspace lies, in floats from its start.
struct Layout {
  std::size_t input = 0;
  std::vector<std::size_t> outputs;                // one a layer
  std::vector<std::vector<std::size_t>> states;    // layer, array; the spare follows the array
  std::size_t scratch = 0;
  std::size_t total = 0;
};

// One row of a run: item i of it is entry first + i * stride (through Job::order, if there is one).
struct Row {
  std::size_t first, stride, length;
  std::size_t block;   // index of its state block
  std::size_t output;  // index of its output where only the last step's is asked for
};

// What a run reads and writes.
struct Job {
  const void* x;
  const std::int64_t* order;  // null: entries are as the rows count them
  const std::uint8_t* state_in;
  std::uint8_t* state_out;
  float* out;
  bool every;

  std::size_t entry(const Row& row, std::size_t step) const {
    const std::size_t i = row.first + step * row.stride;
    return order ? static_cast<std::size_t>(order[i]) : i;
  }
};

// The memory of one tile in progress, and of the order in which a call takes its rows. Linked, and kept, so that taking and
// returning one allocates nothing.
struct Workspace {
  Workspace(const Layout& layout, const std::vector<std::unique_ptr<Layer>>& layers);

  Floats memory;
  std::vector<std::vector<float*>> state, spare;  // layer, array
  std::uint64_t seen[kTileRows];
  std::uint8_t* block[kTileRows];
  std::size_t alive[kTileRows + 1];  // Chunk::rows
  std::vector<Row> rows;
  std::vector<std::int64_t> order;
  Workspace* next = nullptr;
};

class Engine {
 public:
  Engine(const Kernels& kernels, std::int64_t state_bytes, bool fused);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void add(std::unique_ptr<Layer> layer, int add);
  void finish();

  // Throws unless the engine is finished (or, `building`, is not).
  void require_finished() const;
  void require_building() const;

  // Runs rows, longest first, in the caller's workspace; no thread but the caller's where the work is small. Nothing it
  // does can fail but for memory, which is taken before anything is written.
  void run(const Job& job, const Row* rows, std::size_t count, int threads, Workspace& workspace) const;

  // Throws ValueError unless id fits the table of a first layer that is embed; true for float input.
  bool knows(std::int32_t id) const;

  const Kernels& kernels;
  const std::size_t state_bytes;
  const bool use_fused;
  std::vector<std::unique_ptr<Layer>> layers;
  bool finished = false;
  bool ids = false;        // the input is int32 ids
  std::size_t inputs = 0;  // values in an entry of x
  std::size_t outputs = 0;

 private:
  friend class Loan;
  void check_chain() const;
  void check_states() const;
  void fold_embed();
  Workspace* take() const;
  void give(Workspace* workspace) const;
  void run_tile(const Job& job, const Row* rows, std::size_t count, Workspace& workspace) const;
  std::size_t work() const;

  Layout layout_;
  std::size_t first_ = 0;  // the layer that x goes to: 1 where the embed is folded into it
  mutable std::mutex mutex_;
  mutable Workspace* free_ = nullptr;
  mutable std::atomic<Workspace*> ready_{nullptr};  // one of the free ones, for whoever comes first: without the lock
};

// A workspace for the life of a scope.
class Loan {
 public:
  explicit Loan(const Engine& engine) : engine_(engine), workspace_(engine.take()) {}
  ~Loan() { engine_.give(workspace_); }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  Workspace& operator*() const { return *workspace_; }

 private:
  const Engine& engine_;
  Workspace* workspace_;
};

// The targets of this build and of this CPU in one precision, best first, null at the end.
const Kernels* const* compiled_targets(Precision precision = kFloat32);
const Kernels* const* available_targets(Precision precision = kFloat32);
// Throws ValueError, naming those that can run here. `source` says where the name comes from.
const Kernels& find_target(const char* name, const char* source, Precision precision = kFloat32);
const Kernels& default_target(Precision precision = kFloat32);

}  // namespace tidegate
