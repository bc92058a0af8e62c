#include "assimilation/observations/distributed_operator.hpp"

#include <string>

#include "core/error.hpp"
#include "parallel/canonical.hpp"

namespace zonda::assimilation {

DistributedOperator::DistributedOperator(
    parallel::Communicator communicator, std::size_t state_size, std::size_t size,
    const std::function<std::shared_ptr<const ObservationOperator>(parallel::Range)>& make)
    : communicator_(std::move(communicator)), state_size_(state_size), size_(size) {
  std::string trouble;
  int kind = static_cast<int>(ErrorKind::failure);
  try {
    const parallel::Range own = own_blocks(communicator_.rank());
    for (std::size_t block = own.begin; block < own.end; ++block) {
      own_.push_back(make(observations(block)));
      require_size("a block of observations", own_.back()->size(), observations(block).size());
      require_size("the observed state", own_.back()->state_size(), state_size);
    }
  } catch (const Error& error) {
    trouble = error.what();
    kind = error.exit_code();
  }
  communicator_.agree(kind, trouble);
}

parallel::Range DistributedOperator::own_blocks(int rank) const {
  return parallel::partition(blocks, static_cast<std::size_t>(communicator_.size()), static_cast<std::size_t>(rank));
}

/// Values of other ranks' blocks arrive in their place.
void DistributedOperator::gather(View values) const {
  if (communicator_.size() == 1) return;
  std::vector<std::size_t> bytes;
  for (int r = 0; r < communicator_.size(); ++r) {
    const std::size_t first = own_blocks(r).begin;
    bytes.push_back((first < blocks ? observations(first).begin : size_) * sizeof(double));
  }
  bytes.push_back(size_ * sizeof(double));
  const auto rank = static_cast<std::size_t>(communicator_.rank());
  const auto all = std::as_writable_bytes(values);
  communicator_.all_gather(all.subspan(bytes[rank], bytes[rank + 1] - bytes[rank]), all, bytes).wait();
}

void DistributedOperator::apply(ConstView state, View values) const {
  require_size("observed values", values.size(), size_);
  const parallel::Range own = own_blocks(communicator_.rank());
  for (std::size_t block = own.begin; block < own.end; ++block) {
    const parallel::Range range = observations(block);
    own_[block - own.begin]->apply(state, values.subspan(range.begin, range.size()));
  }
  gather(values);
}

void DistributedOperator::tangent(ConstView state, ConstView perturbation, View values) const {
  require_size("observed values", values.size(), size_);
  const parallel::Range own = own_blocks(communicator_.rank());
  for (std::size_t block = own.begin; block < own.end; ++block) {
    const parallel::Range range = observations(block);
    own_[block - own.begin]->tangent(state, perturbation, values.subspan(range.begin, range.size()));
  }
  gather(values);
}

void DistributedOperator::adjoint(ConstView state, ConstView values, View sensitivity) const {
  require_size("observed values", values.size(), size_);
  require_size("the sensitivity", sensitivity.size(), state_size_);
  const parallel::Range own = own_blocks(communicator_.rank());
  Vector terms(own.size() * state_size_);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t block = own.begin; block < own.end; ++block) {
    const parallel::Range range = observations(block);
    own_[block - own.begin]->adjoint(state, values.subspan(range.begin, range.size()),
                                     View(terms).subspan((block - own.begin) * state_size_, state_size_));
  }
  parallel::canonical_all_reduce(communicator_, blocks, state_size_, std::span<const double>(terms), sensitivity);
}

}  // namespace zonda::assimilation
