// Turns the exceptions of a C API function into its status and message.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>

#include "layer.h"

namespace tidegate {

inline tidegate_status report(tidegate_status status, const char* what, char* message, std::size_t capacity) {
  if (message && capacity > 0) {
    const std::size_t length = std::min(std::strlen(what), capacity - 1);
    std::memcpy(message, what, length);
    message[length] = 0;
  }
  return status;
}

template <class Body>
tidegate_status catch_as_status(char* message, std::size_t capacity, const Body& body) noexcept {
  try {
    body();
    return TIDEGATE_OK;
  } catch (const ValueError& error) {
    return report(TIDEGATE_VALUE, error.what(), message, capacity);
  } catch (const std::bad_alloc&) {
    return report(TIDEGATE_MEMORY, "out of memory", message, capacity);
  } catch (const std::exception& error) {
    return report(TIDEGATE_INTERNAL, error.what(), message, capacity);
  } catch (...) {
    return report(TIDEGATE_INTERNAL, "unknown error", message, capacity);
  }
}

}  // namespace tidegate
