// The C API at the other end of a pipe: tests drive it where Python is not, on another CPU under an emulator or under the
// sanitizers. A request is a name and that function's arguments in order; an answer is a status, a message and, where
// all went well, what the function wrote.
#include <functional>
#include <map>
#include <memory>

#include "tidegate.h"
#include "wire.h"

using remote::Array;
using remote::Wire;
using Floats = Array<float>;
using Bytes = Array<std::uint8_t>;

namespace remote {

// Allocations so far, -1 where nobody counts them; allocations.cc does.
[[gnu::weak]] std::int64_t allocations() { return -1; }

}  // namespace remote

namespace {

Wire wire;
struct Close {
  void operator()(tidegate_engine* engine) const { tidegate_close(engine); }
};
std::map<std::int64_t, std::unique_ptr<tidegate_engine, Close>> engines;
char message[TIDEGATE_MESSAGE];

tidegate_engine* engine() { return engines.at(wire.number()).get(); }

// Status and message; whether the rest of the answer follows.
bool answer(tidegate_status status) {
  wire.put(status);
  wire.put(std::string(status == TIDEGATE_OK ? "" : message));
  return status == TIDEGATE_OK;
}

std::string joined(const char* name_of(std::int32_t, int), std::int32_t precision) {
  std::string all;
  for (int i = 0; const char* name = name_of(precision, i); ++i) all += (i ? " " : "") + std::string(name);
  return all;
}

void targets() {
  const std::int32_t precision = wire.integer();
  answer(TIDEGATE_OK);
  wire.put(joined(tidegate_compiled_in, precision));
  wire.put(joined(tidegate_target_in, precision));
}

void open() {
  const std::int32_t precision = wire.integer();
  const std::string target = wire.text();
  const std::int64_t bytes = wire.number();
  tidegate_engine* made = nullptr;
  if (!answer(tidegate_open_in(precision, target.c_str(), bytes, wire.integer(), &made, message, sizeof message)))
    return;
  const auto handle = static_cast<std::int64_t>(engines.size());
  engines[handle].reset(made);
  wire.put(handle);
}

void close() {
  engines.at(wire.number()).reset();
  answer(TIDEGATE_OK);
}

void about() {
  const tidegate_engine* const e = engine();
  const tidegate_facts facts = tidegate_about(e);
  std::string fused;
  for (int i = 0; i < facts.layers; ++i) fused += tidegate_fused(e, i) ? std::to_string(i) + " " : "";
  answer(TIDEGATE_OK);
  wire.put(facts.inputs);
  wire.put(facts.outputs);
  wire.put(fused);
}

void embed() {
  tidegate_engine* const e = engine();
  const std::int64_t rows = wire.number(), size = wire.number();
  Floats weight = wire.array<float>();
  answer(tidegate_add_embed(e, rows, size, weight.data(), wire.integer(), message, sizeof message));
}

void dense() {
  tidegate_engine* const e = engine();
  const std::int64_t inputs = wire.number(), size = wire.number();
  Floats weight = wire.array<float>(), bias = wire.array<float>();
  const int activation = wire.integer(), add = wire.integer();
  answer(tidegate_add_dense(e, inputs, size, weight.data(), bias.data(), activation, add, message, sizeof message));
}

void conv() {
  tidegate_engine* const e = engine();
  const std::int64_t inputs = wire.number(), size = wire.number(), width = wire.number();
  Floats weight = wire.array<float>(), bias = wire.array<float>();
  const int activation = wire.integer(), past = wire.integer(), add = wire.integer();
  answer(tidegate_add_conv(e, inputs, size, width, weight.data(), bias.data(), activation, past, add, message,
                           sizeof message));
}

void norm() {
  tidegate_engine* const e = engine();
  const std::int64_t size = wire.number();
  Floats gain = wire.array<float>(), bias = wire.array<float>();
  const auto eps = static_cast<float>(wire.real());
  answer(tidegate_add_norm(e, size, gain.data(), bias.data(), eps, wire.integer(), message, sizeof message));
}

void scale() {
  tidegate_engine* const e = engine();
  const std::int64_t size = wire.number();
  Floats mean = wire.array<float>(), deviation = wire.array<float>();
  answer(tidegate_add_scale(e, size, mean.data(), deviation.data(), wire.integer(), message, sizeof message));
}

void recurrent() {
  tidegate_engine* const e = engine();
  tidegate_recurrent cell = {};
  cell.inputs = wire.number(), cell.size = wire.number(), cell.project = wire.number();
  cell.gates = wire.integer(), cell.maps = wire.integer(), cell.output = wire.integer();
  Array<std::int32_t> tape = wire.array<std::int32_t>(), widths = wire.array<std::int32_t>();
  Floats consts = wire.array<float>(), W = wire.array<float>(), b = wire.array<float>(), R = wire.array<float>(),
         c = wire.array<float>(), Q = wire.array<float>(), params = wire.array<float>();
  Array<std::int32_t> next = wire.array<std::int32_t>(), offsets = wire.array<std::int32_t>(),
                      sizes = wire.array<std::int32_t>(), param_sizes = wire.array<std::int32_t>();
  cell.instructions = static_cast<std::int32_t>(widths.size()), cell.tape = tape.data(), cell.widths = widths.data();
  cell.consts_count = static_cast<std::int32_t>(consts.size()), cell.consts = consts.data();
  cell.W = W.data(), cell.b = b.data(), cell.R = R.data(), cell.c = c.data(), cell.Q = Q.data();
  cell.states = static_cast<std::int32_t>(next.size()), cell.next = next.data();
  cell.state_offsets = offsets.data(), cell.state_sizes = sizes.data();
  cell.params = params.data(), cell.param_sizes = param_sizes.data();
  cell.params_count = static_cast<std::int32_t>(param_sizes.size());
  answer(tidegate_add_recurrent(e, &cell, wire.integer(), message, sizeof message));
}

void pool() {
  tidegate_engine* const e = engine();
  const std::int64_t size = wire.number();
  Array<std::int32_t> over = wire.array<std::int32_t>(), offsets = wire.array<std::int32_t>();
  Floats score = wire.array<float>();
  const auto bias = static_cast<float>(wire.real());
  answer(tidegate_add_pool(e, size, static_cast<std::int32_t>(over.size()), over.data(), offsets.data(), score.data(),
                           bias, wire.integer(), message, sizeof message));
}

void softmax() {
  tidegate_engine* const e = engine();
  const std::int64_t size = wire.number();
  answer(tidegate_add_softmax(e, size, wire.integer(), message, sizeof message));
}

void finish() { answer(tidegate_finish(engine(), message, sizeof message)); }

void run() {
  const tidegate_engine* const e = engine();
  const std::int64_t T = wire.number(), B = wire.number();
  Bytes x = wire.array<std::uint8_t>();
  Array<std::int32_t> lengths = wire.array<std::int32_t>();
  Bytes before = wire.array<std::uint8_t>(), after = wire.array<std::uint8_t>();
  Floats out = wire.array<float>();
  const int every = wire.integer(), threads = wire.integer();
  if (!answer(tidegate_run(e, T, B, x.data(), lengths.data(), before.data(), after.data(), out.data(), every, threads,
                           message, sizeof message)))
    return;
  wire.put(after);
  wire.put(out);
}

// `count` calls, first once to be warm; then state, output and how many allocations the calls made. spoil: one of ours.
void counted(std::int64_t count, bool spoil, Bytes& state, Floats& out, const std::function<tidegate_status()>& call) {
  tidegate_status status = call();
  const std::int64_t before = remote::allocations();
  for (std::int64_t i = 1; i < count && status == TIDEGATE_OK; ++i) {
    status = call();
    if (spoil && i == 1) {
      void* volatile block = std::malloc(1);  // one that no compiler leaves out
      std::free(block);
    }
  }
  const std::int64_t made = remote::allocations() - before;
  if (!answer(status)) return;
  wire.put(state);
  wire.put(out);
  wire.put(made);
}

void step() {
  const tidegate_engine* const e = engine();
  const std::int64_t count = wire.number();
  Bytes x = wire.array<std::uint8_t>(), state = wire.array<std::uint8_t>();
  Floats out = wire.array<float>();
  counted(count, wire.integer() != 0, state, out,
          [&] { return tidegate_step(e, x.data(), state.data(), out.data(), message, sizeof message); });
}

void pool_step() {
  const tidegate_engine* const e = engine();
  const std::int64_t count = wire.number();
  Array<std::int64_t> ids = wire.array<std::int64_t>();
  Bytes x = wire.array<std::uint8_t>(), states = wire.array<std::uint8_t>();
  Floats out = wire.array<float>();
  const std::int64_t streams = wire.number();
  const int threads = wire.integer();
  counted(count, wire.integer() != 0, states, out, [&] {
    return tidegate_pool_step(e, ids.size(), ids.data(), x.data(), streams, states.data(), out.data(), threads, message,
                              sizeof message);
  });
}

void train_saved() {
  const std::string target = wire.text();
  const std::int32_t cell = wire.integer();
  std::int64_t floats = 0;
  if (answer(tidegate_train_saved(target.c_str(), cell, wire.number(), &floats, message, sizeof message)))
    wire.put(floats);
}

// What both ways of training read.
struct Trained {
  std::string target = wire.text();
  std::int32_t cell = wire.integer();
  std::int64_t inputs = wire.number(), size = wire.number();
  Floats x = wire.array<float>();
  Array<std::int64_t> rows = wire.array<std::int64_t>();
  Floats first = wire.array<float>(), W = wire.array<float>(), b = wire.array<float>(), R = wire.array<float>(),
         c = wire.array<float>(), own = wire.array<float>();
  tidegate_training given = {cell,     rows.size(), inputs,   size,         rows.data(), x.data(), W.data(), b.data(),
                             R.data(), c.data(),    first.data(), own.data()};
};

void train_forward() {
  Trained from;
  Floats y = wire.array<float>(), last = wire.array<float>(), saved = wire.array<float>();
  if (!answer(tidegate_train_forward(from.target.c_str(), &from.given, y.data(), last.data(), saved.data(),
                                     wire.integer(), message, sizeof message)))
    return;
  for (Floats* one : {&y, &last, &saved}) wire.put(*one);
}

void train_backward() {
  Trained from;
  Floats y = wire.array<float>(), saved = wire.array<float>(), dy = wire.array<float>(), dlast = wire.array<float>();
  Floats dx = wire.array<float>(), dfirst = wire.array<float>(), dW = wire.array<float>(), db = wire.array<float>(),
         dR = wire.array<float>(), dc = wire.array<float>(), down = wire.array<float>();
  const tidegate_gradients to = {y.data(),  saved.data(), dy.data(), dlast.data(), dx.data(),  dfirst.data(),
                                 dW.data(), db.data(),    dR.data(), dc.data(),    down.data()};
  if (!answer(tidegate_train_backward(from.target.c_str(), &from.given, &to, wire.integer(), message, sizeof message)))
    return;
  for (Floats* one : {&dx, &dfirst, &dW, &db, &dR, &dc, &down}) wire.put(*one);
}

// Pools of training: what both ways read.
struct Pooled {
  std::string target = wire.text();
  std::int64_t size = wire.number();
  Floats x = wire.array<float>();
  Array<std::int64_t> rows = wire.array<std::int64_t>();
  std::int64_t count = wire.number();
  Array<std::int64_t> ends = wire.array<std::int64_t>();
  Array<std::int32_t> over = wire.array<std::int32_t>();
  Floats score = wire.array<float>();
  tidegate_pooling given = {rows.size(), size, rows.data(), x.data(), count, ends.data(),
                            static_cast<std::int32_t>(over.size()), over.data(), score.data(),
                            static_cast<float>(wire.real())};
};

void train_pool_forward() {
  Pooled from;
  Floats out = wire.array<float>();
  if (answer(tidegate_train_pool_forward(from.target.c_str(), &from.given, out.data(), wire.integer(), message,
                                         sizeof message)))
    wire.put(out);
}

void train_pool_backward() {
  Pooled from;
  Floats out = wire.array<float>(), dout = wire.array<float>(), dx = wire.array<float>(), dscore = wire.array<float>(),
         dbias = wire.array<float>();
  if (!answer(tidegate_train_pool_backward(from.target.c_str(), &from.given, out.data(), dout.data(), dx.data(),
                                           dscore.data(), dbias.data(), wire.integer(), message, sizeof message)))
    return;
  for (Floats* one : {&dx, &dscore, &dbias}) wire.put(*one);
}

void train_embed_forward() {
  const std::int64_t rows = wire.number(), size = wire.number();
  Floats table = wire.array<float>();
  Array<std::int64_t> ids = wire.array<std::int64_t>();
  Bytes random = wire.array<std::uint8_t>();
  const tidegate_embedding given = {rows, size, ids.size(), ids.data(), random.data(), wire.integer()};
  Floats out = wire.array<float>();
  if (answer(tidegate_train_embed_forward(&given, table.data(), out.data(), message, sizeof message))) wire.put(out);
}

void train_embed_backward() {
  const std::int64_t count = wire.number(), size = wire.number();
  Array<std::int64_t> slots = wire.array<std::int64_t>();
  Bytes random = wire.array<std::uint8_t>();
  const tidegate_embedding given = {count, size, slots.size(), slots.data(), random.data(), wire.integer()};
  Floats dout = wire.array<float>(), values = wire.array<float>();
  if (answer(tidegate_train_embed_backward(&given, slots.data(), count, dout.data(), values.data(), message,
                                           sizeof message)))
    wire.put(values);
}

void train_adamw() {
  const std::int64_t rows = wire.number(), size = wire.number(), step = wire.number();
  double settings[5];
  for (double& setting : settings) setting = wire.real();
  const tidegate_adamw given = {rows, size, step, settings[0], settings[1], settings[2], settings[3], settings[4],
                                static_cast<float>(wire.real())};
  Floats weights = wire.array<float>(), mean = wire.array<float>(), square = wire.array<float>();
  Array<std::int64_t> which = wire.array<std::int64_t>();
  const std::int64_t count = wire.number();
  Floats gradient = wire.array<float>();
  if (!answer(tidegate_train_adamw(&given, weights.data(), mean.data(), square.data(), which.data(), count,
                                   gradient.data(), message, sizeof message)))
    return;
  for (Floats* one : {&weights, &mean, &square}) wire.put(*one);
}

}  // namespace

int main() {
  const std::map<std::string, std::function<void()>> functions = {
      {"targets", targets}, {"open", open}, {"close", close}, {"about", about}, {"embed", embed}, {"dense", dense},
      {"conv", conv}, {"norm", norm}, {"scale", scale}, {"recurrent", recurrent}, {"pool", pool}, {"softmax", softmax},
      {"finish", finish}, {"run", run}, {"step", step}, {"pool_step", pool_step}, {"train_saved", train_saved},
      {"train_forward", train_forward}, {"train_backward", train_backward}, {"train_pool_forward", train_pool_forward},
      {"train_pool_backward", train_pool_backward}, {"train_embed_forward", train_embed_forward},
      {"train_embed_backward", train_embed_backward}, {"train_adamw", train_adamw}};
  for (;;) {
    functions.at(wire.text())();
    wire.end();
  }
}
