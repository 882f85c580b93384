// Finds operations of a program that a kernel computes at once, with the same bits.
#include "program_groups.h"

#include <initializer_list>

namespace tidegate {
namespace {

struct GroupFinder : ProgramReader {
  const std::vector<std::int32_t>& reads;  // how many operations and results read each register
  ProgramGroups& found;

  // Several operations that a kernel computes at once, where nothing else reads what is between them. Each `find`
  // returns whether operation i ends such a group.
  void find_all() {
    for (std::size_t i = 0; i < static_cast<std::size_t>(program.operations); ++i)
      if (!find_sum_of_products(i) && !find_softmax(i) && !find_normalization(i)) find_norm(i);
  }

  // The operation that writes a register, if it has this opcode and is read so many times by all, else null.
  const std::int32_t* match(std::int32_t reg, std::int32_t opcode, std::int32_t times) const {
    const auto i = static_cast<std::size_t>(reg);
    return row_of(i)[0] == opcode && reads[i] == times && !found.merged[i] ? row_of(i) : nullptr;
  }
  void merge(std::initializer_list<std::int32_t> registers, std::size_t i, const ProgramGroup& group) {
    for (const std::int32_t reg : registers) found.merged[static_cast<std::size_t>(reg)] = true;
    found.groups.emplace(i, group);
  }

  // sum over k of expand(a)[k, g, :] * b[k, g, :]
  bool find_sum_of_products(std::size_t i) {
    const std::int32_t* row = row_of(i);
    if (row[0] != TIDEGATE_OP_SUM || row[5] != 1) return false;
    const std::int32_t* const product = match(row[2], TIDEGATE_OP_MUL, 1);
    const std::int32_t* const expand = product ? match(product[2], TIDEGATE_OP_EXPAND, 1) : nullptr;
    if (!expand || expand[7] != 1 || row[7] % expand[6] || size_of(product[3]) != size_of(product[2])) return false;
    merge({row[2], product[2]}, i, {kSumOfProducts, expand[2], product[3], row[7] / expand[6], row[6], expand[6]});
    return true;
  }

  // e / sum(e), where e = exp(x - peak(x))
  bool find_softmax(std::size_t i) {
    const std::int32_t* row = row_of(i);
    if (row[0] != TIDEGATE_OP_DIV) return false;
    const std::int32_t* const e = match(row[2], TIDEGATE_OP_EXP, 2);
    const std::int32_t* const sum = match(row[3], TIDEGATE_OP_SUM, 1);
    if (!e || !sum || sum[2] != row[2] || sum[1] != 1) return false;
    const std::int32_t* const difference = match(e[2], TIDEGATE_OP_SUB, 1);
    const std::int32_t* const peak = difference ? match(difference[3], TIDEGATE_OP_PEAK, 1) : nullptr;
    if (!peak || peak[2] != difference[2] || peak[1] != 1) return false;
    merge({row[2], row[3], e[2], difference[3]}, i, {kSoftmax, difference[2], difference[2], 0, 0, 0});
    return true;
  }

  // d / sqrt(mean(d d) + eps), where d = x - mean(x)
  bool find_normalization(std::size_t i) {
    const std::int32_t* row = row_of(i);
    if (row[0] != TIDEGATE_OP_DIV) return false;
    const std::int32_t* const d = match(row[2], TIDEGATE_OP_SUB, 3);
    const std::int32_t* const root = match(row[3], TIDEGATE_OP_SQRT, 1);
    const std::int32_t* const shifted = root ? match(root[2], TIDEGATE_OP_ADD, 1) : nullptr;
    if (!d || !shifted || opcode_of(shifted[3]) != TIDEGATE_OP_CONST) return false;
    const std::int32_t* const variance = match(shifted[2], TIDEGATE_OP_MEAN, 1);
    const std::int32_t* const square = variance ? match(variance[2], TIDEGATE_OP_MUL, 1) : nullptr;
    const std::int32_t* const mean = match(d[3], TIDEGATE_OP_MEAN, 1);
    if (!square || !mean || square[2] != row[2] || square[3] != row[2] || mean[2] != d[2] || mean[1] != 1) return false;
    merge({row[2], row[3], root[2], shifted[2], variance[2], d[3]}, i, {kNormalize, d[2], shifted[3], 0, 0, 0});
    return true;
  }

  // The same, times a tensor, plus a tensor.
  void find_norm(std::size_t i) {
    const std::int32_t* row = row_of(i);
    const std::int32_t* const scaled = row[0] == TIDEGATE_OP_ADD ? match(row[2], TIDEGATE_OP_MUL, 1) : nullptr;
    const std::int32_t* const normal = scaled ? match(scaled[2], TIDEGATE_OP_DIV, 1) : nullptr;
    const auto at = normal ? found.groups.find(static_cast<std::size_t>(scaled[2])) : found.groups.end();
    if (at == found.groups.end() || at->second.opcode != kNormalize) return;
    for (const std::int32_t tensor : {scaled[3], row[3]})
      if (opcode_of(tensor) != TIDEGATE_OP_TENSOR || size_of(tensor) != static_cast<std::size_t>(row[1])) return;
    const ProgramGroup normalization = at->second;
    found.groups.erase(at);
    merge({row[2], scaled[2]}, i, {kNorm, normalization.a, normalization.b, scaled[3], row[3], 0});
  }
};

}  // namespace

ProgramGroups find_groups(const tidegate_program& program, const std::vector<std::int32_t>& reads) {
  ProgramGroups found;
  found.merged.assign(reads.size(), false);
  GroupFinder{{program}, reads, found}.find_all();
  return found;
}

}  // namespace tidegate
