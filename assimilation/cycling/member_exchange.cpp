#include "assimilation/cycling/member_exchange.hpp"

#include "parallel/partition.hpp"

namespace zonda::assimilation {
Vector ensemble_mean(const parallel::Communicator& communicator, const Ensemble& ensemble) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  Vector sum(ensemble.state_size()), member(ensemble.state_size());
  for (std::size_t k = 0; k < ensemble.total(); ++k) {
    const std::size_t owner = parallel::owner(ensemble.total(), ranks, k);
    if (owner == static_cast<std::size_t>(communicator.rank())) copy(ensemble.member(k - ensemble.own().begin), member);
    communicator.broadcast(std::as_writable_bytes(std::span(member)), static_cast<int>(owner)).wait();
    axpy(1, member, sum);
  }
  scale(1 / static_cast<double>(ensemble.total()), sum);
  return sum;
}

Vector gather_members(const parallel::Communicator& communicator, std::size_t members, ConstView own,
                      std::size_t width) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  std::vector<std::size_t> offsets{0};
  for (std::size_t r = 0; r < ranks; ++r)
    offsets.push_back(parallel::partition(members, ranks, r).end * width * sizeof(double));
  Vector all(members * width);
  communicator.all_gather(std::as_bytes(own), std::as_writable_bytes(std::span(all)), offsets).wait();
  return all;
}

std::vector<std::vector<float>> gather_fields(const parallel::Communicator& communicator, std::size_t members,
                                              std::vector<std::vector<float>> own, std::size_t width) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  if (!communicator.is_root()) {
    const std::size_t first = parallel::partition(members, ranks, static_cast<std::size_t>(communicator.rank())).begin;
    for (std::size_t k = 0; k < own.size(); ++k)
      communicator.send(std::as_bytes(std::span(own[k])), 0, static_cast<int>(first + k)).wait();
    return {};
  }
  std::vector<std::vector<float>> all = std::move(own);
  for (std::size_t k = all.size(); k < members; ++k) {
    std::vector<float>& fields = all.emplace_back(width);
    communicator
        .receive(std::as_writable_bytes(std::span(fields)), static_cast<int>(parallel::owner(members, ranks, k)),
                 static_cast<int>(k))
        .wait();
  }
  return all;
}

}  // namespace zonda::assimilation
