// What a training step does around the recurrences: rows of a table, and the optimiser.
#pragma once

#include "training.h"

namespace tidegate {

// Throw ValueError where the figures do not fit together.
void embed_forward(const tidegate_embedding& given, const float* table, float* out);
void embed_backward(const tidegate_embedding& given, const std::int64_t* slots, std::int64_t count, const float* dout,
                    float* values);
void adamw(const tidegate_adamw& given, float* weights, float* mean, float* square, const std::int64_t* rows,
           std::int64_t count, const float* gradient);

}  // namespace tidegate
