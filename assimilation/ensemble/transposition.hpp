#pragma once
#include <vector>

#include "assimilation/interfaces/vectors.hpp"
#include "parallel/communicator.hpp"
#include "parallel/partition.hpp"

namespace zonda::assimilation {

/// Turns an ensemble held by member into one held by row, and back. Rank r is to hold `rows[r]` of all members; it
/// holds members partition(members, ranks, r).
class Transposition {
 public:
  /// Keeps a reference to the communicator.
  Transposition(const parallel::Communicator& communicator, std::size_t members,
                std::vector<std::vector<std::size_t>> rows)
      : communicator_(communicator), members_(members), rows_(std::move(rows)) {}

  /// `columns` [own member][all rows] -> [own row][all members]. Collective.
  Vector to_rows(ConstView columns, std::size_t column_size) const;
  /// The way back; rows that no rank holds stay as they are in `columns`. Collective.
  void to_columns(ConstView by_row, View columns, std::size_t column_size) const;

 private:
  using Indices = std::vector<std::size_t>;
  const Indices& mine() const { return rows_[static_cast<std::size_t>(communicator_.rank())]; }
  parallel::Range members_of(std::size_t rank) const { return parallel::partition(members_, rows_.size(), rank); }
  parallel::Range own() const { return members_of(static_cast<std::size_t>(communicator_.rank())); }
  template <class Body>
  void for_each_incoming(Body&& body) const;
  void exchange(const Vector& outgoing, const Indices& sent, Vector& incoming, const Indices& received) const;

  const parallel::Communicator& communicator_;
  std::size_t members_;
  std::vector<Indices> rows_;
};

}  // namespace zonda::assimilation
