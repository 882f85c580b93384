// Training's part of the Python module.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <memory>

namespace tidegate {

void bind_training(nanobind::module_& module);
void bind_pooling(nanobind::module_& module);
void bind_learning(nanobind::module_& module);

}  // namespace tidegate
