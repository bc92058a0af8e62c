#pragma once
// What a student's block gives against what the teacher's block gives, through a linear map from the one's width to the
// other's that is learnt beside the student (Romero et al. 2015, FitNets).
#include <cstddef>
#include <span>
#include <vector>

#include "model/ops/backend.hpp"
#include "model/tensor/parameter_store.hpp"

namespace zonda::model {

class FeatureMaps {
 public:
  /// One map for each block, [student width, teacher width]; it begins as the identity of the leading channels, which a
  /// student begins with. `counted [token]`: those of the interior, of one sample.
  FeatureMaps(std::size_t blocks, std::int64_t student_width, std::int64_t teacher_width, std::vector<bool> counted);
  ParameterStore& parameters() { return store_; }
  const ParameterStore& parameters() const { return store_; }

  /// |F A - T|^2 / |T|^2 over the counted tokens of all samples, F [samples tokens, student width], T [samples tokens,
  /// teacher width]. Overwrites `gradient` with `factor` times its gradient with respect to F, and adds that with
  /// respect to A to the map's.
  double error(Backend& backend, std::size_t block, const Tensor& features, std::span<const float> wanted,
               double factor, const Tensor& gradient);

 private:
  ParameterStore store_;
  std::int64_t student_, teacher_;
  std::vector<bool> counted_;
};

}  // namespace zonda::model
