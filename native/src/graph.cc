// The rules of a graph of layers: what each reads, how late it runs, and which ids it allows.
#include <algorithm>
#include <limits>

#include "engine.h"

namespace tidegate {
namespace {

std::string steps_late(std::size_t steps) {
  return std::to_string(steps) + (steps == 1 ? " step late" : " steps late");
}

std::string source_name(std::int32_t source) {
  return source == kEngineInput ? "the engine's input" : "layer " + std::to_string(source);
}

}  // namespace

std::size_t Engine::size_of(std::int32_t source) const {
  return source == kEngineInput ? inputs : nodes[static_cast<std::size_t>(source)].layer->size;
}

std::size_t Engine::delay_of(std::int32_t source) const {
  if (source == kEngineInput) return 0;
  const Layer& layer = *nodes[static_cast<std::size_t>(source)].layer;
  return layer.delay + layer.ahead;
}

// The engine's input is as wide as the first layer that reads it says, or has the columns that layers take ids from.
void Engine::find_input() {
  const Node* first = nullptr;
  ids = false, inputs = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    const Layer& layer = *node.layer;
    const auto takes_ids = !layer.ids().empty();
    const auto reads = static_cast<std::size_t>(std::count(node.sources.begin(), node.sources.end(), kEngineInput));
    if (takes_ids && (reads != 1 || node.sources.size() != 1))
      throw ValueError(node.name(i) + ": takes ids, so it must read the engine's input, and nothing else");
    if (!takes_ids && node.first_column)
      throw ValueError(node.name(i) + ": takes numbers, so first_column must be 0, found " +
                       std::to_string(node.first_column));
    if (reads == 0) continue;
    if (first && takes_ids != ids)
      throw ValueError(node.name(i) + ": takes " + (takes_ids ? "ids" : "numbers") + ", but another layer takes " +
                       (ids ? "ids" : "numbers") + " from the engine's input; it has one or the other");
    ids = takes_ids;
    if (takes_ids) {
      inputs = std::max(inputs, node.first_column + layer.ids().size());
    } else if (!first) {
      std::size_t others = 0;
      for (const std::int32_t source : node.sources)
        if (source != kEngineInput) others += size_of(source);
      if (layer.inputs <= others || (layer.inputs - others) % reads)
        throw ValueError(node.name(i) + ": expects " + std::to_string(layer.inputs) +
                         " inputs, which leaves no width for the engine's input: its other sources have " +
                         std::to_string(others) + " outputs");
      inputs = (layer.inputs - others) / reads;
    }
    first = &node;
  }
  if (!first) throw ValueError("no layer reads the engine's input");
}

void Engine::check_sources() const {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    std::size_t width = 0;
    for (const std::int32_t source : node.sources) width += size_of(source);
    if (node.layer->ids().empty() && width != node.layer->inputs)
      throw ValueError(node.name(i) + ": expects " + std::to_string(node.layer->inputs) + " inputs, " +
                       (node.sources.size() > 1 ? "its sources together have" : source_name(node.sources[0]) + " has") +
                       " " + std::to_string(width) + (node.sources == std::vector{kEngineInput} ? "" : " outputs"));
    if (node.add >= 0 && size_of(node.add) != node.layer->size)
      throw ValueError(node.name(i) + ": cannot add layer " + std::to_string(node.add) + ", which has " +
                       std::to_string(size_of(node.add)) + " outputs, to its own " + std::to_string(node.layer->size));
  }
}

void Engine::check_readers() const {
  std::vector<bool> read(nodes.size());
  for (const Node& node : nodes) {
    for (const std::int32_t source : node.sources)
      if (source != kEngineInput) read[static_cast<std::size_t>(source)] = true;
    if (node.add >= 0) read[static_cast<std::size_t>(node.add)] = true;
  }
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i)
    if (!read[i])
      throw ValueError(nodes[i].name(i) + ": no layer reads its output; only the last one's is the engine's");
}

// Find how late each input and output is. The last output is the latest: every other one is on a way to it.
void Engine::find_delays() {
  delays_ = {0};
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    const std::size_t delay = delay_of(node.sources[0]), late = delay + node.layer->ahead;
    for (const std::int32_t source : node.sources)
      if (delay_of(source) != delay)
        throw ValueError(node.name(i) + ": its sources must be equally late, but " + source_name(node.sources[0]) +
                         " is " + steps_late(delay) + " and " + source_name(source) + " is " +
                         steps_late(delay_of(source)) + "; delay the earlier one");
    if (late > TIDEGATE_MAX_LOOK_AHEAD)
      throw ValueError(node.name(i) + ": the layers up to here look " + std::to_string(late) +
                       " steps ahead, at most " + std::to_string(TIDEGATE_MAX_LOOK_AHEAD) + " are allowed");
    if (node.add >= 0 && delay_of(node.add) != late)
      throw ValueError(node.name(i) + ": its own output is " + steps_late(late) + ", so it cannot add that of layer " +
                       std::to_string(node.add) + ", which is " + steps_late(delay_of(node.add)) +
                       "; delay the earlier one");
    node.layer->delay = delay;
    for (const std::size_t one : {delay, late})
      if (const auto at = std::lower_bound(delays_.begin(), delays_.end(), one); at == delays_.end() || *at != one)
        delays_.insert(at, one);
  }
  const auto index = [this](std::size_t delay) {
    return static_cast<std::size_t>(std::lower_bound(delays_.begin(), delays_.end(), delay) - delays_.begin());
  };
  for (Node& node : nodes) {
    node.begin = index(node.layer->delay);
    node.end = index(node.layer->delay + node.layer->ahead);
  }
  look_ahead = delays_.back();
}

// Layers that read the same column may have tables of different lengths: its ids must fit them all.
void Engine::find_id_columns() {
  id_columns_.clear();
  for (const Node& node : nodes) {
    const std::vector<IdUse> uses = node.layer->ids();
    for (std::size_t k = 0; k < uses.size(); ++k) {
      if (uses[k] == IdUse::kNone) continue;
      const std::size_t column = node.first_column + k;
      const IdColumn own = {column, uses[k] == IdUse::kRow ? 0 : std::numeric_limits<std::int32_t>::min(),
                            static_cast<std::int32_t>(node.layer->inputs - 1)};
      const auto at = std::find_if(id_columns_.begin(), id_columns_.end(),
                                   [&](const IdColumn& other) { return other.column == column; });
      if (at == id_columns_.end())
        id_columns_.push_back(own);
      else
        *at = {column, std::max(at->least, own.least), std::min(at->most, own.most)};
    }
  }
}

void Engine::check_ids(const void* x, std::size_t entry) const {
  for (const IdColumn& one : id_columns_) {
    const std::size_t i = entry * inputs + one.column;
    const std::int32_t id = static_cast<const std::int32_t*>(x)[i];
    if (id < one.least || id > one.most)
      throw ValueError("x[" + std::to_string(i) + "] (in C order) is id " + std::to_string(id) +
                       ", expected from 0 to " + std::to_string(one.most) +
                       (one.least < 0 ? ", or a negative one for none" : ""));
  }
}

// Merge each layer that gives one row of its table into the one that reads it, if that can look up results. Only where
// nothing else needs the row, nothing is added to it, and neither looks ahead: absent steps are zeros, not the result of
// id 0.
void Engine::fold_embeds() {
  for (std::size_t e = 0; e < nodes.size(); ++e) {
    Node& embed = nodes[e];
    if (!embed.layer->looks_up() || embed.layer->ahead || embed.add >= 0) continue;
    const auto index = static_cast<std::int32_t>(e);
    Node* reader = nullptr;
    std::ptrdiff_t reads = 0;
    for (Node& node : nodes) {
      const auto count = std::count(node.sources.begin(), node.sources.end(), index);
      if (count) reader = &node;
      reads += count + (node.add == index);
    }
    if (!reader || reads != 1 || reader->sources.size() != 1 || reader->layer->ahead) continue;
    if (!reader->layer->fold(*embed.layer)) continue;
    reader->sources = {kEngineInput};
    reader->first_column = embed.first_column;
    embed.folded = true;
  }
}

}  // namespace tidegate
