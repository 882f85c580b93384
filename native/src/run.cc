// The loop: tiles of rows over chunks of steps through the layers, and the threads that share the tiles.
#include <algorithm>
#include <cstring>
#include <exception>
#include <thread>

#include "engine.h"

namespace tidegate {
namespace {

// Below so many multiplications a thread, another one costs more than it brings.
constexpr std::size_t kWorkPerThread = kEagerThreads ? 1 : std::size_t{4} << 20;

// A tile being run: its rows, longest first, and how far they are.
struct Progress {
  const Job& job;
  const Row* rows;
  std::size_t count;  // rows still alive
  std::size_t step;   // steps done
};

// The next chunk: as many steps as fit a workspace.
Chunk next_chunk(const Progress& progress, Workspace& workspace) {
  const std::size_t left = progress.rows[0].length - progress.step;
  Chunk chunk = {progress.step, std::min(kTileRows / progress.count, left), 0, workspace.alive};
  std::size_t alive = progress.count;
  for (std::size_t t = 0; t <= chunk.steps; ++t) {
    while (alive > 0 && progress.rows[alive - 1].length <= progress.step + t) --alive;
    workspace.alive[t] = alive;
    if (t < chunk.steps) chunk.items += alive;
  }
  return chunk;
}

// Whether the chunk's items are entries one after the other: then nothing is copied to put rows of whole vectors together.
bool together(const Progress& progress, const Chunk& chunk) {
  if (chunk.items < 2) return false;
  std::size_t next = progress.job.entry(progress.rows[0], chunk.first);
  for (std::size_t t = 0; t < chunk.steps; ++t)
    for (std::size_t r = 0; r < chunk.rows[t]; ++r)
      if (progress.job.entry(progress.rows[r], chunk.first + t) != next++) return false;
  return true;
}

// Copies the chunk's entries of x, `bytes` long each, to padded rows.
void gather(const Progress& progress, const Chunk& chunk, std::size_t bytes, float* to, std::size_t ld) {
  const auto* x = static_cast<const std::uint8_t*>(progress.job.x);
  for (std::size_t t = 0; t < chunk.steps; ++t)
    for (std::size_t r = 0; r < chunk.rows[t]; ++r, to += ld)
      std::memcpy(to, x + progress.job.entry(progress.rows[r], chunk.first + t) * bytes, bytes);
}

// Copies the chunk's outputs to the caller: all of them, or those of rows at their last step.
void scatter(const Progress& progress, const Chunk& chunk, std::size_t outputs, const float* from, std::size_t ld) {
  const Job& job = progress.job;
  for (std::size_t t = 0; t < chunk.steps; ++t) {
    for (std::size_t r = job.every ? 0 : chunk.rows[t + 1]; r < chunk.rows[t]; ++r) {
      const Row& row = progress.rows[r];
      const std::size_t to = job.every ? job.entry(row, chunk.first + t) : row.output;
      std::memcpy(job.out + to * outputs, from + r * ld, outputs * sizeof(float));
    }
    from += chunk.rows[t] * ld;
  }
}

// Reads the rows' blocks into the workspace and copies them to where they will be written.
void open_states(const Progress& progress, const Engine& engine, Workspace& workspace) {
  for (std::size_t r = 0; r < progress.count; ++r) {
    const std::size_t at = progress.rows[r].block * engine.state_bytes;
    const std::uint8_t* from = progress.job.state_in + at;
    workspace.block[r] = progress.job.state_out + at;
    if (from != workspace.block[r]) std::memcpy(workspace.block[r], from, engine.state_bytes);
    std::memcpy(&workspace.seen[r], from, 8);
    for (std::size_t i = 0; i < engine.layers.size(); ++i) {
      const Layer& layer = *engine.layers[i];
      for (std::size_t s = 0; s < layer.states.size(); ++s) {
        const auto size = static_cast<std::size_t>(layer.states[s].size);
        std::memcpy(workspace.state[i][s] + r * layer.padded(size), from + layer.states[s].offset, size * sizeof(float));
      }
    }
  }
}

void count_steps(const Progress& progress, Workspace& workspace) {
  for (std::size_t r = 0; r < progress.count; ++r) {
    const std::uint64_t steps = workspace.seen[r] + progress.rows[r].length;
    std::memcpy(workspace.block[r], &steps, 8);
  }
}

}  // namespace

void Engine::run_tile(const Job& job, const Row* rows, std::size_t count, Workspace& workspace) const {
  Progress progress = {job, rows, count, 0};
  open_states(progress, *this, workspace);
  count_steps(progress, workspace);
  float* const memory = workspace.memory.data();
  const std::size_t input_row = layers.front()->padded(inputs);
  while (progress.step < rows[0].length) {
    while (progress.rows[progress.count - 1].length <= progress.step) --progress.count;
    const Chunk chunk = next_chunk(progress, workspace);
    const std::size_t entry = job.entry(rows[0], chunk.first);
    const bool as_they_lie = together(progress, chunk);
    Rows x = {memory + layout_.input, input_row};
    if (as_they_lie && input_row == inputs)
      x.data = static_cast<const float*>(job.x) + entry * inputs;
    else
      gather(progress, chunk, inputs * sizeof(float), memory + layout_.input, input_row);
    const bool in_place = as_they_lie && job.every && layers.back()->padded(outputs) == outputs;
    for (std::size_t i = first_; i < layers.size(); ++i) {
      const Layer& layer = *layers[i];
      const std::size_t ld = layer.padded(layer.size);
      const bool last = i + 1 == layers.size();
      float* const out = last && in_place ? job.out + entry * outputs : memory + layout_.outputs[i];
      const Tile tile = {workspace.seen, workspace.block, workspace.state[i].data(), workspace.spare[i].data(),
                         memory + layout_.scratch};
      layer.run(chunk, tile, x, out);
      x = {out, ld};
      if (layer.add >= 0)
        kernels.add(chunk.items, ld, kFormFull, x, {memory + layout_.outputs[layer.add], ld}, out, ld);
    }
    if (!in_place) scatter(progress, chunk, outputs, x.data, x.ld);
    progress.step += chunk.steps;
  }
}

void Engine::run(const Job& job, const Row* rows, std::size_t count, int threads, Workspace& workspace) const {
  if (count == 1) return run_tile(job, rows, 1, workspace);
  std::size_t steps = 0;
  for (std::size_t r = 0; r < count; ++r) steps += rows[r].length;
  const std::size_t worth = std::max<std::size_t>(1, steps * work() / kWorkPerThread);
  std::size_t crew = std::min<std::size_t>(static_cast<std::size_t>(threads), worth);
  const std::size_t share = (count + crew - 1) / crew;
  const std::size_t tile = std::min(kTileRows, (share + 7) / 8 * 8);
  const std::size_t tiles = (count + tile - 1) / tile;
  crew = std::min(crew, tiles);

  // Thread i takes tiles i, i + crew, ...: rows are sorted by length, so the shares are about even.
  const auto take_turns = [&](std::size_t i, Workspace& own) noexcept {
    for (std::size_t n = i; n < tiles; n += crew) run_tile(job, rows + n * tile, std::min(tile, count - n * tile), own);
  };
  if (crew == 1) return take_turns(0, workspace);
  std::vector<std::unique_ptr<Loan>> loans;
  for (std::size_t i = 1; i < crew; ++i) loans.push_back(std::make_unique<Loan>(*this));
  const auto work_off = [&](std::size_t i) noexcept { take_turns(i, i ? **loans[i - 1] : workspace); };
  std::vector<std::thread> helpers;
  helpers.reserve(crew);
  std::size_t started = 1;
  try {
    for (; started < crew; ++started) helpers.emplace_back(work_off, started);
  } catch (const std::exception&) {
    // The system gives no more threads: this one does their share.
  }
  work_off(0);
  for (std::size_t i = started; i < crew; ++i) work_off(i);
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace tidegate
