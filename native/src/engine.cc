// Building an engine, and allocating its memory.
#include "engine.h"

#include <algorithm>

namespace tidegate {

Workspace::Workspace(const Layout& layout, const std::vector<Node>& nodes) : memory(layout.total) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Layer& layer = *nodes[i].layer;
    state.emplace_back();
    spare.emplace_back();
    for (std::size_t s = 0; s < layer.states.size(); ++s) {
      const std::size_t floats = kTileRows * layer.padded_size(static_cast<std::size_t>(layer.states[s].size));
      state[i].push_back(memory.data() + layout.states[i][s]);
      spare[i].push_back(memory.data() + layout.states[i][s] + floats);
    }
  }
}

Engine::Engine(const Kernels& kernels, std::int64_t bytes, bool fused)
    : kernels(kernels), state_bytes(static_cast<std::size_t>(bytes)), use_fused(fused) {
  if (bytes < 8 || bytes > TIDEGATE_MAX_STATE_BYTES || bytes % 8 != 0)
    throw ValueError("state_bytes must be a multiple of 8 from 8 to " + std::to_string(TIDEGATE_MAX_STATE_BYTES) +
                     ", found " + std::to_string(bytes));
}

Engine::~Engine() {
  delete ready_.load();
  while (free_) {
    Workspace* next = free_->next;
    delete free_;
    free_ = next;
  }
}

void Engine::require_building() const {
  if (finished) throw ValueError("the engine is finished and takes no more layers");
}

void Engine::require_finished() const {
  if (!finished) throw ValueError("the engine is not finished: call finish() before running it");
}

void Engine::add(const tidegate_node& given) {
  require_building();
  const auto i = static_cast<std::int32_t>(nodes.size());
  const std::string place = "layer " + std::to_string(i) + ": ";
  if (given.add < -1 || given.add >= i)
    throw ValueError(place + "add must be -1 or the index of an earlier layer, found " + std::to_string(given.add));
  if (given.source_count < 0 || given.source_count > TIDEGATE_MAX_SOURCES)
    throw ValueError(place + "the number of sources must be from 0 to " + std::to_string(TIDEGATE_MAX_SOURCES) +
                     ", found " + std::to_string(given.source_count));
  for (std::int32_t k = 0; k < given.source_count; ++k)
    if (given.sources[k] < -1 || given.sources[k] >= i)
      throw ValueError(place + "a source must be -1, the engine's input, or the index of an earlier layer, found " +
                       std::to_string(given.sources[k]));
  if (given.first_column < 0 || given.first_column > TIDEGATE_MAX_SIZE)
    throw ValueError(place + "first_column must be from 0 to " + std::to_string(TIDEGATE_MAX_SIZE) + ", found " +
                     std::to_string(given.first_column));
  Node node;
  node.sources.assign(given.sources, given.sources + given.source_count);
  if (node.sources.empty()) node.sources = {i - 1};  // of the first layer: kEngineInput
  node.first_column = static_cast<std::size_t>(given.first_column), node.add = given.add;
  node.layer = make_layer(kernels, given.program, use_fused);
  node.row = node.layer->padded_size(node.layer->size);
  nodes.push_back(std::move(node));
}

// Every state array must be inside the block, after the step count, aligned to 4 bytes, and must not overlap another.
void Engine::check_states() const {
  std::vector<StateArray> arrays;
  for (const Node& node : nodes)
    arrays.insert(arrays.end(), node.layer->states.begin(), node.layer->states.end());
  std::sort(arrays.begin(), arrays.end(), [](StateArray a, StateArray b) { return a.offset < b.offset; });
  std::int64_t end = 8;
  for (const StateArray& array : arrays) {
    const std::string what =
        "a state of " + std::to_string(array.size) + " floats at byte " + std::to_string(array.offset);
    if (array.offset % 4 != 0) throw ValueError(what + " does not start at a multiple of 4");
    if (array.offset < end) throw ValueError(what + " overlaps the state before byte " + std::to_string(end));
    end = array.offset + 4 * array.size;
    if (end > static_cast<std::int64_t>(state_bytes))
      throw ValueError(what + " does not fit in " + std::to_string(state_bytes) + " bytes");
  }
}

void Engine::check_split(std::int64_t own_bytes) const {
  if (own_bytes < 8 || own_bytes % 8 || own_bytes > static_cast<std::int64_t>(state_bytes))
    throw ValueError("own_bytes must be a multiple of 8 from 8 to " + std::to_string(state_bytes) + ", found " +
                     std::to_string(own_bytes));
  if (look_ahead) throw ValueError("layers that look ahead cannot continue the states of other rows");
  for (const Node& node : nodes)
    for (const StateArray& array : node.layer->states)
      if (array.held ? array.offset < own_bytes : array.offset + 4 * array.size > own_bytes)
        throw ValueError("the state at byte " + std::to_string(array.offset) + " is one that steps " +
                         (array.held ? "only read" : "change") + "; own_bytes is " + std::to_string(own_bytes));
}

void Engine::finish() {
  require_building();
  if (nodes.empty()) throw ValueError("an engine needs at least one layer");
  find_input();
  check_sources();
  check_readers();
  check_states();
  find_delays();
  find_id_columns();
  outputs = nodes.back().layer->size;
  fold_embeds();
  const auto reserve = [this](std::size_t floats) {
    const std::size_t at = layout_.total;
    layout_.total += (floats + 15) / 16 * 16;
    return at;
  };
  layout_ = {};
  layout_.input = reserve(kTileRows * nodes[0].layer->padded_size(inputs));
  std::size_t scratch = 0, joined = 0, zeros = 0;
  for (Node& node : nodes) {
    const Layer& layer = *node.layer;
    node.output = reserve(kTileRows * node.row);
    node.reads_input = node.sources.size() == 1 && node.sources[0] == kEngineInput;
    if (node.sources.size() == 1 && !node.reads_input) {
      const Node& read = nodes[static_cast<std::size_t>(node.sources[0])];
      node.source = read.output, node.source_row = read.row;
    }
    layout_.states.emplace_back();
    for (const StateArray& array : layer.states) {
      const std::size_t size = static_cast<std::size_t>(array.size), row = layer.padded_size(size);
      if (!array.in_place)
        state_copies.push_back({layout_.states.size() - 1, layout_.states.back().size(),
                                static_cast<std::size_t>(array.offset), size * sizeof(float), array.held, row});
      layout_.states.back().push_back(array.in_place ? 0 : reserve(2 * kTileRows * row));
    }
    scratch = std::max(scratch, layer.scratch());
    if (node.sources.size() > 1) joined = std::max(joined, layer.padded_size(layer.inputs));
    if (layer.ahead) zeros = std::max(zeros, layer.ids().empty() ? layer.inputs : layer.ids().size());
  }
  layout_.joined = reserve(kTileRows * joined);
  layout_.scratch = reserve(scratch);
  layout_.zeros = reserve(zeros);
  free_ = new Workspace(layout_, nodes);
  finished = true;
}

std::size_t Engine::work() const {
  std::size_t total = 0;
  for (const Node& node : nodes) total += node.layer->work();
  return total;
}

Workspace* Engine::acquire() const {
  if (Workspace* const workspace = ready_.exchange(nullptr)) return workspace;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_) {
      Workspace* workspace = free_;
      free_ = workspace->next;
      return workspace;
    }
  }
  return new Workspace(layout_, nodes);
}

void Engine::release(Workspace* workspace) const {
  Workspace* none = nullptr;
  if (ready_.compare_exchange_strong(none, workspace)) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  workspace->next = free_;
  free_ = workspace;
}

}  // namespace tidegate
