# Everything is built with the address and undefined behaviour sanitizers, and stops at the first error. Uses libFuzzer where
# the compiler has it; elsewhere driver.cc tries random inputs.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_FLAGS -fsanitize=fuzzer)
check_cxx_source_compiles(
  "#include <cstddef>\n#include <cstdint>\nextern \"C\" int LLVMFuzzerTestOneInput(const std::uint8_t*, std::size_t) { return 0; }"
  TIDEGATE_LIBFUZZER)
unset(CMAKE_REQUIRED_FLAGS)
add_compile_options(-g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all)
add_link_options(-fsanitize=address,undefined)
if(TIDEGATE_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
