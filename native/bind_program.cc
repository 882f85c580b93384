#include "bind_program.h"

#include <memory>
#include <vector>

#include "message.h"

namespace nb = nanobind;

namespace tidegate {

nb::dict list_operations() {
  constexpr const char* kNames[TIDEGATE_OPERATIONS] = {
      "input", "take", "state", "steps", "tensor", "const", "affine", "matmul",  "select",  "expand",  "part",
      "concat", "sum", "peak",  "mean",  "dot",    "push",  "bag",  "neg",    "abs",     "exp",     "sigmoid", "tanh",
      "relu",  "norm", "sqrt",  "add",   "sub",    "mul",   "div",    "minimum", "maximum", "less"};
  nb::dict all;
  for (int i = 0; i < TIDEGATE_OPERATIONS; ++i) all[kNames[i]] = i;
  return all;
}

void add_node(tidegate_engine* engine, tidegate_node& node, const ProgramArrays& arrays, const nb::list& tensor_list) {
  const Array code(arrays.code.ptr(), "code", kInt32, 2), joined(arrays.joined.ptr(), "joined", kInt32, 1),
      consts(arrays.consts.ptr(), "consts", kFloat, 1), next(arrays.next.ptr(), "next", kInt32, 1),
      offsets(arrays.offsets.ptr(), "state_offsets", kInt32, 1), sizes(arrays.sizes.ptr(), "state_sizes", kInt32, 1);
  code.expect(1, TIDEGATE_OPERATION_WIDTH);
  offsets.expect(0, next.shape(0));
  sizes.expect(0, next.shape(0));
  std::vector<std::unique_ptr<Array>> copies;
  std::vector<const float*> tensors;
  std::vector<std::int64_t> tensor_sizes;
  for (nb::handle object : tensor_list) {
    copies.push_back(std::make_unique<Array>(object.ptr(), "tensors", kFloat, 1));
    tensors.push_back(copies.back()->data<float>());
    tensor_sizes.push_back(copies.back()->shape(0));
  }
  tidegate_program& program = node.program;
  program.operations = to_int32(code.shape(0)), program.code = code.data<std::int32_t>();
  program.joined_count = to_int32(joined.shape(0)), program.joined = joined.data<std::int32_t>();
  program.consts_count = to_int32(consts.shape(0)), program.consts = consts.data<float>();
  program.tensors_count = to_int32(static_cast<Py_ssize_t>(tensors.size()));
  program.tensors = tensors.data(), program.tensor_sizes = tensor_sizes.data();
  program.states = to_int32(next.shape(0)), program.next = next.data<std::int32_t>();
  program.state_offsets = offsets.data<std::int32_t>(), program.state_sizes = sizes.data<std::int32_t>();
  Message message;
  message.check(tidegate_add(engine, &node, message.text, sizeof message.text));
}

}  // namespace tidegate
