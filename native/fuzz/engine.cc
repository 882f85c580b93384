// Fuzz target: bytes describe an engine, layer by layer, and what to run on it. Every argument that the C API promises
// to check may be anything; arrays have the lengths that it asks for. Besides what the sanitizers find, it finds
// different bits between a run, single steps and streams, between fused kernels and the interpreter, and between a
// graph and its layers one by one.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine_pair.h"

using fuzz::EnginePair;
using fuzz::Input;
using fuzz::Node;
using fuzz::require;

namespace {

using Bytes = std::vector<std::uint8_t>;
using Floats = std::vector<float>;

struct Batch {
  std::int64_t T, B;
  Bytes x;  // ids or floats
  std::vector<std::int32_t> lengths;
  Bytes states;
};

bool same(const float* a, const float* b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    if (std::memcmp(a + i, b + i, sizeof(float)) != 0 && (a[i] == a[i] || b[i] == b[i])) return false;
  return true;
}

// Compare the step counts exactly, and the floats by bits except that any NaN equals any other.
bool same_state(const std::uint8_t* a, const std::uint8_t* b, std::size_t bytes) {
  if (std::memcmp(a, b, 8) != 0) return false;
  for (std::size_t at = 8; at < bytes; at += 4) {
    float left, right;
    std::memcpy(&left, a + at, 4);
    std::memcpy(&right, b + at, 4);
    if (!same(&left, &right, 1)) return false;
  }
  return true;
}

Bytes make_entries(Input& in, const EnginePair& engines, const tidegate_info& info, std::int64_t count) {
  if (count <= 0) return {};
  Bytes bytes(static_cast<std::size_t>(4 * info.inputs * count));
  if (info.ids) {
    for (std::int64_t i = 0; i < count * info.inputs; ++i) {
      const auto column = static_cast<std::size_t>(i % info.inputs);
      const bool absent = engines.skips[column] && in.once_in(4);
      const std::int32_t id = in.maybe_hostile32(absent ? -1 - in.below(256) : in.below(256) % engines.rows[column]);
      std::memcpy(bytes.data() + 4 * i, &id, 4);
    }
  } else {
    const Floats x = in.floats(count, info.inputs);
    std::memcpy(bytes.data(), x.data(), bytes.size());
  }
  return bytes;
}

// Make state blocks with random contents, or zeros.
Bytes make_states(Input& in, std::int64_t count, std::int64_t state_bytes) {
  if (count <= 0) return {};
  if (count > fuzz::kMaxBytes / state_bytes) throw fuzz::Skip();
  Bytes states(static_cast<std::size_t>(count * state_bytes));
  if (in.once_in(2)) {
    const Floats x = in.floats(count, state_bytes / 4);
    std::memcpy(states.data(), x.data(), states.size());
  }
  return states;
}

Batch make_batch(Input& in, const EnginePair& engines, const tidegate_info& info) {
  Batch batch;
  batch.B = in.maybe_hostile(in.once_in(8) ? in.below(80) : 1 + in.below(5));
  batch.T = in.maybe_hostile(in.below(batch.B > 8 ? 4 : 20));
  if (batch.B > 4096 || (batch.B > 0 && batch.T > 4096)) throw fuzz::Skip();
  batch.x = make_entries(in, engines, info, batch.T > 0 && batch.B > 0 ? batch.T * batch.B : 0);
  const std::int64_t longest = batch.T > 0 ? batch.T : 0;
  for (std::int64_t b = 0; b < batch.B; ++b) batch.lengths.push_back(in.maybe_hostile32(in.below(20) % (longest + 1)));
  batch.states = make_states(in, batch.B, info.state_bytes);
  return batch;
}

std::size_t rows_of(const Batch& batch) { return batch.B > 0 ? static_cast<std::size_t>(batch.B) : 0; }
std::size_t steps_of(const Batch& batch) {
  return batch.T > 0 ? static_cast<std::size_t>(batch.T) * rows_of(batch) : 0;
}

struct Outcome {
  tidegate_status status;
  Bytes states;
  Floats out;
};

Outcome run(Input& in, const tidegate_engine* engine, const Batch& batch, bool every, int threads) {
  const auto outputs = static_cast<std::size_t>(tidegate_get_info(engine).outputs);
  const Bytes untouched(batch.states.size(), 0xa5);
  Outcome outcome = {TIDEGATE_OK, untouched, Floats((every ? steps_of(batch) : rows_of(batch)) * outputs, 7.0f)};
  const Floats before = outcome.out;
  outcome.status = fuzz::call_checked(in, [&](char* m, std::size_t n) {
    return tidegate_run(engine, batch.T, batch.B, batch.x.data(), batch.lengths.data(), batch.states.data(),
                        outcome.states.data(), outcome.out.data(), every, false, threads, m, n);
  });
  if (outcome.status != TIDEGATE_OK)
    require(outcome.states == untouched && outcome.out == before, "a refused run changes nothing");
  return outcome;
}

// Run row b again step by step: the outputs and the state must be those of the whole run.
void check_steps(Input& in, const tidegate_engine* engine, const Batch& batch, const Outcome& whole, std::size_t b) {
  const tidegate_info info = tidegate_get_info(engine);
  const auto bytes = static_cast<std::size_t>(info.state_bytes), outputs = static_cast<std::size_t>(info.outputs);
  const std::size_t entry = static_cast<std::size_t>(info.inputs) * 4, rows = rows_of(batch);
  Bytes state(batch.states.begin() + static_cast<std::ptrdiff_t>(b * bytes),
              batch.states.begin() + static_cast<std::ptrdiff_t>((b + 1) * bytes));
  for (std::size_t t = 0; t < static_cast<std::size_t>(batch.lengths[b]); ++t) {
    const Bytes x(batch.x.begin() + static_cast<std::ptrdiff_t>((t * rows + b) * entry),
                  batch.x.begin() + static_cast<std::ptrdiff_t>((t * rows + b + 1) * entry));
    Floats out(outputs, 7.0f);  // a late output leaves it as it is
    const tidegate_status status = fuzz::call_checked(
        in, [&](char* m, std::size_t n) { return tidegate_step(engine, x.data(), state.data(), out.data(), m, n); });
    require(status == TIDEGATE_OK, "what runs as a whole runs step by step");
    require(same(out.data(), whole.out.data() + (t * rows + b) * outputs, outputs),
            "a step has the same bits as the run");
  }
  require(same_state(state.data(), whole.states.data() + b * bytes, bytes), "steps end in the same state as the run");
}

// End the rows of a run: the outputs that follow are the same as those of a run that ends by itself.
void check_ends(const tidegate_engine* engine, const Batch& batch, const Outcome& whole) {
  const tidegate_info info = tidegate_get_info(engine);
  const std::size_t rows = rows_of(batch), outputs = static_cast<std::size_t>(info.outputs);
  const std::size_t steps = batch.T > 0 ? static_cast<std::size_t>(batch.T) : 0;
  const auto late = static_cast<std::size_t>(info.look_ahead);
  Bytes states(batch.states.size());
  Floats every((steps + late) * rows * outputs, 7.0f), more(late * rows * outputs, 7.0f);
  require(tidegate_run(engine, batch.T, batch.B, batch.x.data(), batch.lengths.data(), batch.states.data(),
                       states.data(), every.data(), 1, 1, 1, nullptr, 0) == TIDEGATE_OK,
          "rows that run also end");
  const std::vector<std::int32_t> none(rows, 0);
  require(tidegate_run(engine, 0, batch.B, batch.x.data(), none.data(), whole.states.data(), states.data(), more.data(),
                       1, 1, 1, nullptr, 0) == TIDEGATE_OK,
          "rows end after a run");
  for (std::size_t b = 0; b < rows; ++b)
    for (std::size_t t = 0; t < static_cast<std::size_t>(batch.lengths[b]) + late; ++t) {
      const auto length = static_cast<std::size_t>(batch.lengths[b]);
      const float* expected =
          t < length ? &whole.out[(t * rows + b) * outputs] : &more[((t - length) * rows + b) * outputs];
      require(same(&every[(t * rows + b) * outputs], expected, outputs), "the end gives the outputs that follow");
    }
}

// The inputs [T, B, inputs] of a layer, from those of the graph and the outputs of earlier layers.
Bytes join_sources(const Node& node, std::size_t i, const Batch& batch, std::size_t inputs,
                   const std::vector<Floats>& outputs) {
  const std::size_t entries = steps_of(batch);
  std::vector<std::int32_t> sources = node.sources;
  if (sources.empty()) sources = {static_cast<std::int32_t>(i) - 1};
  Bytes joined;
  for (std::size_t e = 0; e < entries; ++e)
    for (const std::int32_t source : sources) {
      const Floats* const output = source < 0 ? nullptr : &outputs[static_cast<std::size_t>(source)];
      const auto* const from = output ? reinterpret_cast<const std::uint8_t*>(output->data()) : batch.x.data();
      std::size_t width = output ? output->size() / entries : inputs, at = e * width;
      if (node.program.ids) {
        at += static_cast<std::size_t>(node.first_column);
        width = static_cast<std::size_t>(node.program.ids);
      }
      joined.insert(joined.end(), from + 4 * at, from + 4 * (at + width));
    }
  return joined;
}

// Run whole rows layer by layer, each in an engine of its own: the graph must give the same outputs.
void check_layers(const EnginePair& engines, Batch batch) {
  const tidegate_info info = tidegate_get_info(engines.fused);
  const std::size_t rows = rows_of(batch), steps = steps_of(batch) / std::max<std::size_t>(rows, 1);
  const auto bytes = static_cast<std::size_t>(info.state_bytes);
  if (steps_of(batch) == 0) return;
  if (info.look_ahead)  // layers that wait begin with a row, so the rows begin here
    for (std::size_t b = 0; b < rows; ++b) std::memset(&batch.states[b * bytes], 0, 8);
  const auto run_rows = [&](const tidegate_engine* engine, const void* x) {
    const tidegate_info own = tidegate_get_info(engine);
    const auto late = static_cast<std::size_t>(own.look_ahead);
    const std::size_t floats = rows * static_cast<std::size_t>(own.outputs);
    Bytes states(batch.states.size());
    Floats out((steps + late) * floats);
    require(tidegate_run(engine, batch.T, batch.B, x, batch.lengths.data(), batch.states.data(), states.data(),
                         out.data(), 1, 1, 2, nullptr, 0) == TIDEGATE_OK,
            "a layer runs alone where its graph runs");
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(late * floats));
    return out;
  };
  std::vector<Floats> outputs;
  for (std::size_t i = 0; i < engines.nodes.size(); ++i) {
    const Node& node = engines.nodes[i];
    tidegate_engine* const alone = engines.open_alone(node);
    const Bytes x = join_sources(node, i, batch, static_cast<std::size_t>(info.inputs), outputs);
    outputs.push_back(run_rows(alone, x.data()));
    tidegate_close(alone);
    if (node.add < 0) continue;
    const Floats& added = outputs[static_cast<std::size_t>(node.add)];
    for (std::size_t k = 0; k < added.size(); ++k) outputs[i][k] += added[k];
  }
  const Floats whole = run_rows(engines.fused, batch.x.data());
  const auto width = static_cast<std::size_t>(info.outputs);
  for (std::size_t b = 0; b < rows; ++b)
    for (std::size_t t = 0; t < static_cast<std::size_t>(batch.lengths[b]); ++t)
      require(same(&whole[(t * rows + b) * width], &outputs.back()[(t * rows + b) * width], width),
              "a graph has the bits of its layers one by one");
}

void check_runs(Input& in, const EnginePair& engines) {
  const Batch batch = make_batch(in, engines, tidegate_get_info(engines.fused));
  const int threads = in.maybe_hostile32(1 + in.below(3));
  const Outcome whole = run(in, engines.fused, batch, true, threads);
  const Outcome last = run(in, engines.fused, batch, false, threads);
  const Outcome plain = run(in, engines.plain, batch, true, threads);
  require(whole.status == last.status && whole.status == plain.status, "all ways to run refuse the same inputs");
  if (whole.status != TIDEGATE_OK) return;
  const auto bytes = static_cast<std::size_t>(tidegate_get_info(engines.fused).state_bytes);
  require(same(whole.out.data(), plain.out.data(), whole.out.size()),
          "fused kernels have the same bits as the interpreter");
  check_ends(engines.plain, batch, whole);
  check_layers(engines, batch);
  for (std::size_t b = 0; b < rows_of(batch); ++b) {
    require(same_state(&whole.states[b * bytes], &plain.states[b * bytes], bytes),
            "fused kernels end in the same states as the interpreter");
    require(same_state(&whole.states[b * bytes], &last.states[b * bytes], bytes),
            "per_step does not change the states");
    if (b < 3) check_steps(in, b % 2 ? engines.plain : engines.fused, batch, whole, b);
  }
}

// Step several streams at once: the results must be those of stepping each stream in order.
void check_streams(Input& in, const EnginePair& engines) {
  const tidegate_info info = tidegate_get_info(engines.fused);
  const auto outputs = static_cast<std::size_t>(info.outputs), bytes = static_cast<std::size_t>(info.state_bytes);
  const std::int64_t N = in.maybe_hostile(1 + in.below(6)),
                     n = in.maybe_hostile(in.once_in(8) ? in.below(90) : in.below(9));
  if (n > 4096) throw fuzz::Skip();
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < n; ++i) ids.push_back(in.maybe_hostile(in.below(256) % (N > 0 ? N : 1)));
  const Bytes x = make_entries(in, engines, info, n), before = make_states(in, N, info.state_bytes);
  Bytes states = before;
  Floats out(static_cast<std::size_t>(n > 0 ? n : 0) * outputs, 7.0f);
  const Floats untouched = out;
  const int threads = in.maybe_hostile32(1 + in.below(3));
  const tidegate_status status = fuzz::call_checked(in, [&](char* m, std::size_t capacity) {
    return tidegate_step_many(engines.fused, n, ids.data(), x.data(), N, states.data(), out.data(), threads, m,
                              capacity);
  });
  if (status != TIDEGATE_OK)
    return require(states == before && out == untouched, "a refused call of step_many changes nothing");
  Bytes expected = before;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Bytes entry(x.begin() + static_cast<std::ptrdiff_t>(i * 4 * static_cast<std::size_t>(info.inputs)),
                      x.begin() + static_cast<std::ptrdiff_t>((i + 1) * 4 * static_cast<std::size_t>(info.inputs)));
    Floats one(outputs, 7.0f);
    std::uint8_t* const state = expected.data() + static_cast<std::size_t>(ids[i]) * bytes;
    require(tidegate_step(engines.plain, entry.data(), state, one.data(), nullptr, 0) == TIDEGATE_OK,
            "a step that step_many accepts is accepted alone");
    require(same(one.data(), out.data() + i * outputs, outputs), "step_many has the same bits as single steps");
  }
  for (std::size_t b = 0; b < before.size() / bytes; ++b)
    require(same_state(&expected[b * bytes], &states[b * bytes], bytes),
            "step_many ends in the same states as single steps");
}

void check_unfinished(const EnginePair& engines) {
  const std::int32_t x[1] = {0}, lengths[1] = {1};
  const std::int64_t ids[1] = {0};
  std::uint8_t state[8] = {}, next[8] = {};
  float out[1] = {};
  const tidegate_engine* engine = engines.fused;
  require(tidegate_step(engine, x, state, out, nullptr, 0) == TIDEGATE_VALUE &&
              tidegate_run(engine, 1, 1, x, lengths, state, next, out, 0, 0, 1, nullptr, 0) == TIDEGATE_VALUE &&
              tidegate_step_many(engine, 1, ids, x, 1, state, out, 1, nullptr, 0) == TIDEGATE_VALUE,
          "an engine that is not finished runs nothing");
}

void fuzz_one(Input& in) {
  EnginePair engines(in);
  if (!engines.open()) return;
  for (std::int64_t layers = in.below(8); layers >= 0; --layers) engines.add();
  if (!engines.finish()) return check_unfinished(engines);
  for (std::int64_t i = in.below(3); i >= 0; --i) in.once_in(3) ? check_streams(in, engines) : check_runs(in, engines);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  try {
    fuzz_one(in);
  } catch (const fuzz::Skip&) {
  }
  return 0;
}
