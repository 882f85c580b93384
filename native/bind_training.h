// The parts of the Python module that are for training.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <memory>

namespace tidegate {

void bind_training(nanobind::module_& module);
void bind_pooling(nanobind::module_& module);
void bind_embedding_adamw(nanobind::module_& module);

}  // namespace tidegate
