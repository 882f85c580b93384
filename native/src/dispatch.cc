// The targets of this build, those that this CPU can run, and the default. Each list is made once.
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
extern const MatmulKernels matmul_avx512bf16;
#endif
#ifdef TIDEGATE_AMX
extern const MatmulKernels matmul_amx;
#endif

namespace {

constexpr int kMaxTargets = 5;

#if defined(__x86_64__)
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
#ifdef TIDEGATE_AVX512BF16
bool has_avx512bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif
#ifdef TIDEGATE_AMX
// Whether the CPU has AMX and the system allows this process to use it from now on.
bool has_amx() {
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  unsigned a, b, c, d = 0;
  return has_avx512bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kBf16) && (d & kTile) &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif
bool always() { return true; }

// Copy a target's kernels, with other kernels for products.
[[maybe_unused]] Kernels replace_matmul(const Kernels& kernels, const MatmulKernels& matmul, const char* name) {
  Kernels combined = kernels;
  static_cast<MatmulKernels&>(combined) = matmul;
  combined.name = name;
  return combined;
}

// The targets of this build in one precision, best first, and whether each can run here. Targets with a bfloat16
// instruction are for compute=bf16 only.
struct TargetList {
  const Kernels* targets[kMaxTargets + 1] = {};
  bool (*runs[kMaxTargets])() = {};

  explicit TargetList(Precision precision) {
    std::size_t count = 0;
    const auto add = [&](const Kernels& kernels, bool (*can_run)()) {
      targets[count] = &kernels, runs[count++] = can_run;
    };
#ifdef TIDEGATE_AMX
    static const Kernels amx = replace_matmul(kernels_avx512[kComputeBf16], matmul_amx, "amx");
    if (precision == kComputeBf16) add(amx, has_amx);
#endif
#ifdef TIDEGATE_AVX512BF16
    static const Kernels avx512bf16 = replace_matmul(kernels_avx512[kComputeBf16], matmul_avx512bf16, "avx512bf16");
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

const TargetList& get_targets(Precision precision) {
  static const TargetList lists[kPrecisions] = {TargetList(kFloat32), TargetList(kWeightsBf16),
                                                TargetList(kComputeBf16)};
  return lists[precision];
}

// The targets of a list that can run here.
struct AvailableTargets {
  const Kernels* targets[kMaxTargets + 1] = {};

  explicit AvailableTargets(const TargetList& all) {
    for (std::size_t i = 0, n = 0; all.targets[i]; ++i)
      if (all.runs[i]()) targets[n++] = all.targets[i];
  }
};

}  // namespace

const Kernels* const* compiled_targets(Precision precision) { return get_targets(precision).targets; }

const Kernels* const* available_targets(Precision precision) {
  static const AvailableTargets float32(get_targets(kFloat32)), weights(get_targets(kWeightsBf16));
  if (precision == kFloat32) return float32.targets;
  if (precision == kWeightsBf16) return weights.targets;
  // this asks the system for AMX, so only when first needed
  static const AvailableTargets compute(get_targets(kComputeBf16));
  return compute.targets;
}

namespace {

bool contains(const Kernels* const* targets, const char* name) {
  for (; *targets; ++targets)
    if (std::string(name) == (*targets)->name) return true;
  return false;
}

const char* explain_missing(const char* name, Precision precision) {
  if (contains(compiled_targets(precision), name)) return "cannot run on this machine";
  return contains(compiled_targets(kComputeBf16), name) ? "is for compute=bf16 only" : "is not in this build";
}

}  // namespace

const Kernels& find_target(const char* name, const char* source, Precision precision) {
  std::string names;
  for (const Kernels* const* target = available_targets(precision); *target; ++target) {
    if (std::string(name) == (*target)->name) return **target;
    names += (names.empty() ? "" : ", ") + std::string((*target)->name);
  }
  throw ValueError(std::string(source) + " '" + std::string(name).substr(0, 64) + "' " +
                   explain_missing(name, precision) + "; choose one of " + names);
}

const Kernels& default_target(Precision precision) {
  const char* name = std::getenv("TIDEGATE_TARGET");
  return name ? find_target(name, "TIDEGATE_TARGET", precision) : **available_targets(precision);
}

}  // namespace tidegate
