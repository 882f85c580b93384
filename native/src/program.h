// A layer given as a program: operations over whole rows, checked and ready to run.
#pragma once

#include "layer.h"

namespace tidegate {

// Throw ValueError unless the program follows the rules of tidegate.h. One that does reads nothing out of bounds.
void check_program(const tidegate_program& program);

std::unique_ptr<Layer> make_program(const Kernels& kernels, const tidegate_program& program);

}  // namespace tidegate
