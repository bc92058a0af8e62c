#pragma once
// A source in memory: fields of the synthetic atmosphere, and faults where a test asks for them.
#include <functional>
#include <limits>
#include <memory>

#include "ingest/pipeline/ingest.hpp"
#include "tests/ingest/archive/synthetic_atmosphere.hpp"

namespace zonda::ingest {

struct SyntheticOptions {
  Grid grid = Grid::latlon(19, 36, true);
  std::vector<Channel> channels{{"2t", 0}, {"z", 500}, {"u", 500}, {"v", 500}};
  std::size_t times = 40;
  std::function<bool(Time)> absent;                              ///< a time the source lacks
  std::function<void(const FieldKey&, std::span<float>)> spoil;  ///< changes a field before it is handed out
};

inline Time synthetic_time(std::size_t i) {
  return parse_time("2020-01-01") + Duration(21600 * static_cast<long>(i));
}

class SyntheticSource : public Source {
 public:
  explicit SyntheticSource(SyntheticOptions options) : options_(std::move(options)) {
    for (std::size_t t = 0; t < options_.times; ++t) {
      if (options_.absent && options_.absent(synthetic_time(t))) continue;
      for (const Channel& channel : options_.channels)
        keys_.push_back({channel, synthetic_time(t), {}, {}, Duration(0)});
    }
    keys_.push_back({{"orog", 0}, Time{}, {}, {}, Duration(0)});
  }
  const std::vector<FieldKey>& fields() const override { return keys_; }
  const std::vector<std::string>& ignored() const override { return ignored_; }
  Grid grid(const Channel&) const override { return options_.grid; }
  void read(const FieldKey& key, std::span<float> values) const override {
    const std::vector<float> made = SyntheticAtmosphere{options_.grid, {key.channel}, 6}.fields(key.valid_time);
    std::copy(made.begin(), made.end(), values.begin());
    if (options_.spoil) options_.spoil(key, values);
  }
  std::string describe() const override { return "synthetic"; }

 private:
  SyntheticOptions options_;
  std::vector<FieldKey> keys_;
  std::vector<std::string> ignored_;
};

inline OpenSources synthetic(SyntheticOptions options = {}) {
  return [options](const IngestConfig&) {
    std::vector<std::unique_ptr<Source>> sources;
    sources.push_back(std::make_unique<SyntheticSource>(options));
    return sources;
  };
}

inline IngestConfig synthetic_config() {
  IngestConfig config;
  config.sources.push_back({{"synthetic"}, {}, {}});
  config.channels = {"2t", "z500", "u500", "v500"};
  config.statics = {"orog"};
  config.unit_bytes = 4 * 4 * 19 * 36 * 4;  // four times
  return config;
}

}  // namespace zonda::ingest
