#pragma once
// Static fields that nobody holds whole: rows are read where they are needed.
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/variables.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

class StaticFields {
 public:
  /// Rows of one whole field, `[row, lon]`.
  using Reader = std::function<void(std::size_t field, parallel::Range rows, std::span<float> values)>;
  /// Reads all fields once, some rows at a time. Throws Error(data) naming a field with values that are not finite, and
  /// what the reader throws.
  StaticFields(std::vector<Channel> channels, std::size_t rows, std::size_t columns, Reader reader);

  /// As ForecastLayout::static_hash().
  const std::string& hash() const { return hash_; }
  /// Over all points, added from north to south.
  double mean(std::size_t field) const { return mean_[field]; }
  void read(std::size_t field, parallel::Range rows, std::span<float> values) const { reader_(field, rows, values); }
  /// Calls `work(first value's index, values)` for all values of all fields in their order, some rows at a time.
  void for_all(const std::function<void(std::size_t field, std::size_t first, std::span<const float>)>& work) const;

 private:
  std::vector<Channel> channels_;
  std::size_t rows_, columns_;
  Reader reader_;
  std::string hash_;
  std::vector<double> mean_;
};

}  // namespace zonda::model
