// The Python functions of a table's rows and of the optimiser in training: arrays checked against one another.
#include "bind_training.h"

#include "message.h"

namespace nb = nanobind;
using tidegate::Array;
using tidegate::fail;
using tidegate::kByte;
using tidegate::kFloat;
using tidegate::kInt64;
using tidegate::Message;

namespace {

using Maybe = std::unique_ptr<Array>;

Maybe maybe(nb::handle object, const char* name, tidegate::Kind kind, int dimensions) {
  return object.is_none() ? nullptr : std::make_unique<Array>(object.ptr(), name, kind, dimensions);
}

// Random bytes of entries of H numbers; where there are none, all stays.
tidegate_embedding embedding(Py_ssize_t rows, const Array& ids, const Array& numbers, const Maybe& random, int level) {
  numbers.expect(0, ids.shape(0));
  if (random) random->expect(0, ids.shape(0)).expect(1, numbers.shape(1));
  return {rows, numbers.shape(1), ids.shape(0), ids.data<std::int64_t>(),
          random ? random->data<std::uint8_t>() : nullptr, level};
}

void embed_forward(nb::handle table_object, nb::handle ids_object, nb::handle random_object, int level,
                   nb::handle out_object) {
  const Array table(table_object.ptr(), "table", kFloat, 2), ids(ids_object.ptr(), "ids", kInt64, 1),
      out(out_object.ptr(), "out", kFloat, 2, true);
  const Maybe random = maybe(random_object, "random", kByte, 2);
  out.expect(1, table.shape(1)).apart(table);
  const tidegate_embedding given = embedding(table.shape(0), ids, out, random, level);
  Message message;
  message.raise(tidegate_train_embed_forward(&given, table.data<float>(), out.data<float>(), message.text,
                                             sizeof message.text));
}

void embed_backward(nb::handle slots_object, nb::handle random_object, int level, nb::handle dout_object,
                    nb::handle values_object) {
  const Array slots(slots_object.ptr(), "slots", kInt64, 1), dout(dout_object.ptr(), "dout", kFloat, 2),
      values(values_object.ptr(), "values", kFloat, 2, true);
  const Maybe random = maybe(random_object, "random", kByte, 2);
  values.expect(1, dout.shape(1)).apart(dout);
  const tidegate_embedding given = embedding(values.shape(0), slots, dout, random, level);
  Message message;
  message.raise(tidegate_train_embed_backward(&given, slots.data<std::int64_t>(), values.shape(0), dout.data<float>(),
                                              values.data<float>(), message.text, sizeof message.text));
}

void adamw(nb::handle weights_object, nb::handle mean_object, nb::handle square_object, nb::handle which_object,
           nb::handle gradient_object, float factor, std::int64_t step, double rate, double beta1, double beta2,
           double eps, double decay) {
  const Array weights(weights_object.ptr(), "weights", kFloat, 2, true), mean(mean_object.ptr(), "mean", kFloat, 2, true),
      square(square_object.ptr(), "square", kFloat, 2, true), gradient(gradient_object.ptr(), "gradient", kFloat, 2);
  const Maybe which = maybe(which_object, "which", kInt64, 1);
  for (const Array* like : {&mean, &square}) like->expect(0, weights.shape(0)).expect(1, weights.shape(1));
  gradient.expect(0, which ? which->shape(0) : weights.shape(0)).expect(1, weights.shape(1));
  for (const Array* other : {&mean, &square, &gradient}) weights.apart(*other);
  for (const Array* other : {&square, &gradient}) mean.apart(*other);
  square.apart(gradient);
  const tidegate_adamw given = {weights.shape(0), weights.shape(1), step, rate, beta1, beta2, eps, decay, factor};
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_adamw(&given, weights.data<float>(), mean.data<float>(), square.data<float>(),
                                  which ? which->data<std::int64_t>() : nullptr, gradient.shape(0),
                                  gradient.data<float>(), message.text, sizeof message.text);
  }
  message.raise(status);
}

}  // namespace

void tidegate::bind_learning(nb::module_& module) {
  const auto array = [](const char* name) { return nb::arg(name).none(); };  // None reaches the sentence of Array
  module.def("train_embed_forward", embed_forward, array("table"), array("ids"), array("random"), nb::arg("level"),
             array("out"));
  module.def("train_embed_backward", embed_backward, array("slots"), array("random"), nb::arg("level"), array("dout"),
             array("values"));
  module.def("train_adamw", adamw, array("weights"), array("mean"), array("square"), array("which"), array("gradient"),
             nb::arg("factor"), nb::arg("step"), nb::arg("rate"), nb::arg("beta1"), nb::arg("beta2"), nb::arg("eps"),
             nb::arg("decay"));
}
