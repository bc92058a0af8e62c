#include "ingest/sources/source.hpp"

#include <algorithm>
#include <set>

#include "ingest/sources/field_order.hpp"

namespace zonda::ingest {

std::vector<Channel> Source::channels() const {
  std::set<Channel> channels;
  for (const FieldKey& key : fields()) channels.insert(key.channel);
  return {channels.begin(), channels.end()};
}

std::vector<FieldKey> Source::fields_of(const Channel& channel) const {
  std::vector<FieldKey> keys;
  for (const FieldKey& key : fields()) {
    if (key.channel == channel) keys.push_back(key);
  }
  return keys;
}

void Source::read_rows(const FieldKey& key, std::size_t row_begin, std::size_t row_end, std::span<float> values) const {
  const Grid whole = grid(key.channel);
  std::vector<float> field(whole.size());
  read(key, field);
  const auto first = field.begin() + static_cast<std::ptrdiff_t>(row_begin * whole.nlon());
  std::copy(first, first + static_cast<std::ptrdiff_t>((row_end - row_begin) * whole.nlon()), values.begin());
}

bool Source::contains(const FieldKey& key) const {
  const auto& keys = fields();
  return std::binary_search(keys.begin(), keys.end(), key, field_order);
}

}  // namespace zonda::ingest
