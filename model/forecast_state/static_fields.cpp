#include "model/forecast_state/static_fields.hpp"

#include <algorithm>
#include <cmath>

#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::model {

StaticFields::StaticFields(std::vector<Channel> channels, std::size_t rows, std::size_t columns, Reader reader)
    : channels_(std::move(channels)), rows_(rows), columns_(columns), reader_(std::move(reader)) {
  Sha256 hash;
  for (const Channel& channel : channels_) {
    const std::string line = channel.name() + '\n';
    hash.add(std::as_bytes(std::span(line)));
  }
  std::vector<double> sums(channels_.size());
  for_all([&](std::size_t field, std::size_t, std::span<const float> values) {
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
      fail(ErrorKind::data, "static field {}: a value that is not finite", channels_[field].name());
    hash.add(std::as_bytes(values));
    for (const float value : values) sums[field] += value;
  });
  hash_ = hash.hexadecimal();
  for (const double sum : sums) mean_.push_back(sum / static_cast<double>(rows_ * columns_));
}

void StaticFields::for_all(const std::function<void(std::size_t, std::size_t, std::span<const float>)>& work) const {
  constexpr std::size_t rows_at_a_time = 32;
  std::vector<float> values;
  for (std::size_t field = 0; field < channels_.size(); ++field)
    for (std::size_t row = 0; row < rows_; row += rows_at_a_time) {
      const parallel::Range band{row, std::min(rows_, row + rows_at_a_time)};
      values.resize(band.size() * columns_);
      reader_(field, band, values);
      work(field, row * columns_, values);
    }
}

}  // namespace zonda::model
