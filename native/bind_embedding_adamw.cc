// The Python functions for the embedding and for AdamW; check that arrays fit each other.
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

using OptionalArray = std::unique_ptr<Array>;

OptionalArray read_optional(nb::handle object, const char* name, tidegate::ElementType kind, int dimensions) {
  return object.is_none() ? nullptr : std::make_unique<Array>(object.ptr(), name, kind, dimensions);
}

// Dropout bytes for entries of H numbers; null for no dropout.
tidegate_embedding make_embedding(Py_ssize_t rows, const Array& ids, const Array& numbers, const OptionalArray& random,
                                  int level) {
  numbers.expect(0, ids.shape(0));
  if (random) random->expect(0, ids.shape(0)).expect(1, numbers.shape(1));
  return {rows, numbers.shape(1), ids.shape(0), ids.data<std::int64_t>(),
          random ? random->data<std::uint8_t>() : nullptr, level};
}

void embed_forward(nb::handle table_object, nb::handle ids_object, nb::handle random_object, int level,
                   nb::handle out_object) {
  const Array table(table_object.ptr(), "table", kFloat, 2), ids(ids_object.ptr(), "ids", kInt64, 1),
      out(out_object.ptr(), "out", kFloat, 2, true);
  const OptionalArray random = read_optional(random_object, "random", kByte, 2);
  out.expect(1, table.shape(1)).check_no_overlap(table);
  const tidegate_embedding args = make_embedding(table.shape(0), ids, out, random, level);
  Message message;
  message.check(
      tidegate_train_embed_forward(&args, table.data<float>(), out.data<float>(), message.text, sizeof message.text));
}

void embed_backward(nb::handle slots_object, nb::handle random_object, int level, nb::handle dout_object,
                    nb::handle values_object) {
  const Array slots(slots_object.ptr(), "slots", kInt64, 1), dout(dout_object.ptr(), "dout", kFloat, 2),
      values(values_object.ptr(), "values", kFloat, 2, true);
  const OptionalArray random = read_optional(random_object, "random", kByte, 2);
  values.expect(1, dout.shape(1)).check_no_overlap(dout);
  const tidegate_embedding args = make_embedding(values.shape(0), slots, dout, random, level);
  Message message;
  message.check(tidegate_train_embed_backward(&args, slots.data<std::int64_t>(), values.shape(0), dout.data<float>(),
                                              values.data<float>(), message.text, sizeof message.text));
}

void adamw(nb::handle weights_object, nb::handle mean_object, nb::handle square_object, nb::handle row_ids_object,
           nb::handle gradient_object, float factor, std::int64_t step, double rate, double beta1, double beta2,
           double eps, double decay) {
  const Array weights(weights_object.ptr(), "weights", kFloat, 2, true),
      mean(mean_object.ptr(), "mean", kFloat, 2, true),
      square(square_object.ptr(), "square", kFloat, 2, true), gradient(gradient_object.ptr(), "gradient", kFloat, 2);
  const OptionalArray row_ids = read_optional(row_ids_object, "row_ids", kInt64, 1);
  for (const Array* like : {&mean, &square}) like->expect(0, weights.shape(0)).expect(1, weights.shape(1));
  gradient.expect(0, row_ids ? row_ids->shape(0) : weights.shape(0)).expect(1, weights.shape(1));
  for (const Array* other : {&mean, &square, &gradient}) weights.check_no_overlap(*other);
  for (const Array* other : {&square, &gradient}) mean.check_no_overlap(*other);
  square.check_no_overlap(gradient);
  const tidegate_adamw args = {weights.shape(0), weights.shape(1), step, rate, beta1, beta2, eps, decay, factor};
  Message message;
  tidegate_status status;
  {
    const nb::gil_scoped_release release;
    status = tidegate_train_adamw(&args, weights.data<float>(), mean.data<float>(), square.data<float>(),
                                  row_ids ? row_ids->data<std::int64_t>() : nullptr, gradient.shape(0),
                                  gradient.data<float>(), message.text, sizeof message.text);
  }
  message.check(status);
}

}  // namespace

void tidegate::bind_embedding_adamw(nb::module_& module) {
  // None is allowed here so that Array reports it
  const auto array = [](const char* name) { return nb::arg(name).none(); };
  module.def("train_embed_forward", embed_forward, array("table"), array("ids"), array("random"), nb::arg("level"),
             array("out"));
  module.def("train_embed_backward", embed_backward, array("slots"), array("random"), nb::arg("level"), array("dout"),
             array("values"));
  module.def("train_adamw", adamw, array("weights"), array("mean"), array("square"), array("row_ids"),
             array("gradient"), nb::arg("factor"), nb::arg("step"), nb::arg("rate"), nb::arg("beta1"), nb::arg("beta2"),
             nb::arg("eps"), nb::arg("decay"));
}
