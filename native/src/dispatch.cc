// The targets of this build, those this machine can run, and the default: settled once.
#include <cstdlib>
#include <string>

#ifdef TIDEGATE_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "engine.h"

namespace tidegate {

extern const Kernels kernels_base[];
#if defined(__x86_64__)
extern const Kernels kernels_avx2[], kernels_avx512[];
#elif defined(__aarch64__)
extern const Kernels kernels_neon[];
#endif
#ifdef TIDEGATE_AVX512BF16
extern const Products products_avx512bf16;
#endif
#ifdef TIDEGATE_AMX
extern const Products products_amx;
#endif

namespace {

constexpr int kMostTargets = 5;

#if defined(__x86_64__)
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
#ifdef TIDEGATE_AVX512BF16
bool has_avx512bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif
#ifdef TIDEGATE_AMX
// The CPU has it, and the system lets this process use it from here on.
bool has_amx() {
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  unsigned a, b, c, d = 0;
  return has_avx512bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kBf16) && (d & kTile) &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif
bool always() { return true; }

// Another target's kernels, but for what multiplies.
[[maybe_unused]] Kernels with(const Kernels& kernels, const Products& products, const char* name) {
  Kernels made = kernels;
  static_cast<Products&>(made) = products;
  made.name = name;
  return made;
}

// The targets of this build in one precision, best first, and whether each runs here. Those with an instruction for
// bfloat16 are for that alone.
struct Build {
  const Kernels* targets[kMostTargets + 1] = {};
  bool (*runs[kMostTargets])() = {};

  explicit Build(Precision precision) {
    std::size_t count = 0;
    const auto add = [&](const Kernels& kernels, bool (*here)()) { targets[count] = &kernels, runs[count++] = here; };
#ifdef TIDEGATE_AMX
    static const Kernels amx = with(kernels_avx512[kComputeBf16], products_amx, "amx");
    if (precision == kComputeBf16) add(amx, has_amx);
#endif
#ifdef TIDEGATE_AVX512BF16
    static const Kernels avx512bf16 = with(kernels_avx512[kComputeBf16], products_avx512bf16, "avx512bf16");
    if (precision == kComputeBf16) add(avx512bf16, has_avx512bf16);
#endif
#if defined(__x86_64__)
    add(kernels_avx512[precision], has_avx512);
    add(kernels_avx2[precision], has_avx2);
#elif defined(__aarch64__)
    add(kernels_neon[precision], always);
#endif
    add(kernels_base[precision], always);
  }
};

const Build& build(Precision precision) {
  static const Build builds[kPrecisions] = {Build(kFloat32), Build(kWeightsBf16), Build(kComputeBf16)};
  return builds[precision];
}

// Those of them that run here.
struct Available {
  const Kernels* targets[kMostTargets + 1] = {};

  explicit Available(const Build& all) {
    for (std::size_t i = 0, n = 0; all.targets[i]; ++i)
      if (all.runs[i]()) targets[n++] = all.targets[i];
  }
};

}  // namespace

const Kernels* const* compiled_targets(Precision precision) { return build(precision).targets; }

const Kernels* const* available_targets(Precision precision) {
  static const Available float32(build(kFloat32)), weights(build(kWeightsBf16));
  if (precision == kFloat32) return float32.targets;
  if (precision == kWeightsBf16) return weights.targets;
  static const Available compute(build(kComputeBf16));  // asks the system for AMX, so not before somebody wants it
  return compute.targets;
}

namespace {

bool holds(const Kernels* const* targets, const char* name) {
  for (; *targets; ++targets)
    if (std::string(name) == (*targets)->name) return true;
  return false;
}

const char* why_not(const char* name, Precision precision) {
  if (holds(compiled_targets(precision), name)) return "cannot run on this machine";
  return holds(compiled_targets(kComputeBf16), name) ? "is for compute=bf16 alone" : "is not in this build";
}

}  // namespace

const Kernels& find_target(const char* name, const char* source, Precision precision) {
  std::string names;
  for (const Kernels* const* target = available_targets(precision); *target; ++target) {
    if (std::string(name) == (*target)->name) return **target;
    names += (names.empty() ? "" : ", ") + std::string((*target)->name);
  }
  throw ValueError(std::string(source) + " '" + std::string(name).substr(0, 64) + "' " + why_not(name, precision) +
                   "; choose one of " + names);
}

const Kernels& default_target(Precision precision) {
  const char* name = std::getenv("TIDEGATE_TARGET");
  return name ? find_target(name, "TIDEGATE_TARGET", precision) : **available_targets(precision);
}

}  // namespace tidegate
