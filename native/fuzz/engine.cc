// Fuzz target: bytes describe an engine, layer by layer, and what is run on it. Whatever the C API promises to check
// may be anything; arrays are as long as it says. Beside the sanitizers it finds bits that differ between a run, single
// steps and a pool, and between fused kernels and the interpreter.
#include <cstring>
#include <numeric>

#include "chain.h"

using fuzz::Chain;
using fuzz::Input;
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

// The step counts to the byte, then floats, of which one NaN is as good as another.
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

Bytes entries(Input& in, const Chain& chain, const tidegate_facts& facts, std::int64_t count) {
  if (count <= 0) return {};
  Bytes bytes(static_cast<std::size_t>(4 * facts.inputs * count));
  if (facts.ids) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t id = in.given32(in.below(256) % chain.rows);
      std::memcpy(bytes.data() + 4 * i, &id, 4);
    }
  } else {
    const Floats x = in.floats(count, facts.inputs);
    std::memcpy(bytes.data(), x.data(), bytes.size());
  }
  return bytes;
}

// Blocks of any content, or of zeros.
Bytes blocks(Input& in, std::int64_t count, std::int64_t state_bytes) {
  if (count <= 0) return {};
  if (count > fuzz::kMostBytes / state_bytes) throw fuzz::Skip();
  Bytes states(static_cast<std::size_t>(count * state_bytes));
  if (in.once_in(2)) {
    const Floats x = in.floats(count, state_bytes / 4);
    std::memcpy(states.data(), x.data(), states.size());
  }
  return states;
}

Batch batch(Input& in, const Chain& chain, const tidegate_facts& facts) {
  Batch batch;
  batch.B = in.given(in.once_in(8) ? in.below(80) : 1 + in.below(5));
  batch.T = in.given(in.below(batch.B > 8 ? 4 : 20));
  if (batch.B > 4096 || (batch.B > 0 && batch.T > 4096)) throw fuzz::Skip();
  batch.x = entries(in, chain, facts, batch.T > 0 && batch.B > 0 ? batch.T * batch.B : 0);
  const std::int64_t longest = batch.T > 0 ? batch.T : 0;
  for (std::int64_t b = 0; b < batch.B; ++b) batch.lengths.push_back(in.given32(in.below(20) % (longest + 1)));
  batch.states = blocks(in, batch.B, facts.state_bytes);
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
  const auto outputs = static_cast<std::size_t>(tidegate_about(engine).outputs);
  const Bytes untouched(batch.states.size(), 0xa5);
  Outcome outcome = {TIDEGATE_OK, untouched, Floats((every ? steps_of(batch) : rows_of(batch)) * outputs, 7.0f)};
  const Floats before = outcome.out;
  outcome.status = fuzz::called(in, [&](char* m, std::size_t n) {
    return tidegate_run(engine, batch.T, batch.B, batch.x.data(), batch.lengths.data(), batch.states.data(),
                        outcome.states.data(), outcome.out.data(), every, threads, m, n);
  });
  if (outcome.status != TIDEGATE_OK)
    require(outcome.states == untouched && outcome.out == before, "a run that is refused changes nothing");
  return outcome;
}

// Row b once more, step by step: the outputs of each step and the state must be those of the run.
void check_steps(Input& in, const tidegate_engine* engine, const Batch& batch, const Outcome& whole, std::size_t b) {
  const tidegate_facts facts = tidegate_about(engine);
  const auto bytes = static_cast<std::size_t>(facts.state_bytes), outputs = static_cast<std::size_t>(facts.outputs);
  const std::size_t entry = static_cast<std::size_t>(facts.inputs) * 4, rows = rows_of(batch);
  Bytes state(batch.states.begin() + static_cast<std::ptrdiff_t>(b * bytes),
              batch.states.begin() + static_cast<std::ptrdiff_t>((b + 1) * bytes));
  Floats out(outputs);
  for (std::size_t t = 0; t < static_cast<std::size_t>(batch.lengths[b]); ++t) {
    const Bytes x(batch.x.begin() + static_cast<std::ptrdiff_t>((t * rows + b) * entry),
                  batch.x.begin() + static_cast<std::ptrdiff_t>((t * rows + b + 1) * entry));
    const tidegate_status status = fuzz::called(
        in, [&](char* m, std::size_t n) { return tidegate_step(engine, x.data(), state.data(), out.data(), m, n); });
    require(status == TIDEGATE_OK, "what runs whole runs step by step");
    require(same(out.data(), whole.out.data() + (t * rows + b) * outputs, outputs), "a step has the bits of the run");
  }
  require(same_state(state.data(), whole.states.data() + b * bytes, bytes), "steps leave the state of the run");
}

void check_runs(Input& in, const Chain& chain) {
  const Batch given = batch(in, chain, tidegate_about(chain.fused));
  const int threads = in.given32(1 + in.below(3));
  const Outcome whole = run(in, chain.fused, given, true, threads);
  const Outcome last = run(in, chain.fused, given, false, threads);
  const Outcome plain = run(in, chain.plain, given, true, threads);
  require(whole.status == last.status && whole.status == plain.status, "runs are refused alike");
  if (whole.status != TIDEGATE_OK) return;
  const auto bytes = static_cast<std::size_t>(tidegate_about(chain.fused).state_bytes);
  require(same(whole.out.data(), plain.out.data(), whole.out.size()), "fused kernels have the interpreter's bits");
  for (std::size_t b = 0; b < rows_of(given); ++b) {
    require(same_state(&whole.states[b * bytes], &plain.states[b * bytes], bytes), "fused kernels leave its states");
    require(same_state(&whole.states[b * bytes], &last.states[b * bytes], bytes), "every changes no state");
    if (b < 3) check_steps(in, b % 2 ? chain.plain : chain.fused, given, whole, b);
  }
}

// Entries of a pool, which must be those of steps of each stream in order.
void check_pool(Input& in, const Chain& chain) {
  const tidegate_facts facts = tidegate_about(chain.fused);
  const auto outputs = static_cast<std::size_t>(facts.outputs), bytes = static_cast<std::size_t>(facts.state_bytes);
  const std::int64_t N = in.given(1 + in.below(6)), n = in.given(in.once_in(8) ? in.below(90) : in.below(9));
  if (n > 4096) throw fuzz::Skip();
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < n; ++i) ids.push_back(in.given(in.below(256) % (N > 0 ? N : 1)));
  const Bytes x = entries(in, chain, facts, n), before = blocks(in, N, facts.state_bytes);
  Bytes states = before;
  Floats out(static_cast<std::size_t>(n > 0 ? n : 0) * outputs, 7.0f);
  const Floats untouched = out;
  const int threads = in.given32(1 + in.below(3));
  const tidegate_status status = fuzz::called(in, [&](char* m, std::size_t capacity) {
    return tidegate_pool_step(chain.fused, n, ids.data(), x.data(), N, states.data(), out.data(), threads, m, capacity);
  });
  if (status != TIDEGATE_OK)
    return require(states == before && out == untouched, "a pool's step that is refused changes nothing");
  Bytes again = before;
  Floats one(outputs);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Bytes entry(x.begin() + static_cast<std::ptrdiff_t>(i * 4 * static_cast<std::size_t>(facts.inputs)),
                      x.begin() + static_cast<std::ptrdiff_t>((i + 1) * 4 * static_cast<std::size_t>(facts.inputs)));
    std::uint8_t* const state = again.data() + static_cast<std::size_t>(ids[i]) * bytes;
    require(tidegate_step(chain.plain, entry.data(), state, one.data(), nullptr, 0) == TIDEGATE_OK,
            "what a pool takes a stream takes");
    require(same(one.data(), out.data() + i * outputs, outputs), "a pool's step has the bits of a stream's");
  }
  for (std::size_t b = 0; b < before.size() / bytes; ++b)
    require(same_state(&again[b * bytes], &states[b * bytes], bytes), "a pool's step leaves a stream's state");
}

void check_unfinished(const Chain& chain) {
  const std::int32_t x[1] = {0}, lengths[1] = {1};
  const std::int64_t ids[1] = {0};
  std::uint8_t state[8] = {}, next[8] = {};
  float out[1] = {};
  const tidegate_engine* engine = chain.fused;
  require(tidegate_step(engine, x, state, out, nullptr, 0) == TIDEGATE_VALUE &&
              tidegate_run(engine, 1, 1, x, lengths, state, next, out, 0, 1, nullptr, 0) == TIDEGATE_VALUE &&
              tidegate_pool_step(engine, 1, ids, x, 1, state, out, 1, nullptr, 0) == TIDEGATE_VALUE,
          "an engine that is not finished runs nothing");
}

void fuzz_one(Input& in) {
  Chain chain(in);
  if (!chain.open()) return;
  for (std::int64_t layers = in.below(6); layers >= 0; --layers) chain.add();
  if (!chain.finish()) return check_unfinished(chain);
  for (std::int64_t i = in.below(3); i >= 0; --i) in.once_in(3) ? check_pool(in, chain) : check_runs(in, chain);
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
