// Building the chain of layers, checking it, and allocating its memory.
#include "engine.h"

#include <algorithm>

namespace tidegate {

Workspace::Workspace(const Layout& layout, const std::vector<std::unique_ptr<Layer>>& layers) : memory(layout.total) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    state.emplace_back();
    spare.emplace_back();
    for (std::size_t s = 0; s < layers[i]->states.size(); ++s) {
      const std::size_t floats =
          kTileRows * layers[i]->padded_size(static_cast<std::size_t>(layers[i]->states[s].size));
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

void Engine::add(std::unique_ptr<Layer> layer, int add) {
  require_building();
  if (add < -1 || add >= static_cast<int>(layers.size()))
    throw ValueError("layer " + std::to_string(layers.size()) +
                     ": add must be -1 or the index of an earlier layer, found " + std::to_string(add));
  layer->add = add;
  layers.push_back(std::move(layer));
}

void Engine::check_chain() const {
  if (layers.empty()) throw ValueError("an engine needs at least one layer");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = *layers[i];
    const std::string place = "layer " + std::to_string(i) + " (" + layer.kind + "): ";
    if (i > 0 && layer.ids()) throw ValueError(place + "embed must be the first layer");
    if (i > 0 && layer.inputs != layers[i - 1]->size)
      throw ValueError(place + "expects " + std::to_string(layer.inputs) + " inputs, the layer before has " +
                       std::to_string(layers[i - 1]->size) + " outputs");
    if (layer.add >= 0 && layers[layer.add]->size != layer.size)
      throw ValueError(place + "cannot add layer " + std::to_string(layer.add) + ", which has " +
                       std::to_string(layers[layer.add]->size) + " outputs, to its own " + std::to_string(layer.size));
  }
}

// Every state array must be inside the block, after the step count, aligned to 4 bytes, and must not overlap another.
void Engine::check_states() const {
  std::vector<StateArray> arrays;
  for (const auto& layer : layers) arrays.insert(arrays.end(), layer->states.begin(), layer->states.end());
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

// Add up how far layers look ahead.
void Engine::find_stages() {
  stage_ends_.clear();
  stage_delays_ = {0};
  std::vector<std::size_t> delays;  // of each layer's output
  for (std::size_t i = 0; i < layers.size(); ++i) {
    Layer& layer = *layers[i];
    const std::string place = "layer " + std::to_string(i) + " (" + layer.kind + "): ";
    layer.delay = stage_delays_.back();
    delays.push_back(layer.delay + layer.ahead());
    if (delays.back() > TIDEGATE_MAX_LOOK_AHEAD)
      throw ValueError(place + "the layers up to here look " + std::to_string(delays.back()) +
                       " steps ahead, at most " + std::to_string(TIDEGATE_MAX_LOOK_AHEAD) + " are allowed");
    if (layer.add >= 0 && delays[static_cast<std::size_t>(layer.add)] != delays.back())
      throw ValueError(place + "cannot add layer " + std::to_string(layer.add) +
                       ", because a layer between them looks ahead");
    if (layer.ahead()) {
      stage_ends_.push_back(i + 1);
      stage_delays_.push_back(delays.back());
    }
  }
  stage_ends_.push_back(layers.size());
  look_ahead = stage_delays_.back();
}

// The embed layer can be merged only if it gives one row of its table, and no other layer adds its output.
void Engine::fold_embed() {
  if (!ids || layers.size() < 2 || !layers[0]->looks_up()) return;
  for (const auto& layer : layers)
    if (layer->add == 0) return;
  if (layers[1]->fold(*layers[0])) first_ = 1;
}

void Engine::finish() {
  require_building();
  check_chain();
  check_states();
  find_stages();
  const auto reserve = [this](std::size_t floats) {
    const std::size_t at = layout_.total;
    layout_.total += (floats + 15) / 16 * 16;
    return at;
  };
  layout_ = {};
  const Layer& first = *layers.front();
  ids = first.ids() > 0;
  inputs = ids ? first.ids() : first.inputs;
  outputs = layers.back()->size;
  fold_embed();
  layout_.input = reserve(kTileRows * first.padded_size(inputs));
  std::size_t scratch = 0;
  for (const auto& layer : layers) {
    layout_.outputs.push_back(reserve(kTileRows * layer->padded_size(layer->size)));
    layout_.states.emplace_back();
    for (const StateArray& array : layer->states)
      layout_.states.back().push_back(
          array.in_place ? 0 : reserve(2 * kTileRows * layer->padded_size(static_cast<std::size_t>(array.size))));
    scratch = std::max(scratch, layer->scratch());
  }
  layout_.scratch = reserve(scratch);
  std::size_t widest = 0;
  for (const auto& layer : layers)
    if (layer->ahead()) widest = std::max(widest, layer->inputs);
  layout_.zeros = reserve(widest);
  free_ = new Workspace(layout_, layers);
  finished = true;
}

bool Engine::has_id(std::int32_t id) const {
  return !ids || (id >= 0 && static_cast<std::size_t>(id) < layers.front()->inputs);
}

std::size_t Engine::work() const {
  std::size_t total = 0;
  for (const auto& layer : layers) total += layer->work();
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
  return new Workspace(layout_, layers);
}

void Engine::release(Workspace* workspace) const {
  Workspace* none = nullptr;
  if (ready_.compare_exchange_strong(none, workspace)) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  workspace->next = free_;
  free_ = workspace;
}

}  // namespace tidegate
