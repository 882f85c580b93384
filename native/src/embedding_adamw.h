// The parts of a training step outside the recurrence: the embedding with dropout, and the AdamW optimiser.
#pragma once

#include "training.h"

namespace tidegate {

// All throw ValueError if the arguments do not fit together.
void embed_forward(const tidegate_embedding& args, const float* table, float* out);
void embed_backward(const tidegate_embedding& args, const std::int64_t* slots, std::int64_t count, const float* dout,
                    float* values);
void adamw(const tidegate_adamw& args, float* weights, float* mean, float* square, const std::int64_t* row_ids,
           std::int64_t count, const float* gradient);

}  // namespace tidegate
