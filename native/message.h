// The message of a call of the C API, raised in Python when the call failed.
#pragma once

#include "array.h"

namespace tidegate {

struct Message {
  char text[TIDEGATE_MESSAGE];  // only an error fills it
  void raise(tidegate_status status) const {
    if (status == TIDEGATE_OK) return;
    fail(status == TIDEGATE_VALUE ? PyExc_ValueError : status == TIDEGATE_MEMORY ? PyExc_MemoryError : PyExc_RuntimeError,
         "%s", text);
  }
};

}  // namespace tidegate
