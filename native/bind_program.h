// The part of the Python module that adds layers given as programs.
#pragma once

#include <nanobind/nanobind.h>

#include "tidegate.h"

namespace tidegate {

// The arrays of a program, as in tidegate_program.
struct ProgramArrays {
  nanobind::handle code, joined, consts, next, offsets, sizes;
};

// Return the operations of a program, name -> number.
nanobind::dict list_operations();

// Add a program whose numbers are set, once its arrays are checked.
void add_program(tidegate_engine* engine, tidegate_program& program, const ProgramArrays& arrays,
                 const nanobind::list& tensors, int add);

}  // namespace tidegate
