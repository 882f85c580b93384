// An engine: a finished graph of layers, and the workspaces it runs in.
#pragma once

#include <atomic>
#include <mutex>

#include "layer.h"

namespace tidegate {

// The offsets of the parts of a workspace, in floats.
struct Layout {
  std::size_t input = 0;
  std::size_t joined = 0;                        // several sources of a layer, side by side
  std::vector<std::vector<std::size_t>> states;  // by layer and array; the spare buffer follows the array
  std::size_t scratch = 0;
  std::size_t zeros = 0;  // an input of zeros, for any layer that looks ahead
  std::size_t total = 0;
};

// One row of a run. Its item i is entry first + i * stride, translated by RunArgs::order if there is one.
struct Sequence {
  std::size_t first, stride, length;
  std::size_t block;   // index of its state block
  std::size_t output;  // index of its output, where only the last step's output is wanted
  std::size_t late = 0;  // how many steps behind the row's end its first item is
};

// Where in a graph a layer stands, and when it runs: see run_passes in look_ahead.cc.
struct Node {
  std::unique_ptr<Layer> layer;
  std::vector<std::int32_t> sources;  // earlier nodes, or kEngineInput; joined in order
  std::size_t first_column = 0;       // of the engine's ids, for a layer that takes ids
  std::int32_t add = -1;              // an earlier node whose output is added to this one's; -1: none
  std::size_t begin = 0, end = 0;     // indices in Engine::delays_ of the delays of its input and its output
  std::size_t row = 0;                // floats from row to row of its output
  std::size_t output = 0;             // where in a workspace its output is, in floats
  bool reads_input = false;           // whether it reads the engine's input and nothing else
  std::size_t source = 0, source_row = 0;  // of the node that alone it reads; source_row 0: anything else
  bool folded = false;                // merged into the node that reads it

  std::string name(std::size_t i) const { return "layer " + std::to_string(i) + " (" + layer->kind + ")"; }
};
constexpr std::int32_t kEngineInput = -1;

// An array of a node's state that is copied from the block before a run.
struct StateCopy {
  std::size_t node, array, offset, bytes;  // offset: in the block, in bytes
  bool held;                               // whether steps only read it
  std::size_t row;                         // floats from row to row in a workspace
};

// A column of ids that some layer reads, and the ids that it may have.
struct IdColumn {
  std::size_t column;
  std::int32_t least, most;
};

// Steps at which the delays [from, to] of an engine are those that have begun and have not ended, as indices.
struct Pass {
  std::size_t from, to;

  bool runs(const Node& node) const { return node.begin <= to && node.end >= from; }
  bool absent(const Node& node) const { return node.begin < from; }  // its input is behind the end of the row: zeros
};

// The arrays that a run reads and writes.
struct RunArgs {
  const void* x;
  const std::int64_t* order;  // maps an item to its entry; null: they are the same
  const std::uint8_t* state_in;
  std::uint8_t* state_out;
  float* out;
  bool per_step;
  bool ends;  // whether each row ends after its steps, so that the answers about its last ones follow
  // Of rows that continue others, else null: the block in state_in that each begins from; the block in `held` that has
  // what steps only read, from byte own_bytes of a whole block on. Blocks in state_in and state_out then have own_bytes.
  const std::int64_t* parents = nullptr;
  const std::int64_t* owners = nullptr;
  const std::uint8_t* held = nullptr;
  std::size_t own_bytes = 0;

  std::size_t entry(const Sequence& sequence, std::size_t step) const {
    const std::size_t i = sequence.first + step * sequence.stride;
    return order ? static_cast<std::size_t>(order[i]) : i;
  }
};

// The memory for one tile in progress, and for the order of a call's rows. Workspaces are kept in a linked list, so
// that borrowing and returning one allocates nothing.
struct Workspace {
  Workspace(const Layout& layout, const std::vector<Node>& nodes);

  AlignedFloats memory;
  std::vector<std::vector<float*>> state, spare;  // by layer and array
  std::uint64_t past_steps[kTileRows];
  std::uint8_t* block[kTileRows];
  const std::uint8_t* held[kTileRows];
  std::size_t alive[kTileRows + 1];  // Chunk::rows
  std::vector<Sequence> sequences, part;  // the rows of a call, and the parts of them in one pass
  std::vector<std::int64_t> order;
  std::vector<std::uint64_t> past;  // the steps of each row before a call
  Workspace* next = nullptr;
};

class Engine {
 public:
  Engine(const Kernels& kernels, std::int64_t state_bytes, bool fused);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void add(const tidegate_node& node);
  void finish();

  // Throw ValueError unless the engine is finished (require_finished) or still takes layers (require_building).
  void require_finished() const;
  void require_building() const;

  // Run rows, longest first, in the caller's workspace. Starts other threads only where the work is worth it. Nothing
  // can fail except memory allocation, which happens before anything is written.
  void run(const RunArgs& args, const Sequence* sequences, std::size_t count, int threads, Workspace& workspace) const;

  // Throw ValueError unless blocks can be split at a byte, behind which stands only what steps read.
  void check_split(std::int64_t own_bytes) const;

  // Throw ValueError unless the ids of an entry of x are those of rows, where a layer reads them.
  void check_ids(const void* x, std::size_t entry) const;

  const Kernels& kernels;
  const std::size_t state_bytes;
  const bool use_fused;
  std::vector<Node> nodes;
  std::vector<StateCopy> state_copies;
  bool finished = false;
  bool ids = false;        // whether the input is int32 ids
  std::size_t inputs = 0;  // values in one entry of x: numbers, or columns of ids
  std::size_t outputs = 0;
  std::size_t look_ahead = 0;  // how many steps an output is behind the input

 private:
  friend class WorkspaceLease;
  std::size_t size_of(std::int32_t source) const;
  std::size_t delay_of(std::int32_t source) const;
  void find_input();
  void check_sources() const;
  void check_readers() const;
  void find_delays();
  void find_id_columns();
  void check_states() const;
  void fold_embeds();
  Workspace* acquire() const;
  void release(Workspace* workspace) const;
  void run_passes(RunArgs args, const Sequence* sequences, std::size_t count, int threads, Workspace& workspace) const;
  void add_part(const Sequence& row, std::uint64_t past, bool ends, std::size_t from, std::size_t to,
                std::vector<Sequence>& part) const;
  void run_pass(const RunArgs& args, const Sequence* sequences, std::size_t count, int threads, const Pass& pass,
                Workspace& workspace) const;
  void run_tile(const RunArgs& args, const Sequence* sequences, std::size_t count, const Pass& pass,
                Workspace& workspace) const;
  MatrixView input_of(const Node& node, const Pass& pass, std::size_t items, MatrixView x, float* memory) const;
  std::size_t work() const;

  Layout layout_;
  std::vector<std::size_t> delays_;  // of inputs and outputs, each once, in ascending order
  std::vector<IdColumn> id_columns_;
  mutable std::mutex mutex_;
  mutable Workspace* free_ = nullptr;
  mutable std::atomic<Workspace*> ready_{nullptr};  // one free workspace that can be acquired without the lock
};

// Borrows a workspace for the lifetime of a scope.
class WorkspaceLease {
 public:
  explicit WorkspaceLease(const Engine& engine) : engine_(engine), workspace_(engine.acquire()) {}
  ~WorkspaceLease() { engine_.release(workspace_); }
  WorkspaceLease(const WorkspaceLease&) = delete;
  WorkspaceLease& operator=(const WorkspaceLease&) = delete;
  Workspace& operator*() const { return *workspace_; }

 private:
  const Engine& engine_;
  Workspace* workspace_;
};

// The targets of this build, and those that this CPU can run, in one precision: best first, null at the end.
const Kernels* const* compiled_targets(Precision precision = kFloat32);
const Kernels* const* available_targets(Precision precision = kFloat32);
// Find a target by name. Throws ValueError with the names that can run here; `source` says where the name comes from.
const Kernels& find_target(const char* name, const char* source, Precision precision = kFloat32);
const Kernels& default_target(Precision precision = kFloat32);

}  // namespace tidegate
