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

bool Source::contains(const FieldKey& key) const {
  const auto& keys = fields();
  return std::binary_search(keys.begin(), keys.end(), key, field_order);
}

}  // namespace zonda::ingest
