// The Python functions for pooling in training; check that arrays fit each other.
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

// The arguments that both passes read.
struct PoolInputs {
  PoolInputs(nb::handle x_object, nb::handle batch_sizes_object, nb::handle ends_object, nb::handle over_object,
             nb::handle score_object, float score_bias)
      : x(x_object.ptr(), "x", kFloat, 2),
        batch_sizes(batch_sizes_object.ptr(), "batch_sizes", kInt64, 1),
        ends(ends_object.ptr(), "ends", kInt64, 2),
        over(over_object.ptr(), "over", kInt32, 1) {
    if (!score_object.is_none()) {
      score = std::make_unique<Array>(score_object.ptr(), "score", kFloat, 1);
      score->expect(0, x.shape(1));
    }
    if (batch_sizes.shape(0) < 1) fail(PyExc_ValueError, "batch_sizes must have at least one step, found none");
    const auto* const counts = batch_sizes.data<std::int64_t>();
    Py_ssize_t sum = 0;
    for (Py_ssize_t t = 0; t < batch_sizes.shape(0); ++t) {
      if (counts[t] < 1 || counts[t] > counts[t > 0 ? t - 1 : 0])
        fail(PyExc_ValueError, "batch_sizes[%zd] must be from 1 to the size of the step before, found %lld", t,
             static_cast<long long>(counts[t]));
      sum += static_cast<Py_ssize_t>(counts[t]);
      if (sum > x.shape(0)) break;  // before the sum can overflow; the check of x below fails then
    }
    x.expect(0, sum);
    ends.expect(1, static_cast<Py_ssize_t>(counts[0]));
    pooling = {batch_sizes.shape(0),
               x.shape(1),
               counts,
               x.data<float>(),
               ends.shape(0),
               ends.data<std::int64_t>(),
               static_cast<std::int32_t>(over.shape(0)),
               over.data<std::int32_t>(),
               score ? score->data<float>() : nullptr,
               score_bias};
  }

  void check_output_shape(const Array& array) const {
    array.expect(0, ends.shape(0)).expect(1, ends.shape(1)).expect(2, over.shape(0) * x.shape(1));
  }

  const Array x, batch_sizes, ends, over;
  std::unique_ptr<Array> score;
  tidegate_pooling pooling;
};

void forward(const std::string& target, nb::handle x, nb::handle batch_sizes, nb::handle ends, nb::handle over,
             nb::handle score, float score_bias, nb::handle out_object, int threads) {
  const PoolInputs inputs(x, batch_sizes, ends, over, score, score_bias);
  const Array out(out_object.ptr(), "out", kFloat, 3, true);
  inputs.check_output_shape(out);
  Array::check_no_overlap({&out}, {&inputs.x, inputs.score.get()});
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_pool_forward(target.c_str(), &inputs.pooling, out.data<float>(), threads, message.text,
                                         sizeof message.text);
  }
  message.check(status);
}

void backward(const std::string& target, nb::handle x, nb::handle batch_sizes, nb::handle ends, nb::handle over,
              nb::handle score, float score_bias, nb::handle out_object, nb::handle dout_object, nb::handle dx_object,
              nb::handle dscore_object, nb::handle dbias_object, int threads) {
  const PoolInputs inputs(x, batch_sizes, ends, over, score, score_bias);
  const Array out(out_object.ptr(), "out", kFloat, 3), dout(dout_object.ptr(), "dout", kFloat, 3),
      dx(dx_object.ptr(), "dx", kFloat, 2, true), dscore(dscore_object.ptr(), "dscore", kFloat, 1, true),
      dbias(dbias_object.ptr(), "dbias", kFloat, 1, true);
  inputs.check_output_shape(out);
  inputs.check_output_shape(dout);
  dx.expect(0, inputs.x.shape(0)).expect(1, inputs.x.shape(1));
  Array::check_no_overlap({&dx, &dscore, &dbias}, {&inputs.x, &out, &dout, inputs.score.get()});
  dscore.expect(0, inputs.x.shape(1));
  dbias.expect(0, 1);
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_pool_backward(target.c_str(), &inputs.pooling, out.data<float>(), dout.data<float>(),
                                          dx.data<float>(), dscore.data<float>(), dbias.data<float>(), threads,
                                          message.text, sizeof message.text);
  }
  message.check(status);
}

}  // namespace

void tidegate::bind_pooling(nb::module_& module) {
  // None is allowed here so that Array reports it
  const auto array = [](const char* name) { return nb::arg(name).none(); };
  module.def("train_pool_forward", forward, nb::arg("target"), array("x"), array("batch_sizes"), array("ends"),
             array("over"), array("score"), nb::arg("score_bias"), array("out"), nb::arg("threads"));
  module.def("train_pool_backward", backward, nb::arg("target"), array("x"), array("batch_sizes"), array("ends"),
             array("over"), array("score"), nb::arg("score_bias"), array("out"), array("dout"), array("dx"),
             array("dscore"), array("dbias"), nb::arg("threads"));
}
