#include "inference/rollout/slab_fields.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::inference {

using parallel::Range;

SlabFields::SlabFields(const parallel::Communicator& slabs, std::vector<Range> rows, std::size_t columns)
    : slabs_(slabs), rows_(std::move(rows)), columns_(columns) {
  if (rows_.size() != static_cast<std::size_t>(slabs.size()))
    fail(ErrorKind::failure, "rows of {} slabs for {} ranks", rows_.size(), slabs.size());
}

std::size_t SlabFields::points() const {
  return rows_[static_cast<std::size_t>(slabs_.rank())].size() * columns_;
}

void SlabFields::with_whole_fields(std::span<float> fields, const std::function<void(std::span<float>)>& work) const {
  if (alone()) return work(fields);
  const auto ranks = static_cast<std::size_t>(slabs_.size()), me = static_cast<std::size_t>(slabs_.rank());
  const std::size_t mine = points(), count = fields.size() / mine;
  const auto share = [&](std::size_t rank) { return parallel::partition(count, ranks, rank); };
  const std::size_t own = share(me).size(), whole_points = rows_.back().end * columns_;
  // Fields of a rank follow one another in `fields`; of what arrives, rows of a rank do.
  std::vector<std::size_t> there{0}, here{0};
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    there.push_back(share(rank).end * mine * sizeof(float));
    here.push_back(here.back() + own * rows_[rank].size() * columns_ * sizeof(float));
  }
  std::vector<float> travelling(own * whole_points), whole(own * whole_points);
  slabs_.all_to_all(std::as_bytes(fields), there, std::as_writable_bytes(std::span(travelling)), here).wait();
  const auto for_parts = [&](auto&& copy) {
    std::size_t at = 0;
    for (std::size_t rank = 0; rank < ranks; ++rank)
      for (std::size_t field = 0; field < own; ++field) {
        const std::size_t n = rows_[rank].size() * columns_;
        copy(travelling.data() + at, whole.data() + field * whole_points + rows_[rank].begin * columns_, n);
        at += n;
      }
  };
  for_parts([](const float* part, float* place, std::size_t n) { std::copy_n(part, n, place); });
  if (own > 0) work(whole);
  for_parts([](float* part, const float* place, std::size_t n) { std::copy_n(place, n, part); });
  slabs_.all_to_all(std::as_bytes(std::span(travelling)), here, std::as_writable_bytes(fields), there).wait();
}

}  // namespace zonda::inference
