#include "ingest/sources/merged_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>

#include "core/error.hpp"
#include "ingest/sources/field_order.hpp"

namespace zonda::ingest {
namespace {

class MergedSource : public Source {
 public:
  explicit MergedSource(std::vector<std::unique_ptr<Source>> sources) : sources_(std::move(sources)) {
    std::set<std::string> ignored;
    for (std::size_t s = 0; s < sources_.size(); ++s) {
      for (const Channel& channel : sources_[s]->channels()) owners_[channel].push_back(s);
      ignored.insert(sources_[s]->ignored().begin(), sources_[s]->ignored().end());
    }
    ignored_.assign(ignored.begin(), ignored.end());
  }

  const std::vector<FieldKey>& fields() const override {
    std::call_once(listed_, [&] {
      for (const auto& [channel, owners] : owners_) {
        const auto keys = fields_of(channel);
        fields_.insert(fields_.end(), keys.begin(), keys.end());
      }
      std::sort(fields_.begin(), fields_.end(), field_order);
    });
    return fields_;
  }

  std::vector<Channel> channels() const override {
    std::vector<Channel> channels;
    for (const auto& [channel, owners] : owners_) channels.push_back(channel);
    return channels;
  }

  std::vector<FieldKey> fields_of(const Channel& channel) const override {
    const auto found = owners_.find(channel);
    if (found == owners_.end()) return {};
    std::vector<FieldKey> keys;
    for (const std::size_t owner : found->second) {
      const auto more = sources_[owner]->fields_of(channel);
      keys.insert(keys.end(), more.begin(), more.end());
    }
    std::sort(keys.begin(), keys.end(), field_order);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    if (channel.info().is_static && keys.size() > 1) keys.resize(1);
    return keys;
  }

  bool contains(const FieldKey& key) const override {
    const auto found = owners_.find(key.channel);
    if (found == owners_.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(),
                       [&](std::size_t owner) { return sources_[owner]->contains(key); });
  }

  const std::vector<std::string>& ignored() const override { return ignored_; }

  Grid grid(const Channel& channel) const override {
    const auto& owners = owners_of(channel);
    Grid grid = sources_[owners.front()]->grid(channel);
    for (const std::size_t owner : owners) {
      if (const Grid other = sources_[owner]->grid(channel); !(other == grid)) {
        fail(ErrorKind::data, "{} is on grid {} in {}, but on {} in {}", channel.name(), grid.to_string(),
             sources_[owners.front()]->describe(), other.to_string(), sources_[owner]->describe());
      }
    }
    return grid;
  }

  void read(const FieldKey& key, std::span<float> values) const override {
    read_from_owners(key, values, [](const Source& source, const FieldKey& own, std::span<float> target) {
      source.read(own, target);
    });
  }

  void read_rows(const FieldKey& key, std::size_t row_begin, std::size_t row_end,
                 std::span<float> values) const override {
    read_from_owners(key, values, [=](const Source& source, const FieldKey& own, std::span<float> target) {
      source.read_rows(own, row_begin, row_end, target);
    });
  }

  std::string describe() const override {
    return fmt::format("{} and {} more", sources_.front()->describe(), sources_.size() - 1);
  }

 private:
  /// Every file that has the field is asked for the part that `read` takes of it; they have to agree.
  template <class Read>
  void read_from_owners(const FieldKey& key, std::span<float> values, Read read) const {
    const Source* first = nullptr;
    std::vector<float> again;
    for (const std::size_t owner : owners_of(key.channel)) {
      const Source& source = *sources_[owner];
      FieldKey own = key;
      if (!source.contains(own)) {
        if (!key.channel.info().is_static) continue;
        own = source.fields_of(key.channel).front();
      }
      if (first == nullptr) {
        read(source, own, values);
        first = &source;
        continue;
      }
      again.resize(values.size());
      read(source, own, again);
      for (std::size_t i = 0; i < again.size(); ++i) {
        if (again[i] == values[i] || (std::isnan(again[i]) && std::isnan(values[i]))) continue;
        fail(ErrorKind::data, "{}: {} and {} both have it, with different values ({} and {})", ingest::describe(key),
             first->describe(), source.describe(), values[i], again[i]);
      }
    }
    if (first == nullptr) fail(ErrorKind::data, "{}: there is no {}", describe(), ingest::describe(key));
  }

  const std::vector<std::size_t>& owners_of(const Channel& channel) const {
    const auto found = owners_.find(channel);
    if (found != owners_.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [known, owners] : owners_) names.push_back(known.name());
    throw Error(ErrorKind::data, describe() + ": " + unknown_word("channel", channel.name(), names));
  }

  std::vector<std::unique_ptr<Source>> sources_;
  std::map<Channel, std::vector<std::size_t>> owners_;
  std::vector<std::string> ignored_;
  mutable std::once_flag listed_;
  mutable std::vector<FieldKey> fields_;
};

}  // namespace

std::unique_ptr<Source> merge_sources(std::vector<std::unique_ptr<Source>> sources) {
  if (sources.empty()) fail(ErrorKind::data, "no source to read");
  if (sources.size() == 1) return std::move(sources.front());
  return std::make_unique<MergedSource>(std::move(sources));
}

}  // namespace zonda::ingest
