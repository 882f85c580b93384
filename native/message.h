// The message buffer of a C API call; raises Python's error if the call failed.
#pragma once

#include "array.h"

namespace tidegate {

// Return a count for the C API, which refuses one that is too large.
inline std::int32_t to_int32(Py_ssize_t n) { return n > INT32_MAX ? INT32_MAX : static_cast<std::int32_t>(n); }

struct Message {
  char text[TIDEGATE_MESSAGE];  // filled only on errors
  void check(tidegate_status status) const {
    if (status == TIDEGATE_OK) return;
    PyObject* const type = status == TIDEGATE_VALUE    ? PyExc_ValueError
                           : status == TIDEGATE_MEMORY ? PyExc_MemoryError
                                                       : PyExc_RuntimeError;
    fail(type, "%s", text);
  }
};

}  // namespace tidegate
