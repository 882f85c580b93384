// Requests and replies as bytes on a pipe: numbers have eight bytes, texts and arrays follow their length in bytes, the
// least significant byte comes first. A length of -1 means that an array is absent.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace remote {

// Allocates exactly the length received, so that the sanitizers see any access past its end.
template <class T>
class Array {
 public:
  explicit Array(std::int64_t bytes)
      : absent_(bytes < 0), values_(absent_ ? 0 : static_cast<std::size_t>(bytes) / sizeof(T)) {}
  T* data() { return absent_ ? nullptr : values_.data(); }
  std::int64_t size() const { return static_cast<std::int64_t>(values_.size()); }
  std::int64_t bytes() const { return absent_ ? -1 : size() * static_cast<std::int64_t>(sizeof(T)); }

 private:
  bool absent_;
  std::vector<T> values_;
};

class Wire {
 public:
  std::int64_t number() { return read_value<std::int64_t>(); }
  int integer() { return static_cast<int>(number()); }
  double real() { return read_value<double>(); }
  std::string text() {
    auto bytes = array<char>();
    return std::string(bytes.data(), static_cast<std::size_t>(bytes.size()));
  }
  template <class T>
  Array<T> array() {
    Array<T> values(number());
    if (values.bytes() > 0) read(values.data(), static_cast<std::size_t>(values.bytes()));
    return values;
  }

  void put(std::int64_t value) { write(&value, sizeof value); }
  void put(const std::string& text) {
    put(static_cast<std::int64_t>(text.size()));
    write(text.data(), text.size());
  }
  template <class T>
  void put(Array<T>& array) {
    put(array.bytes());
    if (array.bytes() > 0) write(array.data(), static_cast<std::size_t>(array.bytes()));
  }
  void end() { std::fflush(stdout); }

 private:
  template <class T>
  T read_value() {
    T value;
    read(&value, sizeof value);
    return value;
  }
  void read(void* to, std::size_t bytes) {
    if (std::fread(to, 1, bytes, stdin) != bytes) std::exit(0);  // the other end is gone
  }
  void write(const void* from, std::size_t bytes) {
    if (std::fwrite(from, 1, bytes, stdout) != bytes) std::exit(1);
  }
};

}  // namespace remote
