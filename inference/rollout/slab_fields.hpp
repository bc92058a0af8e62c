#pragma once
// Fields of which every rank of a slab group holds its rows: for a moment whole, shared out among the ranks.
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "parallel/communicator.hpp"
#include "parallel/partition.hpp"

namespace zonda::inference {

class SlabFields {
 public:
  /// `rows`: of each rank, of the whole grid, from north to south.
  SlabFields(const parallel::Communicator& slabs, std::vector<parallel::Range> rows, std::size_t columns);
  const parallel::Communicator& ranks() const { return slabs_; }
  bool alone() const { return slabs_.size() == 1; }
  std::size_t points() const;  ///< of this rank's rows
  const std::vector<parallel::Range>& rows() const { return rows_; }

  /// `fields` [field, row, lon]: every rank gets a share of the fields whole, `work` [field, lat, lon] changes them in
  /// place, and their rows come back. No rank holds more than its share and its rows. Collective.
  void with_whole_fields(std::span<float> fields, const std::function<void(std::span<float>)>& work) const;

 private:
  parallel::Communicator slabs_;
  std::vector<parallel::Range> rows_;
  std::size_t columns_;
};

}  // namespace zonda::inference
