// The part of the Python module that adds layers given as programs.
#pragma once

#include <nanobind/nanobind.h>

#include "tidegate.h"

namespace tidegate {

// Return the operations of a program, name -> number.
nanobind::dict list_operations();

// What describes a program beside its tensors, as in tidegate_program.
struct ProgramArrays {
  nanobind::handle code, joined, consts, next, offsets, sizes;
};

// Add a node whose numbers and sources are set, once the arrays of its program are checked.
void add_node(tidegate_engine* engine, tidegate_node& node, const ProgramArrays& arrays, const nanobind::list& tensors);

}  // namespace tidegate
