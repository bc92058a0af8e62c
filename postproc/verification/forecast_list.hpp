#pragma once
// The forecasts of a folder: which file starts when, and what it holds.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "core/variables.hpp"
#include "parallel/communicator.hpp"

namespace zonda::ingest {
class Source;
}

namespace zonda::postproc {

/// One member of one forecast in one file.
struct ForecastFile {
  std::filesystem::path path;
  Time initial;
  std::optional<int> member;
  std::vector<Time> valid_times;  ///< ascending
  std::vector<Channel> channels;  ///< of its time-dependent fields
  std::string grid;               ///< Grid::to_string()
};

/// All members that start at one time.
struct ForecastStart {
  Time initial;
  std::vector<ForecastFile> members;  ///< by member number
};

/// What a source says about itself; `path` is kept for messages. Throws Error(data) if fields have no forecast
/// reference time.
std::vector<ForecastFile> describe_forecasts(const ingest::Source& source, const std::filesystem::path& path);

/// Every NetCDF file (`*.nc`) of `directory`, by initial time. The files are shared out over the ranks for reading;
/// collective. Throws Error(data): no folder, no file, an initial time with differing numbers of members, the same
/// forecast twice.
std::vector<ForecastStart> list_forecasts(const std::filesystem::path& directory,
                                          const parallel::Communicator& communicator);

/// Groups files by initial time. Throws Error(data) as above.
std::vector<ForecastStart> group_by_start(std::vector<ForecastFile> files);

}  // namespace zonda::postproc
