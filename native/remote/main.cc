// The C API at the other end of a pipe, for tests that cannot load it into Python: on another CPU under an emulator, or
// under the sanitizers. A request is the name of a function and its arguments in order; a reply is a status, a message
// and, if the call succeeded, what the function wrote.
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "tidegate.h"
#include "wire.h"

using remote::Array;
using remote::Wire;
using Floats = Array<float>;
using Bytes = Array<std::uint8_t>;

namespace remote {

// Return the number of allocations so far, or -1 if they are not counted. allocations.cc has the version that counts.
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

// Send status and message; return whether the rest of the reply follows.
bool reply(tidegate_status status) {
  wire.put(status);
  wire.put(std::string(status == TIDEGATE_OK ? "" : message));
  return status == TIDEGATE_OK;
}

std::string join_names(const char* name_of(std::int32_t, int), std::int32_t precision) {
  std::string all;
  for (int i = 0; const char* name = name_of(precision, i); ++i) all += (i ? " " : "") + std::string(name);
  return all;
}

void targets() {
  const std::int32_t precision = wire.integer();
  reply(TIDEGATE_OK);
  wire.put(join_names(tidegate_compiled_target_in, precision));
  wire.put(join_names(tidegate_target_in, precision));
}

void open() {
  const std::int32_t precision = wire.integer();
  const std::string target = wire.text();
  const std::int64_t bytes = wire.number();
  tidegate_engine* opened = nullptr;
  if (!reply(tidegate_open_in(precision, target.c_str(), bytes, wire.integer(), &opened, message, sizeof message)))
    return;
  const auto handle = static_cast<std::int64_t>(engines.size());
  engines[handle].reset(opened);
  wire.put(handle);
}

void close() {
  engines.at(wire.number()).reset();
  reply(TIDEGATE_OK);
}

void about() {
  const tidegate_engine* const e = engine();
  const tidegate_info info = tidegate_get_info(e);
  std::string fused;
  for (int i = 0; i < info.layers; ++i) fused += tidegate_is_fused(e, i) ? std::to_string(i) + " " : "";
  reply(TIDEGATE_OK);
  wire.put(info.inputs);
  wire.put(info.outputs);
  wire.put(info.look_ahead);
  wire.put(fused);
}

void add() {
  tidegate_engine* const e = engine();
  tidegate_node node = {};
  tidegate_program& program = node.program;
  program.inputs = wire.number(), program.ids = wire.number(), program.ahead = wire.number();
  program.output = wire.integer();
  Array<std::int32_t> code = wire.array<std::int32_t>(), joined = wire.array<std::int32_t>();
  Floats consts = wire.array<float>();
  Array<std::int32_t> next = wire.array<std::int32_t>(), offsets = wire.array<std::int32_t>(),
                      sizes = wire.array<std::int32_t>();
  program.tensors_count = wire.integer();
  std::vector<Floats> arrays;
  std::vector<const float*> tensors;
  std::vector<std::int64_t> tensor_sizes;
  for (std::int32_t i = 0; i < program.tensors_count; ++i) {
    arrays.push_back(wire.array<float>());
    tensors.push_back(arrays.back().data()), tensor_sizes.push_back(arrays.back().size());
  }
  program.operations = static_cast<std::int32_t>(code.size()) / TIDEGATE_OPERATION_WIDTH, program.code = code.data();
  program.joined_count = static_cast<std::int32_t>(joined.size()), program.joined = joined.data();
  program.consts_count = static_cast<std::int32_t>(consts.size()), program.consts = consts.data();
  program.tensors = tensors.data(), program.tensor_sizes = tensor_sizes.data();
  program.states = static_cast<std::int32_t>(next.size()), program.next = next.data();
  program.state_offsets = offsets.data(), program.state_sizes = sizes.data();
  Array<std::int32_t> sources = wire.array<std::int32_t>();
  node.sources = sources.data(), node.source_count = static_cast<std::int32_t>(sources.size());
  node.first_column = wire.number(), node.add = wire.integer();
  reply(tidegate_add(e, &node, message, sizeof message));
}

void finish() { reply(tidegate_finish(engine(), message, sizeof message)); }

void run() {
  const tidegate_engine* const e = engine();
  const std::int64_t T = wire.number(), B = wire.number();
  Bytes x = wire.array<std::uint8_t>();
  Array<std::int32_t> lengths = wire.array<std::int32_t>();
  Bytes state_in = wire.array<std::uint8_t>(), state_out = wire.array<std::uint8_t>();
  Floats out = wire.array<float>();
  const int per_step = wire.integer(), ends = wire.integer(), threads = wire.integer();
  if (!reply(tidegate_run(e, T, B, x.data(), lengths.data(), state_in.data(), state_out.data(), out.data(), per_step,
                          ends, threads, message, sizeof message)))
    return;
  wire.put(state_out);
  wire.put(out);
}

// Make `count` calls, the first one to warm up; then send state, output and the number of allocations of the others.
// spoil: make one more allocation, to test the counter.
void count_allocations(std::int64_t count, bool spoil, Bytes& state, Floats& out,
                       const std::function<tidegate_status()>& call) {
  tidegate_status status = call();
  const std::int64_t before = remote::allocations();
  for (std::int64_t i = 1; i < count && status == TIDEGATE_OK; ++i) {
    status = call();
    if (spoil && i == 1) {
      void* volatile block = std::malloc(1);  // volatile, or the compiler would remove it
      std::free(block);
    }
  }
  const std::int64_t made = remote::allocations() - before;
  if (!reply(status)) return;
  wire.put(state);
  wire.put(out);
  wire.put(made);
}

void step() {
  const tidegate_engine* const e = engine();
  const std::int64_t count = wire.number();
  Bytes x = wire.array<std::uint8_t>(), state = wire.array<std::uint8_t>();
  Floats out = wire.array<float>();
  count_allocations(count, wire.integer() != 0, state, out,
                    [&] { return tidegate_step(e, x.data(), state.data(), out.data(), message, sizeof message); });
}

void step_many() {
  const tidegate_engine* const e = engine();
  const std::int64_t count = wire.number();
  Array<std::int64_t> ids = wire.array<std::int64_t>();
  Bytes x = wire.array<std::uint8_t>(), states = wire.array<std::uint8_t>();
  Floats out = wire.array<float>();
  const std::int64_t streams = wire.number();
  const int threads = wire.integer();
  count_allocations(count, wire.integer() != 0, states, out, [&] {
    return tidegate_step_many(e, ids.size(), ids.data(), x.data(), streams, states.data(), out.data(), threads, message,
                              sizeof message);
  });
}

void step_from() {
  const tidegate_engine* const e = engine();
  const std::int64_t count = wire.number();
  Bytes x = wire.array<std::uint8_t>();
  Array<std::int64_t> parents = wire.array<std::int64_t>();
  Bytes states_in = wire.array<std::uint8_t>();
  Array<std::int64_t> owners = wire.array<std::int64_t>();
  Bytes held = wire.array<std::uint8_t>(), states_out = wire.array<std::uint8_t>();
  Floats out = wire.array<float>();
  const std::int64_t states = wire.number(), own_bytes = wire.number(), blocks = wire.number();
  const int threads = wire.integer();
  count_allocations(count, wire.integer() != 0, states_out, out, [&] {
    return tidegate_step_from(e, parents.size(), x.data(), parents.data(), states, states_in.data(), own_bytes,
                              owners.data(), blocks, held.data(), states_out.data(), out.data(), threads, message,
                              sizeof message);
  });
}

void train_saved_size() {
  const std::string target = wire.text();
  const std::int32_t cell = wire.integer();
  std::int64_t floats = 0;
  if (reply(tidegate_train_saved_size(target.c_str(), cell, wire.number(), &floats, message, sizeof message)))
    wire.put(floats);
}

// The arguments that both passes read.
struct TrainArgs {
  std::string target = wire.text();
  std::int32_t cell = wire.integer();
  std::int64_t inputs = wire.number(), size = wire.number();
  Floats x = wire.array<float>();
  Array<std::int64_t> batch_sizes = wire.array<std::int64_t>();
  Floats initial_states = wire.array<float>(), W = wire.array<float>(), b = wire.array<float>(),
         R = wire.array<float>(), c = wire.array<float>(), params = wire.array<float>();
  tidegate_training training = {cell,     batch_sizes.size(), inputs,   size,     batch_sizes.data(),    x.data(),
                                W.data(), b.data(),           R.data(), c.data(), initial_states.data(), params.data()};
};

void train_forward() {
  TrainArgs args;
  Floats y = wire.array<float>(), final_states = wire.array<float>(), saved = wire.array<float>();
  if (!reply(tidegate_train_forward(args.target.c_str(), &args.training, y.data(), final_states.data(), saved.data(),
                                    wire.integer(), message, sizeof message)))
    return;
  for (Floats* one : {&y, &final_states, &saved}) wire.put(*one);
}

void train_backward() {
  TrainArgs args;
  Floats y = wire.array<float>(), saved = wire.array<float>(), dy = wire.array<float>(),
         dfinal_states = wire.array<float>();
  Floats dx = wire.array<float>(), dinitial_states = wire.array<float>(), dW = wire.array<float>(),
         db = wire.array<float>(), dR = wire.array<float>(), dc = wire.array<float>(), dparams = wire.array<float>();
  const tidegate_gradients to = {
      y.data(),  saved.data(), dy.data(), dfinal_states.data(), dx.data(), dinitial_states.data(), dW.data(),
      db.data(), dR.data(),    dc.data(), dparams.data()};
  if (!reply(
          tidegate_train_backward(args.target.c_str(), &args.training, &to, wire.integer(), message, sizeof message)))
    return;
  for (Floats* one : {&dx, &dinitial_states, &dW, &db, &dR, &dc, &dparams}) wire.put(*one);
}

// The arguments that both passes of pooling read.
struct PoolArgs {
  std::string target = wire.text();
  std::int64_t size = wire.number();
  Floats x = wire.array<float>();
  Array<std::int64_t> batch_sizes = wire.array<std::int64_t>();
  std::int64_t count = wire.number();
  Array<std::int64_t> ends = wire.array<std::int64_t>();
  Array<std::int32_t> over = wire.array<std::int32_t>();
  Floats score = wire.array<float>();
  tidegate_pooling pooling = {batch_sizes.size(),
                              size,
                              batch_sizes.data(),
                              x.data(),
                              count,
                              ends.data(),
                              static_cast<std::int32_t>(over.size()),
                              over.data(),
                              score.data(),
                              static_cast<float>(wire.real())};
};

void train_pool_forward() {
  PoolArgs args;
  Floats out = wire.array<float>();
  if (reply(tidegate_train_pool_forward(args.target.c_str(), &args.pooling, out.data(), wire.integer(), message,
                                        sizeof message)))
    wire.put(out);
}

void train_pool_backward() {
  PoolArgs args;
  Floats out = wire.array<float>(), dout = wire.array<float>(), dx = wire.array<float>(), dscore = wire.array<float>(),
         dbias = wire.array<float>();
  if (!reply(tidegate_train_pool_backward(args.target.c_str(), &args.pooling, out.data(), dout.data(), dx.data(),
                                          dscore.data(), dbias.data(), wire.integer(), message, sizeof message)))
    return;
  for (Floats* one : {&dx, &dscore, &dbias}) wire.put(*one);
}

void train_embed_forward() {
  const std::int64_t rows = wire.number(), size = wire.number();
  Floats table = wire.array<float>();
  Array<std::int64_t> ids = wire.array<std::int64_t>();
  Bytes random = wire.array<std::uint8_t>();
  const tidegate_embedding embedding = {rows, size, ids.size(), ids.data(), random.data(), wire.integer()};
  Floats out = wire.array<float>();
  if (reply(tidegate_train_embed_forward(&embedding, table.data(), out.data(), message, sizeof message))) wire.put(out);
}

void train_embed_backward() {
  const std::int64_t count = wire.number(), size = wire.number();
  Array<std::int64_t> slots = wire.array<std::int64_t>();
  Bytes random = wire.array<std::uint8_t>();
  const tidegate_embedding embedding = {count, size, slots.size(), slots.data(), random.data(), wire.integer()};
  Floats dout = wire.array<float>(), values = wire.array<float>();
  if (reply(tidegate_train_embed_backward(&embedding, slots.data(), count, dout.data(), values.data(), message,
                                          sizeof message)))
    wire.put(values);
}

void train_adamw() {
  const std::int64_t rows = wire.number(), size = wire.number(), step = wire.number();
  double settings[5];
  for (double& setting : settings) setting = wire.real();
  const tidegate_adamw adamw = {rows,        size,        step,
                                settings[0], settings[1], settings[2],
                                settings[3], settings[4], static_cast<float>(wire.real())};
  Floats weights = wire.array<float>(), mean = wire.array<float>(), square = wire.array<float>();
  Array<std::int64_t> row_ids = wire.array<std::int64_t>();
  const std::int64_t count = wire.number();
  Floats gradient = wire.array<float>();
  if (!reply(tidegate_train_adamw(&adamw, weights.data(), mean.data(), square.data(), row_ids.data(), count,
                                  gradient.data(), message, sizeof message)))
    return;
  for (Floats* one : {&weights, &mean, &square}) wire.put(*one);
}

}  // namespace

int main() {
  const std::map<std::string, std::function<void()>> functions = {
      {"targets", targets}, {"open", open}, {"close", close}, {"about", about}, {"add", add}, {"finish", finish},
      {"run", run}, {"step", step}, {"step_many", step_many}, {"step_from", step_from},
      {"train_saved_size", train_saved_size}, {"train_forward", train_forward}, {"train_backward", train_backward},
      {"train_pool_forward", train_pool_forward}, {"train_pool_backward", train_pool_backward},
      {"train_embed_forward", train_embed_forward}, {"train_embed_backward", train_embed_backward},
      {"train_adamw", train_adamw}};
  for (;;) {
    functions.at(wire.text())();
    wire.end();
  }
}
