// The Python functions for training recurrent cells; check that arrays fit the cell and each other.
#include "bind_training.h"

#include "message.h"

namespace nb = nanobind;
using tidegate::Array;
using tidegate::fail;
using tidegate::kFloat;
using tidegate::kInt64;
using tidegate::Message;

namespace {

struct CellShape {
  const char* name;
  Py_ssize_t gates, maps, states, params = 0;
};
constexpr CellShape kCells[TIDEGATE_CELLS] = {
    {"gru", 3, 3, 1},        {"gru replace", 3, 3, 1},        {"lstm", 4, 4, 2},
    {"rnn tanh", 1, 1, 1},   {"rnn relu", 1, 1, 1},           {"mingru", 2, 0, 1},
    {"gru before", 3, 3, 1}, {"gru before replace", 3, 3, 1}, {"lstm peepholes", 4, 4, 2, 3}};

std::int32_t parse_cell(const std::string& name) {
  std::string known;
  for (std::int32_t i = 0; i < TIDEGATE_CELLS; ++i) {
    if (name == kCells[i].name) return i;
    if (name == kCells[i].name + std::string(" norm")) return i + TIDEGATE_CELL_WITH_NORMS;
    known += (i ? ", " : "") + std::string(kCells[i].name);
  }
  fail(PyExc_ValueError, "unknown cell '%.64s'; choose one of %s, followed by ' norm' for a cell with norms",
       name.c_str(), known.c_str());
}

std::int64_t saved_size(const std::string& target, std::int32_t cell, std::int64_t size) {
  std::int64_t floats = 0;
  Message message;
  message.check(tidegate_train_saved_size(target.c_str(), cell, size, &floats, message.text, sizeof message.text));
  return floats;
}

// The arguments that both passes read.
struct CellInputs {
  CellInputs(const std::string& target_name, const std::string& cell_name, nb::handle x_object,
             nb::handle batch_sizes_object, nb::handle initial_object, nb::handle W_object, nb::handle b_object,
             nb::handle R_object, nb::handle c_object, nb::handle params_object)
      : target(target_name),
        cell(parse_cell(cell_name)),
        shape(kCells[cell & ~TIDEGATE_CELL_WITH_NORMS]),
        x(x_object.ptr(), "x", kFloat, 2),
        batch_sizes(batch_sizes_object.ptr(), "batch_sizes", kInt64, 1),
        initial_states(initial_object.ptr(), "initial_states", kFloat, 3),
        W(W_object.ptr(), "W", kFloat, 2),
        b(b_object.ptr(), "b", kFloat, 1),
        R(R_object.ptr(), "R", kFloat, 2),
        c(c_object.ptr(), "c", kFloat, 1),
        params(params_object.ptr(), "params", kFloat, 2),
        size(initial_states.shape(2)),
        saved(saved_size(target, cell, size)) {
    initial_states.expect(0, shape.states);
    W.expect(0, shape.gates * size).expect(1, x.shape(1));
    b.expect(0, shape.gates * size);
    R.expect(0, shape.maps * size).expect(1, size);
    c.expect(0, shape.maps * size);
    params.expect(0, shape.params + (cell & TIDEGATE_CELL_WITH_NORMS ? 2 * (shape.gates + shape.maps) : 0))
        .expect(1, size);
    x.expect(0, entries());
    training = {cell,
                batch_sizes.shape(0),
                x.shape(1),
                size,
                batch_sizes.data<std::int64_t>(),
                x.data<float>(),
                W.data<float>(),
                b.data<float>(),
                R.data<float>(),
                c.data<float>(),
                initial_states.data<float>(),
                params.data<float>()};
  }

  // Return the number of entries, the sum of batch_sizes.
  Py_ssize_t entries() const {
    const auto* const counts = batch_sizes.data<std::int64_t>();
    if (batch_sizes.shape(0) < 1 || counts[0] != initial_states.shape(1))
      fail(PyExc_ValueError, "batch_sizes must start with %zd, the number of rows of initial_states",
           initial_states.shape(1));
    Py_ssize_t sum = 0;
    for (Py_ssize_t t = 0; t < batch_sizes.shape(0); sum += static_cast<Py_ssize_t>(counts[t++]))
      if (counts[t] < 1 || counts[t] > counts[t > 0 ? t - 1 : 0])
        fail(PyExc_ValueError, "batch_sizes[%zd] must be from 1 to the size of the step before, found %lld", t,
             static_cast<long long>(counts[t]));
    return sum;
  }

  std::vector<const Array*> arrays() const { return {&x, &batch_sizes, &initial_states, &W, &b, &R, &c, &params}; }
  void check_state_shape(const Array& array) const {
    for (int axis = 0; axis < 3; ++axis) array.expect(axis, initial_states.shape(axis));
  }
  void check_output_shape(const Array& array) const { array.expect(0, x.shape(0)).expect(1, size); }

  const std::string target;
  const std::int32_t cell;
  const CellShape& shape;
  const Array x, batch_sizes, initial_states, W, b, R, c, params;
  const Py_ssize_t size;
  const std::int64_t saved;
  tidegate_training training;
};

// An array that may be None.
class OptionalArray {
 public:
  OptionalArray(nb::handle object, const char* name, int dimensions, bool write) {
    if (!object.is_none()) array_ = std::make_unique<Array>(object.ptr(), name, kFloat, dimensions, write);
  }
  const Array* operator->() const { return array_.get(); }
  const Array* get() const { return array_.get(); }
  explicit operator bool() const { return array_ != nullptr; }
  float* data() const { return array_ ? array_->data<float>() : nullptr; }

 private:
  std::unique_ptr<Array> array_;
};

void forward(const std::string& target, const std::string& cell, nb::handle x, nb::handle batch_sizes,
             nb::handle initial_states, nb::handle W, nb::handle b, nb::handle R, nb::handle c, nb::handle params,
             nb::handle y_object, nb::handle final_object, nb::handle saved_object, int threads) {
  const CellInputs inputs(target, cell, x, batch_sizes, initial_states, W, b, R, c, params);
  const Array y(y_object.ptr(), "y", kFloat, 2, true),
      final_states(final_object.ptr(), "final_states", kFloat, 3, true);
  const OptionalArray saved(saved_object, "saved", 2, true);
  inputs.check_output_shape(y);
  inputs.check_state_shape(final_states);
  if (saved) saved->expect(0, inputs.x.shape(0)).expect(1, inputs.saved);
  Array::check_no_overlap({&y, &final_states, saved.get()}, inputs.arrays());
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_forward(target.c_str(), &inputs.training, y.data<float>(), final_states.data<float>(),
                                    saved.data(), threads, message.text, sizeof message.text);
  }
  message.check(status);
}

void backward(const std::string& target, const std::string& cell, nb::handle x, nb::handle batch_sizes,
              nb::handle initial_states, nb::handle W, nb::handle b, nb::handle R, nb::handle c, nb::handle params,
              nb::handle y_object, nb::handle saved_object, nb::handle dy_object, nb::handle dfinal_object,
              nb::handle dx_object, nb::handle dinitial_object, nb::handle dW_object, nb::handle db_object,
              nb::handle dR_object, nb::handle dc_object, nb::handle dparams_object, int threads) {
  const CellInputs inputs(target, cell, x, batch_sizes, initial_states, W, b, R, c, params);
  const Array y(y_object.ptr(), "y", kFloat, 2), saved(saved_object.ptr(), "saved", kFloat, 2),
      dy(dy_object.ptr(), "dy", kFloat, 2), dfinal_states(dfinal_object.ptr(), "dfinal_states", kFloat, 3),
      dinitial_states(dinitial_object.ptr(), "dinitial_states", kFloat, 3, true),
      dW(dW_object.ptr(), "dW", kFloat, 2, true), db(db_object.ptr(), "db", kFloat, 1, true),
      dR(dR_object.ptr(), "dR", kFloat, 2, true), dc(dc_object.ptr(), "dc", kFloat, 1, true),
      dparams(dparams_object.ptr(), "dparams", kFloat, 2, true);
  const OptionalArray dx(dx_object, "dx", 2, true);
  inputs.check_output_shape(y);
  inputs.check_output_shape(dy);
  inputs.check_state_shape(dfinal_states);
  inputs.check_state_shape(dinitial_states);
  saved.expect(0, inputs.x.shape(0)).expect(1, inputs.saved);
  if (dx) dx->expect(0, inputs.x.shape(0)).expect(1, inputs.x.shape(1));
  dW.expect(0, inputs.W.shape(0)).expect(1, inputs.W.shape(1));
  db.expect(0, inputs.b.shape(0));
  dR.expect(0, inputs.R.shape(0)).expect(1, inputs.R.shape(1));
  dc.expect(0, inputs.c.shape(0));
  dparams.expect(0, inputs.params.shape(0)).expect(1, inputs.size);
  std::vector<const Array*> arrays = inputs.arrays();
  arrays.insert(arrays.end(), {&y, &saved, &dy, &dfinal_states});
  Array::check_no_overlap({dx.get(), &dinitial_states, &dW, &db, &dR, &dc, &dparams}, arrays);
  const tidegate_gradients gradients = {y.data<float>(),
                                        saved.data<float>(),
                                        dy.data<float>(),
                                        dfinal_states.data<float>(),
                                        dx.data(),
                                        dinitial_states.data<float>(),
                                        dW.data<float>(),
                                        db.data<float>(),
                                        dR.data<float>(),
                                        dc.data<float>(),
                                        dparams.data<float>()};
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_backward(target.c_str(), &inputs.training, &gradients, threads, message.text,
                                     sizeof message.text);
  }
  message.check(status);
}

}  // namespace

void tidegate::bind_training(nb::module_& module) {
  // None is allowed here so that Array reports it
  const auto array = [](const char* name) { return nb::arg(name).none(); };
  module.def("train_saved_size", [](const std::string& target, const std::string& cell, std::int64_t size) {
    return saved_size(target, parse_cell(cell), size);
  });
  module.def("train_forward", forward, nb::arg("target"), nb::arg("cell"), array("x"), array("batch_sizes"),
             array("initial_states"), array("W"), array("b"), array("R"), array("c"), array("params"), array("y"),
             array("final_states"), array("saved"), nb::arg("threads"));
  module.def("train_backward", backward, nb::arg("target"), nb::arg("cell"), array("x"), array("batch_sizes"),
             array("initial_states"), array("W"), array("b"), array("R"), array("c"), array("params"), array("y"),
             array("saved"), array("dy"), array("dfinal_states"), array("dx"), array("dinitial_states"), array("dW"),
             array("db"), array("dR"), array("dc"), array("dparams"), nb::arg("threads"));
}
