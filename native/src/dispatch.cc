// The targets of this build, those this CPU can run, and the default: settled once.
#include <cstdlib>
#include <string>

#include "engine.h"

namespace tidegate {

extern const Kernels kernels_base;
#if defined(__x86_64__)
extern const Kernels kernels_avx2, kernels_avx512;
#elif defined(__aarch64__)
extern const Kernels kernels_neon;
#endif

namespace {

struct Targets {
  const Kernels* available[4] = {};
  Targets() {
    std::size_t n = 0;
    for (const Kernels* const* target = compiled_targets(); *target; ++target)
      if (runs(**target)) available[n++] = *target;
  }

  static bool runs(const Kernels& target) {
#if defined(__x86_64__)
    if (&target == &kernels_avx512)
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
    if (&target == &kernels_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    (void)target;
    return true;
  }
};

}  // namespace

const Kernels* const* compiled_targets() {
#if defined(__x86_64__)
  static const Kernels* const targets[] = {&kernels_avx512, &kernels_avx2, &kernels_base, nullptr};
#elif defined(__aarch64__)
  static const Kernels* const targets[] = {&kernels_neon, &kernels_base, nullptr};
#else
  static const Kernels* const targets[] = {&kernels_base, nullptr};
#endif
  return targets;
}

const Kernels* const* available_targets() {
  static const Targets targets;
  return targets.available;
}

const Kernels& find_target(const char* name, const char* source) {
  std::string names;
  for (const Kernels* const* target = available_targets(); *target; ++target) {
    if (std::string(name) == (*target)->name) return **target;
    names += (names.empty() ? "" : ", ") + std::string((*target)->name);
  }
  bool built = false;
  for (const Kernels* const* target = compiled_targets(); *target; ++target)
    built = built || std::string(name) == (*target)->name;
  throw ValueError(std::string(source) + " '" + std::string(name).substr(0, 64) + "' " +
                   (built ? "cannot run on this CPU" : "is not in this build") + "; choose one of " + names);
}

const Kernels& default_target() {
  const char* name = std::getenv("TIDEGATE_TARGET");
  return name ? find_target(name, "TIDEGATE_TARGET") : **available_targets();
}

}  // namespace tidegate
