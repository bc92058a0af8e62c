#include "assimilation/ensemble/transposition.hpp"

#include <numeric>

namespace zonda::assimilation {
namespace {

std::vector<std::size_t> byte_offsets(std::span<const std::size_t> counts) {
  std::vector<std::size_t> offsets{0};
  for (const std::size_t count : counts) offsets.push_back(offsets.back() + count * sizeof(double));
  return offsets;
}

}  // namespace

/// body(position in the message of all ranks, position in [own row][member])
template <class Body>
void Transposition::for_each_incoming(Body&& body) const {
  std::size_t at = 0;
  for (std::size_t r = 0; r < rows_.size(); ++r)
    for (std::size_t row = 0; row < mine().size(); ++row)
      for (std::size_t k = members_of(r).begin; k < members_of(r).end; ++k) body(at++, row * members_ + k);
}

Vector Transposition::to_rows(ConstView columns, std::size_t column_size) const {
  const std::size_t members = own().size();
  Vector outgoing, incoming(mine().size() * members_);
  Indices sent, received;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (const std::size_t row : rows_[r])
      for (std::size_t k = 0; k < members; ++k) outgoing.push_back(columns[k * column_size + row]);
    sent.push_back(rows_[r].size() * members);
    received.push_back(mine().size() * members_of(r).size());
  }
  exchange(outgoing, sent, incoming, received);
  Vector result(incoming.size());
  for_each_incoming([&](std::size_t in_message, std::size_t in_rows) { result[in_rows] = incoming[in_message]; });
  return result;
}

void Transposition::to_columns(ConstView by_row, View columns, std::size_t column_size) const {
  const std::size_t members = own().size();
  Vector outgoing(by_row.size());
  for_each_incoming([&](std::size_t in_message, std::size_t in_rows) { outgoing[in_message] = by_row[in_rows]; });
  Indices sent, received;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    sent.push_back(mine().size() * members_of(r).size());
    received.push_back(rows_[r].size() * members);
  }
  Vector incoming(std::accumulate(received.begin(), received.end(), std::size_t{0}));
  exchange(outgoing, sent, incoming, received);
  std::size_t at = 0;
  for (const Indices& rows : rows_)
    for (const std::size_t row : rows)
      for (std::size_t k = 0; k < members; ++k) columns[k * column_size + row] = incoming[at++];
}

void Transposition::exchange(const Vector& outgoing, const Indices& sent, Vector& incoming,
                             const Indices& received) const {
  communicator_
      .all_to_all(std::as_bytes(std::span(outgoing)), byte_offsets(sent), std::as_writable_bytes(std::span(incoming)),
                  byte_offsets(received))
      .wait();
}

}  // namespace zonda::assimilation
