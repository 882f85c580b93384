// Python arrays, read through the buffer protocol and checked.
#pragma once

#include <Python.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "tidegate.h"

namespace tidegate {

// Thrown after Python's error is set.
struct PythonError {};

[[noreturn, gnu::format(printf, 2, 3)]] inline void fail(PyObject* type, const char* format, ...) {
  char message[TIDEGATE_MESSAGE + 128];
  va_list values;
  va_start(values, format);
  std::vsnprintf(message, sizeof message, format, values);
  va_end(values);
  PyErr_SetString(type, message);
  throw PythonError();
}

// An element type, with its format codes in the buffer protocol.
struct ElementType {
  const char *name, *codes;
  Py_ssize_t size;
};
constexpr ElementType kFloat = {"float32", "f", 4}, kInt32 = {"int32", "il", 4}, kInt64 = {"int64", "lq", 8},
                      kByte = {"uint8", "B", 1};

// A C-contiguous array of one element type. Holds the buffer for the lifetime of a scope.
class Array {
 public:
  Array(PyObject* object, const char* name, ElementType type, int dimensions, bool write = false) : name_(name) {
    if (PyObject_GetBuffer(object, &view_, PyBUF_FORMAT | PyBUF_STRIDES) != 0) {
      PyErr_Clear();
      fail(PyExc_TypeError, "%s must be a %s array, found %s", name, type.name, Py_TYPE(object)->tp_name);
    }
    try {
      check(type, dimensions, write);
    } catch (...) {
      PyBuffer_Release(&view_);
      throw;
    }
  }
  ~Array() { PyBuffer_Release(&view_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  Py_ssize_t shape(int axis) const { return view_.shape[axis]; }
  template <class T>
  T* data() const {
    return static_cast<T*>(view_.buf);
  }

  // Throw ValueError unless axis `axis` has length `expected`.
  const Array& expect(int axis, Py_ssize_t expected) const {
    if (shape(axis) != expected)
      fail(PyExc_ValueError, "%s must have length %zd along axis %d, found %zd", name_, expected, axis, shape(axis));
    return *this;
  }

  // Throw ValueError if an array that is written shares memory with one that is read or with another that is written.
  // Null pointers are skipped.
  static void check_no_overlap(const std::vector<const Array*>& written, const std::vector<const Array*>& read) {
    for (const Array* one : written)
      for (const auto* others : {&read, &written})
        for (const Array* other : *others)
          if (one && other && one != other) one->check_no_overlap(*other);
  }

  // Throw ValueError if this array shares memory with the other.
  void check_no_overlap(const Array& other) const {
    const char *a = data<char>(), *b = other.data<char>();
    if (view_.len > 0 && other.view_.len > 0 && a < b + other.view_.len && b < a + view_.len)
      fail(PyExc_ValueError, "%s and %s must not overlap", name_, other.name_);
  }

 private:
  void check(ElementType type, int dimensions, bool write) const {
    const char* format = view_.format ? view_.format : "B";
    const bool matches = format[0] && !format[1] && std::strchr(type.codes, format[0]);
    if (!matches || view_.itemsize != type.size)
      fail(PyExc_TypeError, "%s must hold %s, found elements of format '%s'", name_, type.name, format);
    if (view_.ndim != dimensions)
      fail(PyExc_ValueError, "%s must have %d dimensions, found %d", name_, dimensions, view_.ndim);
    if (!PyBuffer_IsContiguous(&view_, 'C'))
      fail(PyExc_ValueError, "%s must be C-contiguous; copy it with numpy.ascontiguousarray", name_);
    if (write && view_.readonly) fail(PyExc_ValueError, "%s must be writable, found a read-only array", name_);
    if (reinterpret_cast<std::uintptr_t>(view_.buf) % static_cast<std::uintptr_t>(type.size) != 0)
      fail(PyExc_ValueError, "%s must be aligned to %zd bytes", name_, type.size);
  }

  const char* name_;
  Py_buffer view_;
};

}  // namespace tidegate
