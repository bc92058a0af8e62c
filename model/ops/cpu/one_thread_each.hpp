#pragma once
#include <omp.h>

namespace zonda::model {

/// oneDNN asks OpenMP how many threads it may use; within a team of ours, and in a team of one, that is one.
class OneThreadEach {
 public:
  OneThreadEach() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThreadEach() { omp_set_num_threads(before_); }
  OneThreadEach(const OneThreadEach&) = delete;
  OneThreadEach& operator=(const OneThreadEach&) = delete;

 private:
  int before_;
};

}  // namespace zonda::model
