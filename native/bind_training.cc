// The Python functions of training: arrays checked against the figures of their cell.
#include "bind_training.h"

#include "message.h"

namespace nb = nanobind;
using tidegate::Array;
using tidegate::fail;
using tidegate::kFloat;
using tidegate::kInt64;
using tidegate::Message;

namespace {

struct Cell {
  const char* name;
  Py_ssize_t gates, maps, states, own = 0;
};
constexpr Cell kCells[TIDEGATE_CELLS] = {{"gru", 3, 3, 1},      {"gru replace", 3, 3, 1}, {"lstm", 4, 4, 2},
                                         {"rnn tanh", 1, 1, 1}, {"rnn relu", 1, 1, 1},    {"mingru", 2, 0, 1},
                                         {"gru before", 3, 3, 1}, {"gru before replace", 3, 3, 1},
                                         {"lstm peepholes", 4, 4, 2, 3}};

std::int32_t cell_number(const std::string& name) {
  std::string known;
  for (std::int32_t i = 0; i < TIDEGATE_CELLS; ++i) {
    if (name == kCells[i].name) return i;
    if (name == kCells[i].name + std::string(" norm")) return i + TIDEGATE_CELL_NORMED;
    known += (i ? ", " : "") + std::string(kCells[i].name);
  }
  fail(PyExc_ValueError, "unknown cell '%.64s'; choose one of %s, with ' norm' behind it for its norms", name.c_str(), known.c_str());
}

std::int64_t saved_floats(const std::string& target, std::int32_t cell, std::int64_t size) {
  std::int64_t floats = 0;
  Message message;
  message.raise(tidegate_train_saved(target.c_str(), cell, size, &floats, message.text, sizeof message.text));
  return floats;
}

// What both ways read, held and checked.
struct Given {
  Given(const std::string& target_name, const std::string& cell_name, nb::handle x_object, nb::handle rows_object,
        nb::handle first_object, nb::handle W_object, nb::handle b_object, nb::handle R_object, nb::handle c_object, nb::handle own_object)
      : target(target_name), cell(cell_number(cell_name)), facts(kCells[cell & ~TIDEGATE_CELL_NORMED]), x(x_object.ptr(), "x", kFloat, 2),
        rows(rows_object.ptr(), "rows", kInt64, 1), first(first_object.ptr(), "first", kFloat, 3),
        W(W_object.ptr(), "W", kFloat, 2), b(b_object.ptr(), "b", kFloat, 1), R(R_object.ptr(), "R", kFloat, 2),
        c(c_object.ptr(), "c", kFloat, 1), own(own_object.ptr(), "own", kFloat, 2), size(first.shape(2)), saved(saved_floats(target, cell, size)) {
    first.expect(0, facts.states);
    W.expect(0, facts.gates * size).expect(1, x.shape(1));
    b.expect(0, facts.gates * size);
    R.expect(0, facts.maps * size).expect(1, size);
    c.expect(0, facts.maps * size);
    own.expect(0, facts.own + (cell & TIDEGATE_CELL_NORMED ? 2 * (facts.gates + facts.maps) : 0)).expect(1, size);
    x.expect(0, entries());
    training = {cell, rows.shape(0), x.shape(1), size, rows.data<std::int64_t>(), x.data<float>(), W.data<float>(),
                b.data<float>(), R.data<float>(), c.data<float>(), first.data<float>(), own.data<float>()};
  }

  // How many there are, by `rows`.
  Py_ssize_t entries() const {
    const auto* const counts = rows.data<std::int64_t>();
    if (rows.shape(0) < 1 || counts[0] != first.shape(1))
      fail(PyExc_ValueError, "rows must begin with the %zd rows of first", first.shape(1));
    Py_ssize_t sum = 0;
    for (Py_ssize_t t = 0; t < rows.shape(0); sum += static_cast<Py_ssize_t>(counts[t++]))
      if (counts[t] < 1 || counts[t] > counts[t > 0 ? t - 1 : 0])
        fail(PyExc_ValueError, "rows[%zd] must be from 1 to those of the step before, found %lld", t,
             static_cast<long long>(counts[t]));
    return sum;
  }

  std::vector<const Array*> read() const { return {&x, &rows, &first, &W, &b, &R, &c, &own}; }
  void like_first(const Array& array) const {
    for (int axis = 0; axis < 3; ++axis) array.expect(axis, first.shape(axis));
  }
  void like_outputs(const Array& array) const { array.expect(0, x.shape(0)).expect(1, size); }

  const std::string target;
  const std::int32_t cell;
  const Cell& facts;
  const Array x, rows, first, W, b, R, c, own;
  const Py_ssize_t size;
  const std::int64_t saved;
  tidegate_training training;
};

// An array that may be None.
class Optional {
 public:
  Optional(nb::handle object, const char* name, int dimensions, bool write) {
    if (!object.is_none()) array_ = std::make_unique<Array>(object.ptr(), name, kFloat, dimensions, write);
  }
  const Array* operator->() const { return array_.get(); }
  const Array* get() const { return array_.get(); }
  explicit operator bool() const { return array_ != nullptr; }
  float* data() const { return array_ ? array_->data<float>() : nullptr; }

 private:
  std::unique_ptr<Array> array_;
};

void forward(const std::string& target, const std::string& cell, nb::handle x, nb::handle rows, nb::handle first,
             nb::handle W, nb::handle b, nb::handle R, nb::handle c, nb::handle own, nb::handle y_object, nb::handle last_object,
             nb::handle saved_object, int threads) {
  const Given given(target, cell, x, rows, first, W, b, R, c, own);
  const Array y(y_object.ptr(), "y", kFloat, 2, true), last(last_object.ptr(), "last", kFloat, 3, true);
  const Optional saved(saved_object, "saved", 2, true);
  given.like_outputs(y);
  given.like_first(last);
  if (saved) saved->expect(0, given.x.shape(0)).expect(1, given.saved);
  Array::apart({&y, &last, saved.get()}, given.read());
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_forward(target.c_str(), &given.training, y.data<float>(), last.data<float>(), saved.data(),
                                    threads, message.text, sizeof message.text);
  }
  message.raise(status);
}

void backward(const std::string& target, const std::string& cell, nb::handle x, nb::handle rows, nb::handle first,
              nb::handle W, nb::handle b, nb::handle R, nb::handle c, nb::handle own, nb::handle y_object, nb::handle saved_object,
              nb::handle dy_object, nb::handle dlast_object, nb::handle dx_object, nb::handle dfirst_object,
              nb::handle dW_object, nb::handle db_object, nb::handle dR_object, nb::handle dc_object, nb::handle down_object, int threads) {
  const Given given(target, cell, x, rows, first, W, b, R, c, own);
  const Array y(y_object.ptr(), "y", kFloat, 2), saved(saved_object.ptr(), "saved", kFloat, 2),
      dy(dy_object.ptr(), "dy", kFloat, 2), dlast(dlast_object.ptr(), "dlast", kFloat, 3),
      dfirst(dfirst_object.ptr(), "dfirst", kFloat, 3, true), dW(dW_object.ptr(), "dW", kFloat, 2, true),
      db(db_object.ptr(), "db", kFloat, 1, true), dR(dR_object.ptr(), "dR", kFloat, 2, true),
      dc(dc_object.ptr(), "dc", kFloat, 1, true), down(down_object.ptr(), "down", kFloat, 2, true);
  const Optional dx(dx_object, "dx", 2, true);
  given.like_outputs(y);
  given.like_outputs(dy);
  given.like_first(dlast);
  given.like_first(dfirst);
  saved.expect(0, given.x.shape(0)).expect(1, given.saved);
  if (dx) dx->expect(0, given.x.shape(0)).expect(1, given.x.shape(1));
  dW.expect(0, given.W.shape(0)).expect(1, given.W.shape(1));
  db.expect(0, given.b.shape(0));
  dR.expect(0, given.R.shape(0)).expect(1, given.R.shape(1));
  dc.expect(0, given.c.shape(0));
  down.expect(0, given.own.shape(0)).expect(1, given.size);
  std::vector<const Array*> read = given.read();
  read.insert(read.end(), {&y, &saved, &dy, &dlast});
  Array::apart({dx.get(), &dfirst, &dW, &db, &dR, &dc, &down}, read);
  const tidegate_gradients gradients = {y.data<float>(),  saved.data<float>(), dy.data<float>(), dlast.data<float>(),
                                        dx.data(),        dfirst.data<float>(), dW.data<float>(), db.data<float>(),
                                        dR.data<float>(), dc.data<float>(), down.data<float>()};
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_backward(target.c_str(), &given.training, &gradients, threads, message.text,
                                     sizeof message.text);
  }
  message.raise(status);
}

}  // namespace

void tidegate::bind_training(nb::module_& module) {
  const auto array = [](const char* name) { return nb::arg(name).none(); };  // None reaches the sentence of Array
  module.def("train_saved", [](const std::string& target, const std::string& cell, std::int64_t size) {
    return saved_floats(target, cell_number(cell), size);
  });
  module.def("train_forward", forward, nb::arg("target"), nb::arg("cell"), array("x"), array("rows"), array("first"),
             array("W"), array("b"), array("R"), array("c"), array("own"), array("y"), array("last"), array("saved"),
             nb::arg("threads"));
  module.def("train_backward", backward, nb::arg("target"), nb::arg("cell"), array("x"), array("rows"), array("first"),
             array("W"), array("b"), array("R"), array("c"), array("own"), array("y"), array("saved"), array("dy"), array("dlast"),
             array("dx"), array("dfirst"), array("dW"), array("db"), array("dR"), array("dc"), array("down"), nb::arg("threads"));
}
