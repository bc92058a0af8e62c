#include "postproc/verification/field_series.hpp"

#include <algorithm>

#include "ingest/archive/archive_reader.hpp"

namespace zonda::postproc {
namespace {

class ArchiveSeries final : public FieldSeries {
 public:
  explicit ArchiveSeries(const std::filesystem::path& directory) : reader_(directory) {}
  const Grid& grid() const override { return reader_.grid(); }
  const std::vector<Channel>& channels() const override { return reader_.channels(); }
  const std::vector<Time>& times() const override { return reader_.times(); }
  std::string identity() const override { return reader_.identity(); }
  std::pair<Time, Time> training_period() const override {
    return {reader_.statistics().first, reader_.statistics().last};
  }
  std::optional<std::vector<float>> land_fraction() const override {
    const auto index = find_channel(reader_.static_channels(), Channel{"lsm", 0});
    if (!index) return std::nullopt;
    const auto field = reader_.static_field(*index);
    return std::vector<float>(field.begin(), field.end());
  }
  void read(std::size_t time_index, std::size_t row_begin, std::size_t row_end, std::span<float> out) const override {
    reader_.read(time_index, row_begin, row_end, out);
  }
  void read_channel(std::size_t time_index, std::size_t channel, std::size_t row_begin, std::size_t row_end,
                    std::span<float> out) const override {
    reader_.read_channel(time_index, channel, row_begin, row_end, out);
  }

 private:
  ingest::ArchiveReader reader_;
};

}  // namespace

std::optional<std::size_t> FieldSeries::find_time(Time time) const {
  const auto& all = times();
  const auto found = std::lower_bound(all.begin(), all.end(), time);
  if (found == all.end() || *found != time) return std::nullopt;
  return static_cast<std::size_t>(found - all.begin());
}

std::unique_ptr<FieldSeries> open_archive_series(const std::filesystem::path& directory) {
  return std::make_unique<ArchiveSeries>(directory);
}

}  // namespace zonda::postproc
