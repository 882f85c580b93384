// The Python module tidegate._native. It reads arrays through the buffer protocol and raises ValueError and TypeError.
// Only this file and the other bind_*.cc use nanobind; they use the engine only through its C API.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bind_program.h"
#include "bind_training.h"
#include "message.h"

namespace nb = nanobind;
using tidegate::Array;
using tidegate::fail;
using tidegate::kByte;
using tidegate::kFloat;
using tidegate::kInt32;
using tidegate::kInt64;
using tidegate::Message;
using tidegate::to_int32;

namespace {

template <class Number>
Number parse_choice(const std::string& name, const char* what, std::initializer_list<const char*> names) {
  int number = 0;
  std::string known;
  for (const char* candidate : names) {
    if (name == candidate) return static_cast<Number>(number);
    known += (number++ ? ", " : "") + std::string(candidate);
  }
  fail(PyExc_ValueError, "unknown %s '%.64s'; choose one of %s", what, name.c_str(), known.c_str());
}

tidegate_precision parse_precision(const std::string& name) {
  return parse_choice<tidegate_precision>(name, "precision", {"float32", "weights=bf16", "compute=bf16"});
}

class Engine {
 public:
  Engine(const std::string& target, std::int64_t state_bytes, bool fused, const std::string& precision) {
    Message message;
    message.check(tidegate_open_in(parse_precision(precision), target.c_str(), state_bytes, fused, &engine_,
                                   message.text, sizeof message.text));
    info_ = tidegate_get_info(engine_);
  }
  ~Engine() { tidegate_close(engine_); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  std::string target() const { return info_.target; }
  std::int64_t inputs() const { return info_.inputs; }
  std::int64_t outputs() const { return info_.outputs; }
  std::int64_t look_ahead() const { return info_.look_ahead; }
  std::vector<int> fused_layers() const {
    std::vector<int> layers;
    for (int i = 0; i < tidegate_get_info(engine_).layers; ++i)
      if (tidegate_is_fused(engine_, i)) layers.push_back(i);
    return layers;
  }

  void add(const nb::handle& code, const nb::handle& joined, const nb::handle& consts, const nb::list& tensors,
           std::int64_t inputs, std::int64_t ids, int output, const nb::handle& next, const nb::handle& offsets,
           const nb::handle& sizes, std::int64_t ahead, const std::vector<std::int32_t>& sources,
           std::int64_t first_column, int add) {
    tidegate_node node = {};
    node.program.inputs = inputs, node.program.ids = ids, node.program.ahead = ahead, node.program.output = output;
    node.sources = sources.data(), node.source_count = to_int32(static_cast<Py_ssize_t>(sources.size()));
    node.first_column = first_column, node.add = add;
    tidegate::add_node(engine_, node, {code, joined, consts, next, offsets, sizes}, tensors);
  }

  void finish() {
    Message message;
    message.check(tidegate_finish(engine_, message.text, sizeof message.text));
    info_ = tidegate_get_info(engine_);
  }

  void run(nb::handle x_object, nb::handle lengths_object, nb::handle in_object, nb::handle out_state_object,
           nb::handle out_object, bool per_step, int threads, bool ends) const {
    require_finished();
    const Array x(x_object.ptr(), "x", info_.ids ? kInt32 : kFloat, has_one_id() ? 2 : 3),
        lengths(lengths_object.ptr(), "lengths", kInt32, 1), state_in(in_object.ptr(), "state_in", kByte, 2),
        state_out(out_state_object.ptr(), "state_out", kByte, 2, true),
        out(out_object.ptr(), "out", kFloat, per_step ? 3 : 2, true);
    const Py_ssize_t T = x.shape(0), B = x.shape(1);
    if (!has_one_id()) x.expect(2, info_.inputs);
    lengths.expect(0, B);
    state_in.expect(0, B).expect(1, info_.state_bytes);
    state_out.expect(0, B).expect(1, info_.state_bytes);
    if (per_step) out.expect(0, ends ? T + info_.look_ahead : T);
    out.expect(per_step ? 1 : 0, B).expect(per_step ? 2 : 1, info_.outputs);
    for (const Array* read : {&x, &lengths, &state_in}) {
      state_out.check_no_overlap(*read);
      out.check_no_overlap(*read);
    }
    out.check_no_overlap(state_out);
    Message message;
    tidegate_status status;
    {
      const nb::gil_scoped_release release;
      status = tidegate_run(engine_, T, B, x.data<void>(), lengths.data<std::int32_t>(), state_in.data<std::uint8_t>(),
                            state_out.data<std::uint8_t>(), out.data<float>(), per_step, ends, threads, message.text,
                            sizeof message.text);
    }
    message.check(status);
  }

  void step_many(nb::handle ids_object, nb::handle x_object, nb::handle states_object, nb::handle out_object,
                 int threads) const {
    require_finished();
    const Array ids(ids_object.ptr(), "ids", kInt64, 1),
        x(x_object.ptr(), "x", info_.ids ? kInt32 : kFloat, has_one_id() ? 1 : 2),
        states(states_object.ptr(), "states", kByte, 2, true), out(out_object.ptr(), "out", kFloat, 2, true);
    const Py_ssize_t n = ids.shape(0);
    x.expect(0, n);
    if (!has_one_id()) x.expect(1, info_.inputs);
    states.expect(1, info_.state_bytes);
    out.expect(0, n).expect(1, info_.outputs);
    for (const Array* read : {&ids, &x}) {
      states.check_no_overlap(*read);
      out.check_no_overlap(*read);
    }
    out.check_no_overlap(states);
    Message message;
    tidegate_status status;
    {
      const nb::gil_scoped_release release;
      status = tidegate_step_many(engine_, n, ids.data<std::int64_t>(), x.data<void>(), states.shape(0),
                                  states.data<std::uint8_t>(), out.data<float>(), threads, message.text,
                                  sizeof message.text);
    }
    message.check(status);
  }

  void step_from(nb::handle x_object, nb::handle parents_object, nb::handle in_object, nb::handle owners_object,
                 nb::handle held_object, nb::handle out_state_object, nb::handle out_object, int threads) const {
    require_finished();
    const Array x(x_object.ptr(), "x", info_.ids ? kInt32 : kFloat, has_one_id() ? 1 : 2),
        parents(parents_object.ptr(), "parents", kInt64, 1), states_in(in_object.ptr(), "states_in", kByte, 2),
        owners(owners_object.ptr(), "owners", kInt64, 1), held(held_object.ptr(), "held", kByte, 2),
        states_out(out_state_object.ptr(), "states_out", kByte, 2, true), out(out_object.ptr(), "out", kFloat, 2, true);
    const Py_ssize_t n = x.shape(0), own = states_in.shape(1);
    if (!has_one_id()) x.expect(1, info_.inputs);
    parents.expect(0, n);
    owners.expect(0, n);
    held.expect(1, info_.state_bytes - own);
    states_out.expect(0, n).expect(1, own);
    out.expect(0, n).expect(1, info_.outputs);
    for (const Array* read : {&x, &parents, &states_in, &owners, &held}) {
      states_out.check_no_overlap(*read);
      out.check_no_overlap(*read);
    }
    out.check_no_overlap(states_out);
    Message message;
    tidegate_status status;
    {
      const nb::gil_scoped_release release;
      status = tidegate_step_from(engine_, n, x.data<void>(), parents.data<std::int64_t>(), states_in.shape(0),
                                  states_in.data<std::uint8_t>(), own, owners.data<std::int64_t>(), held.shape(0),
                                  held.data<std::uint8_t>(), states_out.data<std::uint8_t>(), out.data<float>(),
                                  threads, message.text, sizeof message.text);
    }
    message.check(status);
  }

 private:
  friend class Stepper;
  void require_finished() const {
    if (!info_.finished) fail(PyExc_ValueError, "the engine is not finished: call finish() before running it");
  }

  // Steps of one id each have no axis for it.
  bool has_one_id() const { return info_.ids && info_.inputs == 1; }

  tidegate_engine* engine_ = nullptr;
  tidegate_info info_ = {};
};

// Steps of one stream; its state and output are checked once, not at each step.
class Stepper {
 public:
  Stepper(const Engine& engine, nb::handle state_object, nb::handle out_object)
      : engine_(engine),
        state_(state_object.ptr(), "state", kByte, 1, true),
        out_(out_object.ptr(), "out", kFloat, 1, true) {
    engine.require_finished();
    state_.expect(0, engine.info_.state_bytes);
    out_.expect(0, engine.info_.outputs);
    out_.check_no_overlap(state_);
  }

  void step(nb::handle x_object) const {
    const Array x(x_object.ptr(), "x", engine_.info_.ids ? kInt32 : kFloat, 1);
    x.expect(0, engine_.info_.inputs);
    state_.check_no_overlap(x);
    Message message;
    message.check(tidegate_step(engine_.engine_, x.data<void>(), state_.data<std::uint8_t>(), out_.data<float>(),
                                message.text, sizeof message.text));
  }

 private:
  const Engine& engine_;
  Array state_, out_;
};

void step(const Engine& engine, nb::handle x, nb::handle state, nb::handle out) { Stepper(engine, state, out).step(x); }

std::vector<std::string> target_names(const char* name_of(std::int32_t, int), const std::string& precision) {
  std::vector<std::string> all;
  for (int i = 0; const char* name = name_of(parse_precision(precision), i); ++i) all.emplace_back(name);
  return all;
}

std::vector<std::string> compiled_targets(const std::string& precision) {
  return target_names(tidegate_compiled_target_in, precision);
}
std::vector<std::string> targets(const std::string& precision) { return target_names(tidegate_target_in, precision); }
std::string default_target(const std::string& precision) {
  const char* name = nullptr;
  Message message;
  message.check(tidegate_default_target_in(parse_precision(precision), &name, message.text, sizeof message.text));
  return name;
}

nb::dict errors() {
  nb::dict all;
  for (const std::string& target : compiled_targets("compute=bf16")) {
    nb::dict bounds;
    bounds["sigmoid_abs"] = TIDEGATE_SIGMOID_ABS;
    bounds["tanh_rel"] = TIDEGATE_TANH_REL;
    bounds["exp_rel"] = TIDEGATE_EXP_REL;
    all[target.c_str()] = bounds;
  }
  return all;
}

}  // namespace

NB_MODULE(_native, module) {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const tidegate::PythonError&) {  // Python's error is set already
    }
  });
  // None is allowed here so that Array reports it
  const auto array = [](const char* name) { return nb::arg(name).none(); };
  module.attr("OPERATIONS") = tidegate::list_operations();
  module.attr("ERRORS") = errors();
  const auto precision = nb::arg("precision") = "float32";
  module.def("compiled_targets", compiled_targets, precision);
  module.def("targets", targets, precision);
  module.def("default_target", default_target, precision);
  tidegate::bind_training(module);
  tidegate::bind_pooling(module);
  tidegate::bind_embedding_adamw(module);
  nb::class_<Stepper>(module, "Stepper")
      .def(nb::init<const Engine&, nb::handle, nb::handle>(), nb::arg("engine"), array("state"), array("out"),
           nb::keep_alive<1, 2>())
      .def("step", &Stepper::step, array("x"));
  nb::class_<Engine>(module, "Engine")
      .def(nb::init<const std::string&, std::int64_t, bool, const std::string&>(), nb::arg("target"),
           nb::arg("state_bytes"), nb::arg("fused") = true, precision)
      .def_prop_ro("target", &Engine::target)
      .def_prop_ro("fused_layers", &Engine::fused_layers)
      .def_prop_ro("inputs", &Engine::inputs)
      .def_prop_ro("outputs", &Engine::outputs)
      .def_prop_ro("look_ahead", &Engine::look_ahead)
      .def("add", &Engine::add, array("code"), array("joined"), array("consts"), nb::arg("tensors"), nb::arg("inputs"),
           nb::arg("ids"), nb::arg("output"), array("next"), array("state_offsets"), array("state_sizes"),
           nb::arg("ahead") = 0, nb::arg("sources") = std::vector<std::int32_t>(), nb::arg("first_column") = 0,
           nb::arg("add") = -1)
      .def("finish", &Engine::finish)
      .def("run", &Engine::run, array("x"), array("lengths"), array("state_in"), array("state_out"), array("out"),
           nb::arg("per_step"), nb::arg("threads"), nb::arg("ends") = false)
      .def("step", step, array("x"), array("state"), array("out"))
      .def("step_many", &Engine::step_many, array("ids"), array("x"), array("states"), array("out"),
           nb::arg("threads"))
      .def("step_from", &Engine::step_from, array("x"), array("parents"), array("states_in"), array("owners"),
           array("held"), array("states_out"), array("out"), nb::arg("threads"));
}
