// The C API: checks arguments, and turns exceptions into a status and a message.
#include "engine.h"
#include "status.h"

using tidegate::catch_as_status;
using tidegate::Engine;
using tidegate::RunArgs;
using tidegate::Sequence;
using tidegate::ValueError;

struct tidegate_engine {
  Engine engine;
};

namespace {

void require(bool valid, const char* name, std::int64_t found, const char* expected) {
  if (!valid) throw ValueError(std::string(name) + " must be " + expected + ", found " + std::to_string(found));
}

bool is_precision(std::int32_t precision) { return precision >= 0 && precision < TIDEGATE_PRECISIONS; }

tidegate::Precision precision_of(std::int32_t precision) {
  require(is_precision(precision), "precision", precision, "one of tidegate_precision");
  return static_cast<tidegate::Precision>(precision);
}

const char* target_name(const tidegate::Kernels* const* target, int i) {
  for (; *target && i > 0; --i) ++target;
  return *target && i == 0 ? (*target)->name : nullptr;
}

// Sort the longest first, otherwise in their order. Not with stable_sort, which allocates.
void sort_by_length(std::vector<Sequence>& sequences) {
  const auto before = [](const Sequence& a, const Sequence& b) {
    return a.length != b.length ? a.length > b.length : a.first < b.first;
  };
  if (!std::is_sorted(sequences.begin(), sequences.end(), before))
    std::sort(sequences.begin(), sequences.end(), before);
}

// Make a row for each of the B rows of a run, longest first.
void make_run_sequences(const Engine& engine, std::int64_t T, std::int64_t B, const void* x,
                        const std::int32_t* lengths, std::vector<Sequence>& sequences) {
  const auto batch = static_cast<std::size_t>(B);
  sequences.resize(batch);
  for (std::size_t b = 0; b < batch; ++b) {
    if (lengths[b] < 0 || lengths[b] > T)
      throw ValueError("lengths[" + std::to_string(b) + "] must be from 0 to " + std::to_string(T) + ", found " +
                       std::to_string(lengths[b]));
    sequences[b] = {b, batch, static_cast<std::size_t>(lengths[b]), b, b};
    for (std::size_t t = 0; engine.ids && t < sequences[b].length; ++t) engine.check_ids(x, b + t * batch);
  }
  sort_by_length(sequences);
}

// Sort the entries by stream, keeping the order within a stream, and make a row for each stream, longest first.
void make_stream_sequences(const std::int64_t* ids, std::vector<std::int64_t>& order,
                           std::vector<Sequence>& sequences) {
  std::sort(order.begin(), order.end(),
            [&](std::int64_t a, std::int64_t b) { return ids[a] != ids[b] ? ids[a] < ids[b] : a < b; });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto block = static_cast<std::size_t>(ids[order[i]]);
    if (sequences.empty() || sequences.back().block != block) sequences.push_back({i, 1, 0, block, 0});
    ++sequences.back().length;
  }
  sort_by_length(sequences);
}

}  // namespace

extern "C" {

const char* tidegate_compiled_target(int i) { return tidegate_compiled_target_in(TIDEGATE_FLOAT32, i); }
const char* tidegate_target(int i) { return tidegate_target_in(TIDEGATE_FLOAT32, i); }

const char* tidegate_compiled_target_in(int32_t precision, int i) {
  return is_precision(precision) ? target_name(tidegate::compiled_targets(precision_of(precision)), i) : nullptr;
}

const char* tidegate_target_in(int32_t precision, int i) {
  return is_precision(precision) ? target_name(tidegate::available_targets(precision_of(precision)), i) : nullptr;
}

tidegate_status tidegate_default_target(const char** name, char* message, size_t capacity) {
  return tidegate_default_target_in(TIDEGATE_FLOAT32, name, message, capacity);
}

tidegate_status tidegate_default_target_in(int32_t precision, const char** name, char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] { *name = tidegate::default_target(precision_of(precision)).name; });
}

tidegate_status tidegate_open(const char* target, int64_t state_bytes, int fused, tidegate_engine** engine,
                              char* message, size_t capacity) {
  return tidegate_open_in(TIDEGATE_FLOAT32, target, state_bytes, fused, engine, message, capacity);
}

tidegate_status tidegate_open_in(int32_t precision, const char* target, int64_t state_bytes, int fused,
                                 tidegate_engine** engine, char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] {
    const tidegate::Kernels& kernels = tidegate::find_target(target, "target", precision_of(precision));
    *engine = new tidegate_engine{{kernels, state_bytes, fused != 0}};
  });
}

void tidegate_close(tidegate_engine* engine) { delete engine; }

tidegate_status tidegate_add(tidegate_engine* engine, const tidegate_node* node, char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] { engine->engine.add(*node); });
}

tidegate_status tidegate_finish(tidegate_engine* engine, char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] { engine->engine.finish(); });
}

tidegate_info tidegate_get_info(const tidegate_engine* engine) {
  const Engine& e = engine->engine;
  return {e.kernels.name,
          static_cast<int64_t>(e.state_bytes),
          static_cast<int64_t>(e.inputs),
          static_cast<int64_t>(e.outputs),
          static_cast<int64_t>(e.look_ahead),
          e.ids,
          static_cast<int>(e.nodes.size()),
          e.finished};
}

int tidegate_is_fused(const tidegate_engine* engine, int layer) {
  const auto& nodes = engine->engine.nodes;
  return layer >= 0 && layer < static_cast<int>(nodes.size()) && nodes[static_cast<std::size_t>(layer)].layer->fused();
}

tidegate_status tidegate_run(const tidegate_engine* engine, int64_t T, int64_t B, const void* x, const int32_t* lengths,
                             const uint8_t* state_in, uint8_t* state_out, float* out, int per_step, int ends,
                             int threads, char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] {
    const Engine& e = engine->engine;
    e.require_finished();
    require(T >= 0, "T", T, "0 or more");
    require(B >= 0, "B", B, "0 or more");
    require(threads >= 1, "threads", threads, "1 or more");
    const tidegate::WorkspaceLease workspace(e);
    std::vector<Sequence>& sequences = (*workspace).sequences;
    make_run_sequences(e, T, B, x, lengths, sequences);
    if (sequences.empty()) return;
    e.run({x, nullptr, state_in, state_out, out, per_step != 0, ends != 0}, sequences.data(), sequences.size(), threads,
          *workspace);
  });
}

tidegate_status tidegate_step(const tidegate_engine* engine, const void* x, uint8_t* state, float* out, char* message,
                              size_t capacity) {
  return catch_as_status(message, capacity, [&] {
    const Engine& e = engine->engine;
    e.require_finished();
    e.check_ids(x, 0);
    const Sequence sequence = {0, 1, 1, 0, 0};
    const tidegate::WorkspaceLease workspace(e);
    e.run({x, nullptr, state, state, out, true, false}, &sequence, 1, 1, *workspace);
  });
}

tidegate_status tidegate_step_many(const tidegate_engine* engine, int64_t n, const int64_t* ids, const void* x,
                                   int64_t N, uint8_t* states, float* out, int threads, char* message,
                                   size_t capacity) {
  return catch_as_status(message, capacity, [&] {
    const Engine& e = engine->engine;
    e.require_finished();
    require(n >= 0, "n", n, "0 or more");
    require(N >= 0, "N", N, "0 or more");
    require(threads >= 1, "threads", threads, "1 or more");
    bool ascending = true;
    for (int64_t i = 0; i < n; ++i) {
      if (ids[i] < 0 || ids[i] >= N)
        throw ValueError("ids[" + std::to_string(i) + "] must be from 0 to " + std::to_string(N - 1) + ", found " +
                         std::to_string(ids[i]));
      e.check_ids(x, static_cast<std::size_t>(i));
      ascending = ascending && (i == 0 || ids[i] > ids[i - 1]);
    }
    if (n == 0) return;
    const tidegate::WorkspaceLease workspace(e);
    std::vector<Sequence>& sequences = (*workspace).sequences;
    std::vector<int64_t>& order = (*workspace).order;
    sequences.clear();
    order.clear();
    if (ascending) {
      for (int64_t i = 0; i < n; ++i)
        sequences.push_back({static_cast<std::size_t>(i), 1, 1, static_cast<std::size_t>(ids[i]), 0});
    } else {
      for (int64_t i = 0; i < n; ++i) order.push_back(i);
      make_stream_sequences(ids, order, sequences);
    }
    e.run({x, ascending ? nullptr : order.data(), states, states, out, true, false}, sequences.data(), sequences.size(),
          threads, *workspace);
  });
}

tidegate_status tidegate_step_from(const tidegate_engine* engine, int64_t n, const void* x, const int64_t* parents,
                                   int64_t N, const uint8_t* states_in, int64_t own_bytes, const int64_t* owners,
                                   int64_t M, const uint8_t* held, uint8_t* states_out, float* out, int threads,
                                   char* message, size_t capacity) {
  return catch_as_status(message, capacity, [&] {
    const Engine& e = engine->engine;
    e.require_finished();
    e.check_split(own_bytes);
    require(n >= 0, "n", n, "0 or more");
    require(threads >= 1, "threads", threads, "1 or more");
    const auto check_index = [](const char* name, int64_t i, int64_t found, int64_t count) {
      if (found < 0 || found >= count)
        throw ValueError(std::string(name) + "[" + std::to_string(i) + "] must be from 0 to " +
                         std::to_string(count - 1) + ", found " + std::to_string(found));
    };
    for (int64_t i = 0; i < n; ++i) {
      check_index("parents", i, parents[i], N);
      check_index("owners", i, owners[i], M);
      e.check_ids(x, static_cast<std::size_t>(i));
    }
    if (n == 0) return;
    const tidegate::WorkspaceLease workspace(e);
    std::vector<Sequence>& sequences = (*workspace).sequences;
    sequences.clear();
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) sequences.push_back({i, 1, 1, i, 0});
    RunArgs args = {x, nullptr, states_in, states_out, out, true, false};
    args.parents = parents, args.owners = owners, args.held = held;
    args.own_bytes = static_cast<std::size_t>(own_bytes);
    e.run(args, sequences.data(), sequences.size(), threads, *workspace);
  });
}

}  // extern "C"
