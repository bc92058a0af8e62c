#pragma once
// The fields of one time on the archive's grid: read, regridded, checked. Holds one time and a few fields of a source.
#include <optional>
#include <span>
#include <vector>

#include "ingest/pipeline/field_catalogue.hpp"
#include "ingest/pipeline/ingest.hpp"

namespace zonda::ingest {

class TimeLoader {
 public:
  TimeLoader(const FieldCatalogue& catalogue, const IngestConfig& config, const Grid& target, Duration accumulation);

  /// `[channel, lat, lon]` on the target grid, missing points filled where the configuration says with what. Throws
  /// Error(data) naming source, channel, level and time: absent, missing values, or values outside the physical range.
  void load(const std::vector<Channel>& channels, Time time, std::span<float> values) const;
  /// The same for static channels.
  void load_statics(const std::vector<Channel>& channels, std::span<float> values) const;

 private:
  struct Field;
  Field read(const FieldRecipe& recipe, const Channel& channel, std::optional<Time> time,
             std::optional<float> fill) const;
  void place(const Field& field, std::span<float> out) const;
  void fill_missing(const Channel& channel, Time time, float fill, std::span<float> values) const;

  const FieldCatalogue& catalogue_;
  const IngestConfig& config_;
  Grid target_;
  Duration accumulation_;
};

}  // namespace zonda::ingest
