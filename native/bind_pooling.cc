// The Python functions of pools in training: arrays checked against one another.
#include "bind_training.h"

#include "message.h"

namespace nb = nanobind;
using tidegate::Array;
using tidegate::fail;
using tidegate::kFloat;
using tidegate::kInt32;
using tidegate::kInt64;
using tidegate::Message;

namespace {

// What both ways read, held and checked.
struct Given {
  Given(nb::handle x_object, nb::handle rows_object, nb::handle ends_object, nb::handle over_object,
        nb::handle score_object, float score_bias)
      : x(x_object.ptr(), "x", kFloat, 2), rows(rows_object.ptr(), "rows", kInt64, 1),
        ends(ends_object.ptr(), "ends", kInt64, 2), over(over_object.ptr(), "over", kInt32, 1) {
    if (!score_object.is_none()) {
      score = std::make_unique<Array>(score_object.ptr(), "score", kFloat, 1);
      score->expect(0, x.shape(1));
    }
    if (rows.shape(0) < 1) fail(PyExc_ValueError, "rows must have a step, found none");
    const auto* const counts = rows.data<std::int64_t>();
    Py_ssize_t sum = 0;
    for (Py_ssize_t t = 0; t < rows.shape(0); ++t) {
      if (counts[t] < 1 || counts[t] > counts[t > 0 ? t - 1 : 0])
        fail(PyExc_ValueError, "rows[%zd] must be from 1 to those of the step before, found %lld", t,
             static_cast<long long>(counts[t]));
      sum += static_cast<Py_ssize_t>(counts[t]);
      if (sum > x.shape(0)) break;  // before a sum of anything grows too large; x is refused below
    }
    x.expect(0, sum);
    ends.expect(1, static_cast<Py_ssize_t>(counts[0]));
    pooling = {rows.shape(0), x.shape(1), counts, x.data<float>(), ends.shape(0), ends.data<std::int64_t>(),
               static_cast<std::int32_t>(over.shape(0)), over.data<std::int32_t>(),
               score ? score->data<float>() : nullptr, score_bias};
  }

  void like_values(const Array& array) const {
    array.expect(0, ends.shape(0)).expect(1, ends.shape(1)).expect(2, over.shape(0) * x.shape(1));
  }

  const Array x, rows, ends, over;
  std::unique_ptr<Array> score;
  tidegate_pooling pooling;
};

void forward(const std::string& target, nb::handle x, nb::handle rows, nb::handle ends, nb::handle over,
             nb::handle score, float score_bias, nb::handle out_object, int threads) {
  const Given given(x, rows, ends, over, score, score_bias);
  const Array out(out_object.ptr(), "out", kFloat, 3, true);
  given.like_values(out);
  Array::apart({&out}, {&given.x, given.score.get()});
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_pool_forward(target.c_str(), &given.pooling, out.data<float>(), threads, message.text,
                                         sizeof message.text);
  }
  message.raise(status);
}

void backward(const std::string& target, nb::handle x, nb::handle rows, nb::handle ends, nb::handle over,
              nb::handle score, float score_bias, nb::handle out_object, nb::handle dout_object, nb::handle dx_object,
              nb::handle dscore_object, nb::handle dbias_object, int threads) {
  const Given given(x, rows, ends, over, score, score_bias);
  const Array out(out_object.ptr(), "out", kFloat, 3), dout(dout_object.ptr(), "dout", kFloat, 3),
      dx(dx_object.ptr(), "dx", kFloat, 2, true), dscore(dscore_object.ptr(), "dscore", kFloat, 1, true),
      dbias(dbias_object.ptr(), "dbias", kFloat, 1, true);
  given.like_values(out);
  given.like_values(dout);
  dx.expect(0, given.x.shape(0)).expect(1, given.x.shape(1));
  Array::apart({&dx, &dscore, &dbias}, {&given.x, &out, &dout, given.score.get()});
  dscore.expect(0, given.x.shape(1));
  dbias.expect(0, 1);
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_pool_backward(target.c_str(), &given.pooling, out.data<float>(), dout.data<float>(),
                                          dx.data<float>(), dscore.data<float>(), dbias.data<float>(), threads,
                                          message.text, sizeof message.text);
  }
  message.raise(status);
}

}  // namespace

void tidegate::bind_pooling(nb::module_& module) {
  const auto array = [](const char* name) { return nb::arg(name).none(); };  // None reaches the sentence of Array
  module.def("train_pool_forward", forward, nb::arg("target"), array("x"), array("rows"), array("ends"), array("over"),
             array("score"), nb::arg("score_bias"), array("out"), nb::arg("threads"));
  module.def("train_pool_backward", backward, nb::arg("target"), array("x"), array("rows"), array("ends"),
             array("over"), array("score"), nb::arg("score_bias"), array("out"), array("dout"), array("dx"),
             array("dscore"), array("dbias"), nb::arg("threads"));
}
