#pragma once
// CF-1.8 NetCDF files of states, as ncdump, CDO and xarray read them without complaint: dimensions (time, level, lat,
// lon), one variable per short name, one file per member.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/state.hpp"

namespace zonda::ingest {

struct CfOptions {
  std::string title, source, history;
  std::optional<Time>
      reference_time;  ///< set: a forecast; `forecast_reference_time` and `forecast_period(time)` are written
  std::optional<int> realization;  ///< scalar `realization`
  int deflate = 1;                 ///< 0..9, with shuffle
  std::optional<int> keep_bits;    ///< bit-round the mantissa before writing
};

/// Writes states one by one as they come; the file appears under its name only after close() (see AtomicFile).
class CfWriter {
 public:
  /// Channels of a pressure-level variable are collected on one `level` axis (hPa in `plev` units Pa, descending
  /// pressure last = top last); every such variable must have the same levels, else each set of levels gets an axis of
  /// its own.
  CfWriter(std::filesystem::path path, const Grid& grid, std::vector<Channel> channels, const CfOptions& options);
  ~CfWriter();
  /// `state` has the writer's grid and channels; times ascend. Throws Error(failure) with NetCDF's reason.
  void write(const State& state);
  void close();

 private:
  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace zonda::ingest
