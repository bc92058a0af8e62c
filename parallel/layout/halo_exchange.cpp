#include "parallel/layout/halo_exchange.hpp"

#include <algorithm>
#include <memory>

#include "core/error.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

/// Rows `range` of the whole field within an array [outer, rows, inner] that begins at row `first`.
template <class T, class Row>
void for_rows(T* array, std::size_t first, std::size_t rows, std::size_t outer, std::size_t inner, Range range,
              Row row) {
  for (std::size_t o = 0; o < outer; ++o)
    for (std::size_t r = range.begin; r < range.end; ++r) row(array + (o * rows + r - first) * inner);
}

template <class T>
struct Buffers {
  std::vector<T> outgoing, incoming;
};

}  // namespace

HaloExchange::HaloExchange(const Communicator& slabs, std::vector<std::size_t> rows, std::size_t north,
                           std::size_t south)
    : slabs_(slabs) {
  if (rows.size() != static_cast<std::size_t>(slabs.size()))
    fail(ErrorKind::failure, "halo exchange: {} slabs for {} ranks", rows.size(), slabs.size());
  std::vector<Range> slab;
  std::size_t all = 0;
  for (const std::size_t n : rows) {
    slab.push_back({all, all + n});
    all += n;
  }
  // A rank without rows needs none.
  const auto with_halo = [&](Range range) {
    if (range.size() == 0) return range;
    return Range{range.begin - std::min(range.begin, north), range.end + std::min(all - range.end, south)};
  };
  const auto common = [](Range a, Range b) {
    const std::size_t begin = std::max(a.begin, b.begin);
    return Range{begin, std::max(begin, std::min(a.end, b.end))};
  };
  const auto rank = static_cast<std::size_t>(slabs.rank());
  own_ = slab[rank];
  extended_ = with_halo(own_);
  for (std::size_t r = 0; r < slab.size(); ++r) {
    if (r == rank) continue;
    const Range given = common(own_, with_halo(slab[r])), got = common(extended_, slab[r]);
    if (given.size() > 0) give_.push_back({static_cast<int>(r), given});
    if (got.size() > 0) get_.push_back({static_cast<int>(r), got});
  }
}

Event HaloExchange::run(std::size_t row_bytes, const std::vector<Part>& to, std::span<const std::byte> outgoing,
                        const std::vector<Part>& from, std::span<std::byte> incoming) const {
  const auto offsets = [&](const std::vector<Part>& parts) {
    std::vector<std::size_t> offset(static_cast<std::size_t>(slabs_.size()) + 1, 0);
    for (const Part& part : parts) offset[static_cast<std::size_t>(part.rank) + 1] = part.rows.size() * row_bytes;
    for (std::size_t r = 1; r < offset.size(); ++r) offset[r] += offset[r - 1];
    return offset;
  };
  return slabs_.all_to_all(outgoing, offsets(to), incoming, offsets(from));
}

template <class T>
Event HaloExchange::run_exchange(std::size_t outer, std::size_t inner, std::span<const T> slab,
                                 std::span<T> extended) const {
  const std::size_t row = outer * inner;
  if (slab.size() != row * rows() || extended.size() != row * extended_rows())
    fail(ErrorKind::failure,
         "halo exchange: rank {} must pass {} and {} rows of {} numbers; it passed {} and {} numbers", slabs_.rank(),
         rows(), extended_rows(), row, slab.size(), extended.size());
  auto buffers = std::make_shared<Buffers<T>>();
  for (const Part& part : give_)
    for_rows(slab.data(), own_.begin, own_.size(), outer, inner, part.rows,
             [&](const T* values) { buffers->outgoing.insert(buffers->outgoing.end(), values, values + inner); });
  buffers->incoming.resize((north() + south()) * row);
  const T* next = slab.data();
  for_rows(extended.data(), extended_.begin, extended_.size(), outer, inner, own_, [&](T* values) {
    std::copy_n(next, inner, values);
    next += inner;
  });
  std::vector<Event> events;
  events.push_back(run(row * sizeof(T), give_, std::as_bytes(std::span(buffers->outgoing)), get_,
                       std::as_writable_bytes(std::span(buffers->incoming))));
  return when_all(std::move(events), [buffers, extended, outer, inner, get = get_, whole = extended_] {
    const T* from = buffers->incoming.data();
    for (const Part& part : get)
      for_rows(extended.data(), whole.begin, whole.size(), outer, inner, part.rows, [&](T* values) {
        std::copy_n(from, inner, values);
        from += inner;
      });
  });
}

template <class T>
Event HaloExchange::run_adjoint(std::size_t outer, std::size_t inner, std::span<const T> extended,
                                std::span<T> slab) const {
  const std::size_t row = outer * inner;
  if (slab.size() != row * rows() || extended.size() != row * extended_rows())
    fail(ErrorKind::failure,
         "halo exchange, adjoint: rank {} must pass {} and {} rows of {} numbers; it passed {} and {} numbers",
         slabs_.rank(), extended_rows(), rows(), row, extended.size(), slab.size());
  auto buffers = std::make_shared<Buffers<T>>();
  for (const Part& part : get_)
    for_rows(extended.data(), extended_.begin, extended_.size(), outer, inner, part.rows,
             [&](const T* values) { buffers->outgoing.insert(buffers->outgoing.end(), values, values + inner); });
  std::size_t incoming = 0;
  for (const Part& part : give_) incoming += part.rows.size() * row;
  buffers->incoming.resize(incoming);
  T* next = slab.data();
  for_rows(extended.data(), extended_.begin, extended_.size(), outer, inner, own_, [&](const T* values) {
    std::copy_n(values, inner, next);
    next += inner;
  });
  std::vector<Event> events;
  events.push_back(run(row * sizeof(T), get_, std::as_bytes(std::span(buffers->outgoing)), give_,
                       std::as_writable_bytes(std::span(buffers->incoming))));
  return when_all(std::move(events), [buffers, slab, outer, inner, give = give_, own = own_] {
    const T* from = buffers->incoming.data();
    for (const Part& part : give)
      for_rows(slab.data(), own.begin, own.size(), outer, inner, part.rows, [&](T* values) {
        for (std::size_t i = 0; i < inner; ++i) values[i] += from[i];
        from += inner;
      });
  });
}

Event HaloExchange::exchange(std::size_t outer, std::size_t inner, std::span<const float> slab,
                             std::span<float> extended) const {
  return run_exchange(outer, inner, slab, extended);
}
Event HaloExchange::exchange(std::size_t outer, std::size_t inner, std::span<const double> slab,
                             std::span<double> extended) const {
  return run_exchange(outer, inner, slab, extended);
}
Event HaloExchange::adjoint(std::size_t outer, std::size_t inner, std::span<const float> extended,
                            std::span<float> slab) const {
  return run_adjoint(outer, inner, extended, slab);
}
Event HaloExchange::adjoint(std::size_t outer, std::size_t inner, std::span<const double> extended,
                            std::span<double> slab) const {
  return run_adjoint(outer, inner, extended, slab);
}

HaloExchange::Traffic HaloExchange::exchange_traffic(std::size_t outer, std::size_t inner, std::size_t width) const {
  Traffic traffic;
  for (const Part& part : give_) traffic.bytes += part.rows.size() * outer * inner * width;
  if (traffic.bytes > 0) traffic.messages = give_.size();
  return traffic;
}

HaloExchange::Traffic HaloExchange::adjoint_traffic(std::size_t outer, std::size_t inner, std::size_t width) const {
  Traffic traffic;
  traffic.bytes = (north() + south()) * outer * inner * width;
  if (traffic.bytes > 0) traffic.messages = get_.size();
  return traffic;
}

}  // namespace zonda::parallel
