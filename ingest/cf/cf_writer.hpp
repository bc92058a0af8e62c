#pragma once
// CF-1.8 NetCDF files of states, as ncdump, CDO and xarray read them without complaint: dimensions (time, level, lat,
// lon), one variable per short name, one file per member. On a projected grid (time, level, y, x), with latitudes and
// longitudes of the cells and a grid mapping; eastward and northward winds are true ones there too.
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/state.hpp"
#include "parallel/partition.hpp"

namespace zonda::parallel {
class Communicator;
}

namespace zonda::ingest {

struct CfOptions {
  std::string title, source, history;  ///< history: empty means core's history_line
  std::optional<Time>
      reference_time;  ///< set: a forecast; `forecast_reference_time` and `forecast_period(time)` are written
  std::optional<int> realization;  ///< scalar `realization`
  int deflate = 1;                 ///< 0..9, with shuffle
  std::optional<int> keep_bits;    ///< bit-round the mantissa to 1..23 bits before writing
  std::string institution;         ///< who made it; left out where empty
  /// The period that ends at each time, for accumulated channels: `time_bnds` is written with them.
  std::optional<Duration> accumulation;
};

/// The variable's name in the file: the short name, but with a letter first as CF 2.3 asks (`2t` becomes `t2m`, `10u`
/// `u10`): the first alias of the variable table that has one.
std::string cf_name(const Variable& variable);

/// Writes states one by one as they come; the file appears under its name only after close() (see AtomicFile). Without
/// close() nothing stays. The same states give the same bytes (with SOURCE_DATE_EPOCH or a given history), in whatever
/// pieces their rows come. Chunks are whole rows, at most 256 KiB of them. Memory: what one call is given.
class CfWriter {
 public:
  /// Channels of a pressure-level variable are collected on one `level` axis (units Pa, descending pressure = top
  /// last); every such variable must have the same levels, else each set of levels gets an axis of its own (`level_2`,
  /// ...). Static channels have no time dimension; heights (2 m, 10 m) are scalar coordinates. Throws Error(usage) on
  /// bad options or a channel named twice, Error(failure) with NetCDF's reason.
  CfWriter(std::filesystem::path path, const Grid& grid, std::vector<Channel> channels, const CfOptions& options);
  /// One file of all `ranks`, which are processes of MPI (else Error(usage)), by parallel HDF5: every call is
  /// collective, and write_rows() of a rank gives rows that no other one gives. The bytes do not depend on the number
  /// of ranks, but are not those of one writer: HDF5 lays parallel files out differently.
  CfWriter(std::filesystem::path path, const Grid& grid, std::vector<Channel> channels, const CfOptions& options,
           const parallel::Communicator& ranks);
  ~CfWriter();
  CfWriter(const CfWriter&) = delete;
  CfWriter& operator=(const CfWriter&) = delete;
  /// `state` has the writer's grid and channels; times ascend; NaN becomes `_FillValue`. Static fields are taken from
  /// the first state. Throws Error(failure) with NetCDF's reason.
  void write(const State& state);
  /// The same in pieces: a time begins, then rows of its channels `[row, lon]` come, for each channel from north to
  /// south.
  void begin(Time time);
  void write_rows(std::size_t channel, parallel::Range rows, std::span<const float> values);
  /// Puts the file in place. Throws Error(failure); Error(usage) where nothing was written.
  void close();

 private:
  class Placement;
  struct File;
  std::unique_ptr<Placement> placement_;
  std::unique_ptr<File> file_;
};

}  // namespace zonda::ingest
