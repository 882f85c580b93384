// The main loop: tiles of rows go through the layers in chunks of steps, and threads share the tiles.
#include <algorithm>
#include <cstring>
#include <exception>
#include <thread>

#include "engine.h"

namespace tidegate {
namespace {

// The number of multiplications below which another thread costs more than it saves.
constexpr std::size_t kWorkPerThread = kEagerThreads ? 1 : std::size_t{4} << 20;

// A tile in progress: its rows, longest first, and how far they are.
struct Progress {
  const RunArgs& args;
  const Sequence* sequences;
  std::size_t count;  // rows still alive
  std::size_t step;   // steps done
};

// Return the next chunk: as many steps as fit in a workspace.
Chunk next_chunk(const Progress& progress, Workspace& workspace) {
  const std::size_t left = progress.sequences[0].length - progress.step;
  Chunk chunk = {progress.step, std::min(kTileRows / progress.count, left), 0, workspace.alive};
  std::size_t alive = progress.count;
  for (std::size_t t = 0; t <= chunk.steps; ++t) {
    while (alive > 0 && progress.sequences[alive - 1].length <= progress.step + t) --alive;
    workspace.alive[t] = alive;
    if (t < chunk.steps) chunk.items += alive;
  }
  return chunk;
}

// Whether the chunk's items are consecutive entries. If so, rows of whole vectors need not be copied.
bool is_contiguous(const Progress& progress, const Chunk& chunk) {
  if (chunk.items < 2) return false;
  std::size_t next = progress.args.entry(progress.sequences[0], chunk.first);
  for (std::size_t t = 0; t < chunk.steps; ++t)
    for (std::size_t r = 0; r < chunk.rows[t]; ++r)
      if (progress.args.entry(progress.sequences[r], chunk.first + t) != next++) return false;
  return true;
}

// Copy the chunk's entries of x, `bytes` each, to padded rows.
void gather(const Progress& progress, const Chunk& chunk, std::size_t bytes, float* to, std::size_t ld) {
  const auto* x = static_cast<const std::uint8_t*>(progress.args.x);
  for (std::size_t t = 0; t < chunk.steps; ++t)
    for (std::size_t r = 0; r < chunk.rows[t]; ++r, to += ld)
      std::memcpy(to, x + progress.args.entry(progress.sequences[r], chunk.first + t) * bytes, bytes);
}

// Copy the chunk's outputs to the caller: all of them, or only those of rows at their last step.
void scatter(const Progress& progress, const Chunk& chunk, std::size_t outputs, const float* from, std::size_t ld) {
  const RunArgs& args = progress.args;
  for (std::size_t t = 0; t < chunk.steps; ++t) {
    for (std::size_t r = args.per_step ? 0 : chunk.rows[t + 1]; r < chunk.rows[t]; ++r) {
      const Sequence& sequence = progress.sequences[r];
      const std::size_t to = args.per_step ? args.entry(sequence, chunk.first + t) : sequence.output;
      std::memcpy(args.out + to * outputs, from + r * ld, outputs * sizeof(float));
    }
    from += chunk.rows[t] * ld;
  }
}

// Read the rows' state blocks into the workspace, and copy them to where they will be written.
void load_states(const Progress& progress, const Engine& engine, const Pass& pass, Workspace& workspace) {
  for (std::size_t r = 0; r < progress.count; ++r) {
    const RunArgs& args = progress.args;
    const std::size_t block = progress.sequences[r].block, bytes = args.parents ? args.own_bytes : engine.state_bytes;
    const std::uint8_t* from = args.state_in + bytes * (args.parents ? static_cast<std::size_t>(args.parents[block]) : block);
    workspace.block[r] = args.state_out + bytes * block;
    workspace.held[r] = workspace.block[r];
    if (args.parents) workspace.held[r] = args.held + static_cast<std::size_t>(args.owners[block]) * (engine.state_bytes - bytes);
    if (from != workspace.block[r]) std::memcpy(workspace.block[r], from, bytes);
    std::memcpy(&workspace.past_steps[r], from, 8);
    workspace.past_steps[r] += progress.sequences[r].late;
    for (const StateCopy& copy : engine.state_copies)
      if (pass.runs(engine.nodes[copy.node]))
        std::memcpy(workspace.state[copy.node][copy.array] + r * copy.row,
                    copy.held ? workspace.held[r] + (copy.offset - args.own_bytes) : from + copy.offset, copy.bytes);
  }
}

void store_step_counts(const Progress& progress, Workspace& workspace) {
  for (std::size_t r = 0; r < progress.count; ++r) {
    const std::uint64_t steps = workspace.past_steps[r] + progress.sequences[r].length;
    std::memcpy(workspace.block[r], &steps, 8);
  }
}

}  // namespace

// Return what a node reads: rows of the engine's input x, of another layer's output, or of several side by side.
MatrixView Engine::input_of(const Node& node, const Pass& pass, std::size_t items, MatrixView x, float* memory) const {
  if (pass.absent(node)) return {memory + layout_.zeros, 0};
  const auto rows_of = [&](std::int32_t source) -> MatrixView {
    if (source == kEngineInput) return {x.data + node.first_column, x.ld};
    const Node& read = nodes[static_cast<std::size_t>(source)];
    return {memory + read.output, read.row};
  };
  if (node.sources.size() == 1) return rows_of(node.sources[0]);
  const std::size_t ld = node.layer->padded_size(node.layer->inputs);
  float* to = memory + layout_.joined;
  for (const std::int32_t source : node.sources) {
    const MatrixView rows = rows_of(source);
    const std::size_t width = size_of(source);
    for (std::size_t r = 0; r < items; ++r) std::memcpy(to + r * ld, rows.data + r * rows.ld, width * sizeof(float));
    to += width;
  }
  return {memory + layout_.joined, ld};
}

void Engine::run_tile(const RunArgs& args, const Sequence* sequences, std::size_t count, const Pass& pass,
                      Workspace& workspace) const {
  Progress progress = {args, sequences, count, 0};
  load_states(progress, *this, pass, workspace);
  const bool has_inputs = pass.from == 0, has_outputs = pass.to + 1 == delays_.size();
  if (has_inputs) store_step_counts(progress, workspace);
  float* const memory = workspace.memory.data();
  const std::size_t input_row = nodes[0].layer->padded_size(inputs), output_row = nodes.back().row;
  while (progress.step < sequences[0].length) {
    while (progress.sequences[progress.count - 1].length <= progress.step) --progress.count;
    const Chunk chunk = next_chunk(progress, workspace);
    const std::size_t entry = args.entry(sequences[0], chunk.first);
    const bool contiguous = is_contiguous(progress, chunk);
    MatrixView x = {memory + layout_.input, input_row};
    if (has_inputs && contiguous && input_row == inputs)
      x.data = static_cast<const float*>(args.x) + entry * inputs;
    else if (has_inputs)
      gather(progress, chunk, inputs * sizeof(float), memory + layout_.input, input_row);
    const bool in_place = contiguous && args.per_step && has_outputs && output_row == outputs;
    float* out = nullptr;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const Node& node = nodes[i];
      if (node.folded || !pass.runs(node)) continue;
      const Layer& layer = *node.layer;
      const bool last = i + 1 == nodes.size();
      out = last && in_place ? args.out + entry * outputs : memory + node.output;
      const Tile tile = {workspace.past_steps,     workspace.block,           workspace.held,
                         args.own_bytes,           workspace.state[i].data(), workspace.spare[i].data(),
                         memory + layout_.scratch};
      MatrixView rows = {memory + node.source, node.source_row};
      if (pass.absent(node) || !(node.source_row || node.reads_input))
        rows = input_of(node, pass, chunk.items, x, memory);
      else if (node.reads_input)
        rows = {x.data + node.first_column, x.ld};
      layer.run(chunk, tile, rows, out);
      if (node.add >= 0)
        kernels.add(chunk.items, node.row, kBroadcastNone, {out, node.row},
                    {memory + nodes[static_cast<std::size_t>(node.add)].output, node.row}, out, node.row);
    }
    if (has_outputs && !in_place) scatter(progress, chunk, outputs, out, output_row);
    progress.step += chunk.steps;
  }
}

void Engine::run(const RunArgs& args, const Sequence* sequences, std::size_t count, int threads,
                 Workspace& workspace) const {
  if (look_ahead) return run_passes(args, sequences, count, threads, workspace);
  run_pass(args, sequences, count, threads, {0, 0}, workspace);
}

void Engine::run_pass(const RunArgs& args, const Sequence* sequences, std::size_t count, int threads, const Pass& pass,
                      Workspace& workspace) const {
  if (count == 1) return run_tile(args, sequences, 1, pass, workspace);
  std::size_t steps = 0;
  for (std::size_t r = 0; r < count; ++r) steps += sequences[r].length;
  const std::size_t useful_workers = std::max<std::size_t>(1, steps * work() / kWorkPerThread);
  std::size_t workers = std::min<std::size_t>(static_cast<std::size_t>(threads), useful_workers);
  const std::size_t share = (count + workers - 1) / workers;
  const std::size_t tile = std::min(kTileRows, (share + 7) / 8 * 8);
  const std::size_t tiles = (count + tile - 1) / tile;
  workers = std::min(workers, tiles);

  // Thread i takes tiles i, i + workers, ...: rows are sorted by length, so each thread has about the same work.
  const auto run_tiles = [&](std::size_t i, Workspace& own_workspace) noexcept {
    for (std::size_t n = i; n < tiles; n += workers)
      run_tile(args, sequences + n * tile, std::min(tile, count - n * tile), pass, own_workspace);
  };
  if (workers == 1) return run_tiles(0, workspace);
  std::vector<std::unique_ptr<WorkspaceLease>> leases;
  for (std::size_t i = 1; i < workers; ++i) leases.push_back(std::make_unique<WorkspaceLease>(*this));
  const auto run_worker = [&](std::size_t i) noexcept { run_tiles(i, i ? **leases[i - 1] : workspace); };
  std::vector<std::thread> others;
  others.reserve(workers);
  std::size_t started = 1;
  try {
    for (; started < workers; ++started) others.emplace_back(run_worker, started);
  } catch (const std::exception&) {
    // The system gives no more threads: this one does the rest.
  }
  run_worker(0);
  for (std::size_t i = started; i < workers; ++i) run_worker(i);
  for (std::thread& thread : others) thread.join();
}

}  // namespace tidegate
