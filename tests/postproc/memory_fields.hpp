#pragma once
// Truth and forecasts in memory, for tests whose answers are known.
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/error.hpp"
#include "ingest/sources/source.hpp"
#include "postproc/verification/field_series.hpp"
#include "postproc/verification/forecast_list.hpp"
#include "postproc/verification/verify.hpp"

namespace zonda::postproc {

/// value(channel, time, lat, lon)
using FieldFunction = std::function<double(const Channel&, Time, double latitude, double longitude)>;

inline std::vector<float> evaluate(const Grid& grid, const FieldFunction& f, const Channel& channel, Time time) {
  std::vector<float> values(grid.size());
  for (std::size_t row = 0; row < grid.nlat(); ++row)
    for (std::size_t column = 0; column < grid.nlon(); ++column)
      values[row * grid.nlon() + column] =
          static_cast<float>(f(channel, time, grid.latitudes()[row], grid.longitudes()[column]));
  return values;
}

class MemorySeries final : public FieldSeries {
 public:
  MemorySeries(Grid grid, std::vector<Channel> channels, std::vector<Time> times, FieldFunction f)
      : grid_(std::move(grid)), channels_(std::move(channels)), times_(std::move(times)), f_(std::move(f)) {}
  std::optional<std::vector<float>> land;
  std::optional<std::pair<Time, Time>> training;

  const Grid& grid() const override { return grid_; }
  const std::vector<Channel>& channels() const override { return channels_; }
  const std::vector<Time>& times() const override { return times_; }
  std::string identity() const override { return "memory"; }
  std::pair<Time, Time> training_period() const override {
    return training.value_or(std::pair(times_.front(), times_.back()));
  }
  std::optional<std::vector<float>> land_fraction() const override { return land; }
  void read(std::size_t time, std::size_t begin, std::size_t end, std::span<float> out) const override {
    const std::size_t slab = (end - begin) * grid_.nlon();
    for (std::size_t c = 0; c < channels_.size(); ++c) read_channel(time, c, begin, end, out.subspan(c * slab, slab));
  }
  void read_channel(std::size_t time, std::size_t channel, std::size_t begin, std::size_t end,
                    std::span<float> out) const override {
    const std::vector<float> all = evaluate(grid_, f_, channels_[channel], times_[time]);
    std::copy(all.begin() + static_cast<long>(begin * grid_.nlon()),
              all.begin() + static_cast<long>(end * grid_.nlon()), out.begin());
  }

 private:
  Grid grid_;
  std::vector<Channel> channels_;
  std::vector<Time> times_;
  FieldFunction f_;
};

/// One forecast, one member: value(channel, valid time, lat, lon).
class MemorySource final : public ingest::Source {
 public:
  MemorySource(Grid grid, const std::vector<Channel>& channels, Time initial, const std::vector<Duration>& leads,
               FieldFunction f, std::optional<int> member = std::nullopt)
      : grid_(std::move(grid)), f_(std::move(f)) {
    for (const Duration lead : leads)
      for (const Channel& channel : channels)
        fields_.push_back({channel, initial + lead, initial, member, Duration(0)});
  }
  const std::vector<ingest::FieldKey>& fields() const override { return fields_; }
  const std::vector<std::string>& ignored() const override { return ignored_; }
  Grid grid(const Channel&) const override { return grid_; }
  void read(const ingest::FieldKey& key, std::span<float> values) const override {
    const std::vector<float> all = evaluate(grid_, f_, key.channel, key.valid_time);
    std::copy(all.begin(), all.end(), values.begin());
  }
  std::string describe() const override { return "memory"; }

 private:
  Grid grid_;
  FieldFunction f_;
  std::vector<ingest::FieldKey> fields_;
  std::vector<std::string> ignored_;
};

/// Named forecasts, opened as files are.
class MemoryForecasts {
 public:
  using Make = std::function<std::unique_ptr<ingest::Source>()>;
  void add(const std::string& name, Make make) { makers_[name] = std::move(make); }
  std::vector<ForecastStart> starts() const {
    std::vector<ForecastFile> files;
    for (const auto& [name, make] : makers_)
      for (ForecastFile& file : describe_forecasts(*make(), name)) files.push_back(std::move(file));
    return group_by_start(std::move(files));
  }
  std::function<std::unique_ptr<ingest::Source>(const std::filesystem::path&)> opener() const {
    return [this](const std::filesystem::path& path) { return makers_.at(path.string())(); };
  }

 private:
  std::map<std::string, Make> makers_;
};

inline std::vector<Time> regular_times(Time first, std::size_t count, Duration step) {
  std::vector<Time> times;
  for (std::size_t i = 0; i < count; ++i) times.push_back(first + step * static_cast<long>(i));
  return times;
}

/// An empty folder of its own, removed at the end.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / ("zonda-" + name + "-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The message of the Error that `work` throws, with its kind; "" if none.
template <class Work>
std::pair<ErrorKind, std::string> error_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::failure, ""};
}

}  // namespace zonda::postproc
