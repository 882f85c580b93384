// A plain main for fuzz targets, for compilers without libFuzzer: random inputs and mutations of earlier inputs, from a
// seed. It has no coverage to guide it, but runs everywhere.
//
//   engine_fuzz [-seed=N] [-max_total_time=SECONDS] [-runs=N] [-max_len=BYTES] [-len_control=0] [FILE...]
//
// Given files, it runs each of them once. The options are libFuzzer's. While an input runs, it is in `fuzz-input.bin`
// in the working folder, so that it is still there after a crash.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::size_t kCorpusSize = 256;
constexpr const char* kInputFile = "fuzz-input.bin";

struct Options {
  std::uint64_t seed = 1, runs = UINT64_MAX;
  double seconds = 1e9;
  std::size_t max_length = 1024;
  std::vector<std::string> files;
};

Options parse_options(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const std::string value = word.substr(word.find('=') + 1);
    if (word.rfind("-seed=", 0) == 0) options.seed = std::strtoull(value.c_str(), nullptr, 10);
    else if (word.rfind("-runs=", 0) == 0) options.runs = std::strtoull(value.c_str(), nullptr, 10);
    else if (word.rfind("-max_total_time=", 0) == 0) options.seconds = std::strtod(value.c_str(), nullptr);
    else if (word.rfind("-max_len=", 0) == 0)
      options.max_length = std::strtoull(value.c_str(), nullptr, 10);
    else if (word == "-len_control=0")
      continue;  // inputs have any length from the start
    else if (word.rfind("-", 0) == 0) std::fprintf(stderr, "unknown option %s\n", word.c_str()), std::exit(2);
    else options.files.push_back(word);
  }
  return options;
}

// Return a copy with some bytes changed, inserted or removed.
Bytes mutate(Bytes bytes, std::mt19937_64& random, std::size_t max_length) {
  for (std::uint64_t left = 1 + random() % 8; left > 0 && !bytes.empty(); --left) {
    const auto at = static_cast<std::ptrdiff_t>(random() % bytes.size());
    const auto value = static_cast<std::uint8_t>(random());
    switch (random() % 4) {
      case 0: bytes[static_cast<std::size_t>(at)] = value; break;
      case 1: bytes[static_cast<std::size_t>(at)] ^= static_cast<std::uint8_t>(1u << value % 8); break;
      case 2: bytes.insert(bytes.begin() + at, value); break;
      default: bytes.erase(bytes.begin() + at); break;
    }
  }
  if (bytes.empty() || bytes.size() > max_length) bytes.resize(bytes.empty() ? 1 : max_length);
  return bytes;
}

Bytes random_input(std::mt19937_64& random, std::size_t max_length) {
  Bytes bytes(1 + random() % max_length);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  if (random() % 2) bytes[0] &= 0xfc;  // no hostile fields, to get deeper into the engine
  return bytes;
}

}  // namespace

int main(int count, char** words) {
  const Options options = parse_options(count, words);
  for (const std::string& name : options.files) {
    std::ifstream file(name, std::ios::binary);
    const Bytes bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  if (!options.files.empty()) return 0;
  std::mt19937_64 random(options.seed);
  std::vector<Bytes> corpus;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  std::uint64_t done = 0;
  for (; done < options.runs && elapsed() < options.seconds; ++done) {
    const bool from_corpus = !corpus.empty() && random() % 2;
    const Bytes bytes = from_corpus ? mutate(corpus[random() % corpus.size()], random, options.max_length)
                                    : random_input(random, options.max_length);
    if (std::FILE* file = std::fopen(kInputFile, "wb")) {
      std::fwrite(bytes.data(), 1, bytes.size(), file);
      std::fclose(file);
    }
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    if (corpus.size() < kCorpusSize)
      corpus.push_back(bytes);
    else
      corpus[random() % kCorpusSize] = bytes;
  }
  std::remove(kInputFile);
  std::printf("Done %llu runs in %.0f seconds, seed %llu\n", static_cast<unsigned long long>(done), elapsed(),
              static_cast<unsigned long long>(options.seed));
}
