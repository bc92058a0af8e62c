#include "ingest/cf/cf_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "core/atomic_file.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/provenance.hpp"
#include "ingest/cf/netcdf_file.hpp"
#include "ingest/reference_system/reference_system.hpp"
#include "parallel/communicator.hpp"
#include "parallel/together.hpp"

namespace zonda::ingest {
namespace {

constexpr float fill_value = 9.9692099683868690e+36F;  // NC_FILL_FLOAT, what every reader knows
constexpr const char* time_units = "seconds since 1970-01-01 00:00:00";
constexpr const char* calendar = "proleptic_gregorian";

double seconds(Time time) {
  return static_cast<double>(time.time_since_epoch().count());
}

/// Longitudes of a CF axis must grow: a grid that crosses the prime meridian starts west of it, below zero.
std::vector<double> growing_longitudes(const Grid& grid) {
  std::vector<double> longitudes(grid.longitudes().begin(), grid.longitudes().end());
  std::size_t wrapped = 0;
  for (std::size_t j = 1; j < longitudes.size(); ++j) {
    if (longitudes[j] < longitudes[j - 1]) wrapped = j;
  }
  for (std::size_t j = 0; j < wrapped; ++j) longitudes[j] -= 360.0;
  return longitudes;
}

/// Rounds to `keep` mantissa bits, half to even (Kouznetsov 2021, doi:10.5194/gmd-14-377-2021).
void bit_round(std::span<float> values, int keep) {
  const int drop = 23 - keep;
  if (drop == 0) return;
  const std::uint32_t half_less_one = (1U << (drop - 1)) - 1, mask = ~((1U << drop) - 1);
  for (float& value : values) {
    if (!std::isfinite(value)) continue;
    std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    bits += half_less_one + ((bits >> drop) & 1U);
    value = std::bit_cast<float>(bits & mask);
  }
}

/// Rows of a chunk: as many as fit into 256 KiB, so that a field of a global model is many, which ranks may share.
std::size_t chunk_rows(const Grid& grid) {
  constexpr std::size_t largest = std::size_t{256} << 10;
  return std::clamp(largest / (grid.nlon() * sizeof(float)), std::size_t{1}, grid.nlat());
}

/// Where a channel's field goes.
struct Place {
  int variable = -1;
  bool has_level = false;
  std::size_t level = 0;
  bool is_static = false;
};

/// Levels of one variable, hPa, descending pressure.
using Levels = std::set<int, std::greater<>>;

}  // namespace

std::string cf_name(const Variable& variable) {
  const auto begins_with_letter = [](const std::string& name) {
    return !name.empty() && std::isalpha(static_cast<unsigned char>(name.front())) != 0;
  };
  if (begins_with_letter(variable.short_name)) return variable.short_name;
  const auto found = std::find_if(variable.aliases.begin(), variable.aliases.end(), begins_with_letter);
  return found == variable.aliases.end() ? "var_" + variable.short_name : *found;
}

/// The file under its temporary name; one of several ranks makes it and puts it in place.
class CfWriter::Placement {
 public:
  Placement(std::filesystem::path path, std::optional<parallel::Communicator> ranks)
      : path_(std::move(path)), ranks_(std::move(ranks)) {
    on_one([&] { file_.emplace(path_); });
    const std::string mine = file_ ? file_->temporary().string() : "";
    if (ranks_) {
      const auto names = ranks_->all_gather_variable(std::as_bytes(std::span(mine)));
      temporary_ = std::string(reinterpret_cast<const char*>(names[0].data()), names[0].size());
    } else {
      temporary_ = mine;
    }
  }
  const std::filesystem::path& path() const { return path_; }
  /// What fails on one rank fails on all; `work` calls no collectives of the communicator.
  template <class Work>
  void on_all(Work work) const {
    if (ranks_)
      parallel::together(*ranks_, work);
    else
      work();
  }
  NetcdfFile create() const { return ranks_ ? NetcdfFile(temporary_, path_, *ranks_) : NetcdfFile(temporary_, path_); }
  void commit() {
    on_one([&] { file_->commit(); });
  }

 private:
  template <class Work>
  void on_one(Work work) const {
    on_all([&] {
      if (!ranks_ || ranks_->is_root()) work();
    });
  }
  const std::filesystem::path path_;
  const std::optional<parallel::Communicator> ranks_;
  std::optional<AtomicFile> file_;
  std::filesystem::path temporary_;
};

struct CfWriter::File {
  NetcdfFile netcdf;
  std::filesystem::path path;
  Grid grid;
  std::vector<Channel> channels;
  CfOptions options;
  std::vector<Place> places;
  int time = -1, time_bounds = -1, period = -1;
  int time_dimension = -1, lat_dimension = -1, lon_dimension = -1, bounds_dimension = -1;
  std::vector<std::pair<int, std::vector<double>>> coordinates;  ///< values to write once the header is done
  std::vector<std::pair<int, int>> integers;
  std::map<std::string, int> heights;
  std::size_t steps = 0;
  Time last{};
  std::vector<float> scratch;

  File(const Placement& placement, const Grid& grid_, std::vector<Channel> channels_, const CfOptions& options_)
      : netcdf(placement.create()),
        path(placement.path()),
        grid(grid_),
        channels(std::move(channels_)),
        options(options_),
        places(channels.size()) {
    describe_file();
    define_axes();
    define_scalars();
    define_fields();
    netcdf.end_definitions();
    for (const auto& [variable, values] : coordinates) netcdf.put(variable, values);
    for (const auto& [variable, value] : integers) netcdf.put(variable, value);
  }

  bool projected() const { return grid.projection() != nullptr; }
  bool rotated() const { return projected() && grid.projection()->rotated_pole(); }

  bool any_accumulated() const {
    return std::any_of(channels.begin(), channels.end(), [](const Channel& c) { return c.info().accumulated; });
  }

  int axis(const std::string& name, std::span<const int> dimensions, std::string_view standard_name,
           std::string_view units, std::string_view letter) {
    const int id = netcdf.double_variable(name, dimensions);
    netcdf.attribute(id, "standard_name", standard_name);
    netcdf.attribute(id, "units", units);
    if (!letter.empty()) netcdf.attribute(id, "axis", letter);
    return id;
  }

  void describe_file() {
    netcdf.attribute(NetcdfFile::global, "Conventions", "CF-1.8");
    const std::string history = options.history.empty() ? history_line("write") : options.history;
    const std::string source = options.source.empty() ? "zonda " + code_version() : options.source;
    netcdf.attribute(NetcdfFile::global, "title", options.title.empty() ? "Zonda fields" : options.title);
    if (!options.institution.empty()) netcdf.attribute(NetcdfFile::global, "institution", options.institution);
    netcdf.attribute(NetcdfFile::global, "source", source);
    netcdf.attribute(NetcdfFile::global, "history", history);
    // Not on each variable, where CDO 2.1 warns that it cannot assign them; xarray reads them here.
    std::string names = options.reference_time ? "forecast_reference_time forecast_period" : "";
    if (options.realization) names += names.empty() ? "realization" : " realization";
    if (!names.empty()) netcdf.attribute(NetcdfFile::global, "coordinates", names);
  }

  void define_axes() {
    time_dimension = netcdf.dimension("time", NetcdfFile::unlimited);
    lat_dimension = netcdf.dimension(rotated() ? "rlat" : projected() ? "y" : "lat", grid.nlat());
    lon_dimension = netcdf.dimension(rotated() ? "rlon" : projected() ? "x" : "lon", grid.nlon());
    bounds_dimension = netcdf.dimension("bnds", 2);

    time = axis("time", std::array{time_dimension}, "time", time_units, "T");
    netcdf.attribute(time, "calendar", calendar);
    if (any_accumulated() && options.accumulation) {
      netcdf.attribute(time, "bounds", "time_bnds");
      time_bounds = netcdf.double_variable("time_bnds", std::array{time_dimension, bounds_dimension});
    }

    if (projected()) {
      define_plane();
      return;
    }
    const int lat = axis("lat", std::array{lat_dimension}, "latitude", "degrees_north", "Y");
    netcdf.attribute(lat, "bounds", "lat_bnds");
    const int lat_bounds = netcdf.double_variable("lat_bnds", std::array{lat_dimension, bounds_dimension});
    coordinates.emplace_back(lat, std::vector<double>(grid.latitudes().begin(), grid.latitudes().end()));
    std::vector<double> edges;
    for (std::size_t i = 0; i < grid.nlat(); ++i) {
      edges.insert(edges.end(), {grid.latitude_bounds()[i], grid.latitude_bounds()[i + 1]});
    }
    coordinates.emplace_back(lat_bounds, std::move(edges));

    const int lon = axis("lon", std::array{lon_dimension}, "longitude", "degrees_east", "X");
    netcdf.attribute(lon, "bounds", "lon_bnds");
    const int lon_bounds = netcdf.double_variable("lon_bnds", std::array{lon_dimension, bounds_dimension});
    const std::vector<double> longitudes = growing_longitudes(grid);
    edges.clear();
    const double half = 0.5 * grid.longitude_step();
    for (const double longitude : longitudes) edges.insert(edges.end(), {longitude - half, longitude + half});
    coordinates.emplace_back(lon, longitudes);
    coordinates.emplace_back(lon_bounds, std::move(edges));
  }

  /// A projected grid: x and y, or degrees of a rotated pole; the cells' latitudes and longitudes; and the grid mapping
  /// (CF 5.6).
  void define_plane() {
    const MapProjection& projection = *grid.projection();
    const double unit = rotated() ? projection.radius() * constants::pi / 180 : 1;
    const auto along = [&](const char* name, const char* standard_name, int dimension, std::span<const double> metres,
                           const char* letter) {
      const int id = axis(name, std::array{dimension}, standard_name, rotated() ? "degrees" : "m", letter);
      std::vector<double> values(metres.begin(), metres.end());
      for (double& value : values) value /= unit;
      coordinates.emplace_back(id, std::move(values));
    };
    along(rotated() ? "rlat" : "y", rotated() ? "grid_latitude" : "projection_y_coordinate", lat_dimension, grid.y(),
          "Y");
    along(rotated() ? "rlon" : "x", rotated() ? "grid_longitude" : "projection_x_coordinate", lon_dimension, grid.x(),
          "X");
    const std::array cells{lat_dimension, lon_dimension};
    const int lat = axis("lat", cells, "latitude", "degrees_north", ""),
              lon = axis("lon", cells, "longitude", "degrees_east", "");
    std::vector<double> latitudes, longitudes;
    for (std::size_t cell = 0; cell < grid.size(); ++cell) {
      latitudes.push_back(grid.centre(cell).latitude);
      longitudes.push_back(std::remainder(grid.centre(cell).longitude, 360.0));
    }
    coordinates.emplace_back(lat, std::move(latitudes));
    coordinates.emplace_back(lon, std::move(longitudes));
    const int crs = netcdf.int_variable("crs", {});
    const MapProjection::GridMapping mapping = projection.grid_mapping();
    netcdf.attribute(crs, "grid_mapping_name", mapping.name);
    for (const auto& [name, values] : mapping.attributes) netcdf.attribute(crs, name, std::span(values));
    if (!rotated()) {  // whose coordinates here are degrees, not PROJ's metres
      netcdf.attribute(crs, "crs_wkt", well_known_text(projection));
      netcdf.attribute(crs, "proj4", projection.to_string());
    }
    integers.emplace_back(crs, 0);
  }

  void define_scalars() {
    if (options.reference_time) {
      const int reference = axis("forecast_reference_time", {}, "forecast_reference_time", time_units, "");
      netcdf.attribute(reference, "calendar", calendar);
      coordinates.emplace_back(reference, std::vector<double>{seconds(*options.reference_time)});
      period = axis("forecast_period", std::array{time_dimension}, "forecast_period", "seconds", "");
    }
    if (options.realization) {
      const int realization = netcdf.int_variable("realization", {});
      netcdf.attribute(realization, "standard_name", "realization");
      netcdf.attribute(realization, "units", "1");
      integers.emplace_back(realization, *options.realization);
    }
    for (const Channel& channel : channels) {
      const Variable& info = channel.info();
      if (info.level_kind != LevelKind::height) continue;
      const std::string name = height_name(info);
      if (heights.contains(name)) continue;
      const int id = axis(name, {}, "height", "m", "Z");
      netcdf.attribute(id, "positive", "up");
      coordinates.emplace_back(id, std::vector<double>{info.height_m});
      heights.emplace(name, id);
    }
  }

  static std::string height_name(const Variable& info) { return fmt::format("height_{:g}m", info.height_m); }

  /// One level axis for each set of levels that occurs: `level`, `level_2`, ...
  std::map<Levels, int> define_levels(const std::map<std::string, Levels>& levels_of) {
    std::map<Levels, int> dimensions;
    for (const Channel& channel : channels) {
      const auto found = levels_of.find(channel.variable);
      if (found == levels_of.end() || dimensions.contains(found->second)) continue;
      const std::string name = dimensions.empty() ? "level" : fmt::format("level_{}", dimensions.size() + 1);
      const int dimension = netcdf.dimension(name, found->second.size());
      const int id = axis(name, std::array{dimension}, "air_pressure", "Pa", "Z");
      netcdf.attribute(id, "positive", "down");
      std::vector<double> pascals;
      for (const int level : found->second) pascals.push_back(100.0 * level);
      coordinates.emplace_back(id, std::move(pascals));
      dimensions.emplace(found->second, dimension);
    }
    return dimensions;
  }

  void define_fields() {
    std::map<std::string, Levels> levels_of;
    std::set<Channel> seen;
    for (const Channel& channel : channels) {
      if (!seen.insert(channel).second) {
        fail(ErrorKind::usage, "{}: channel {} is named twice", path.string(), channel.name());
      }
      if (channel.info().level_kind == LevelKind::pressure)
        levels_of[channel.info().short_name].insert(channel.level_hpa);
    }
    const std::map<Levels, int> level_dimensions = define_levels(levels_of);
    // Fields without a vertical axis come first: CDO 2.1 gives those that follow a scalar height that height.
    std::vector<std::size_t> order(channels.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_partition(order.begin(), order.end(), [&](std::size_t c) {
      const LevelKind kind = channels[c].info().level_kind;
      return kind != LevelKind::pressure && kind != LevelKind::height;
    });
    std::map<std::string, int> variables;
    for (const std::size_t c : order) {
      const Variable& info = channels[c].info();
      Place& place = places[c];
      place.is_static = info.is_static;
      std::vector<int> dimensions;
      std::vector<std::size_t> chunk;
      if (!info.is_static) {
        dimensions.push_back(time_dimension);
        chunk.push_back(1);
      }
      if (const auto found = levels_of.find(info.short_name); found != levels_of.end()) {
        place.has_level = true;
        place.level =
            static_cast<std::size_t>(std::distance(found->second.begin(), found->second.find(channels[c].level_hpa)));
        dimensions.push_back(level_dimensions.at(found->second));
        chunk.push_back(1);
      }
      const auto known = variables.find(info.short_name);
      if (known != variables.end()) {
        place.variable = known->second;
        continue;
      }
      dimensions.insert(dimensions.end(), {lat_dimension, lon_dimension});
      chunk.insert(chunk.end(), {chunk_rows(grid), grid.nlon()});
      place.variable = netcdf.field_variable(cf_name(info), dimensions, chunk, options.deflate, fill_value);
      variables.emplace(info.short_name, place.variable);
      describe_variable(place.variable, info);
    }
  }

  void describe_variable(int id, const Variable& info) {
    netcdf.attribute(id, "standard_name", info.standard_name);
    netcdf.attribute(id, "long_name", info.long_name);
    netcdf.attribute(id, "units", info.unit);
    if (info.accumulated) {
      netcdf.attribute(id, "cell_methods", "time: sum");
    } else if (time_bounds >= 0 && !info.is_static) {
      netcdf.attribute(id, "cell_methods", "time: point");
    }
    const bool at_height = info.level_kind == LevelKind::height;
    std::string names = projected() ? "lat lon" : "";
    if (at_height) names += (names.empty() ? "" : " ") + height_name(info);
    if (!names.empty()) netcdf.attribute(id, "coordinates", names);
    if (projected()) netcdf.attribute(id, "grid_mapping", "crs");
    if (options.keep_bits) netcdf.attribute(id, "_QuantizeBitRoundNumberOfSignificantBits", *options.keep_bits);
  }

  void put_rows(const Place& place, parallel::Range rows, std::span<const float> field) {
    scratch.resize(field.size());
    std::replace_copy_if(
        field.begin(), field.end(), scratch.begin(), [](float x) { return std::isnan(x); }, fill_value);
    if (options.keep_bits) {
      bit_round(scratch, *options.keep_bits);
      // The fill value must stay what `_FillValue` says.
      for (std::size_t i = 0; i < field.size(); ++i) {
        if (std::isnan(field[i])) scratch[i] = fill_value;
      }
    }
    std::array<std::size_t, 4> start{}, count{};
    std::size_t n = 0;
    const auto add = [&](std::size_t from, std::size_t length) {
      start[n] = from;
      count[n++] = length;
    };
    if (!place.is_static) add(steps - 1, 1);
    if (place.has_level) add(place.level, 1);
    add(rows.begin, rows.size());
    add(0, grid.nlon());
    netcdf.put_at(place.variable, std::span(start).first(n), std::span(count).first(n),
                  std::span<const float>(scratch));
  }

  void put_time(Time valid) {
    const std::array<std::size_t, 1> at{steps}, one{1};
    netcdf.put_at(time, at, one, std::array{seconds(valid)});
    if (time_bounds >= 0) {
      const std::array<std::size_t, 2> row{steps, 0}, pair{1, 2};
      netcdf.put_at(time_bounds, row, pair, std::array{seconds(valid - *options.accumulation), seconds(valid)});
    }
    if (period >= 0) netcdf.put_at(period, at, one, std::array{seconds(valid) - seconds(*options.reference_time)});
  }
};

namespace {

void check_options(const std::filesystem::path& path, const CfOptions& options, std::span<const Channel> channels) {
  if (options.deflate < 0 || options.deflate > 9) {
    fail(ErrorKind::usage, "{}: deflate level {}; expected 0 to 9", path.string(), options.deflate);
  }
  if (options.keep_bits && (*options.keep_bits < 1 || *options.keep_bits > 23)) {
    fail(ErrorKind::usage, "{}: {} kept mantissa bits; expected 1 to 23", path.string(), *options.keep_bits);
  }
  if (options.accumulation && *options.accumulation <= Duration(0)) {
    fail(ErrorKind::usage, "{}: an accumulation period of {} s", path.string(), options.accumulation->count());
  }
  if (channels.empty()) fail(ErrorKind::usage, "{}: no channel to write", path.string());
}

}  // namespace

CfWriter::CfWriter(std::filesystem::path path, const Grid& grid, std::vector<Channel> channels,
                   const CfOptions& options) {
  check_options(path, options, channels);
  placement_ = std::make_unique<Placement>(std::move(path), std::nullopt);
  file_ = std::make_unique<File>(*placement_, grid, std::move(channels), options);
}

CfWriter::CfWriter(std::filesystem::path path, const Grid& grid, std::vector<Channel> channels,
                   const CfOptions& options, const parallel::Communicator& ranks) {
  check_options(path, options, channels);
  placement_ = std::make_unique<Placement>(std::move(path), ranks);
  placement_->on_all([&] { file_ = std::make_unique<File>(*placement_, grid, std::move(channels), options); });
}

CfWriter::~CfWriter() = default;

void CfWriter::write(const State& state) {
  if (!file_) fail(ErrorKind::failure, "a state is written to a NetCDF file that is closed");
  const File& file = *file_;
  if (!(state.grid == file.grid)) {
    fail(ErrorKind::failure, "{}: a state on grid {} is written to a file on grid {}", file.path.string(),
         state.grid.to_string(), file.grid.to_string());
  }
  if (state.channels != file.channels || state.values.size() != file.channels.size() * file.grid.size()) {
    fail(ErrorKind::failure, "{}: a state of {} channels is written to a file of {} (or others)", file.path.string(),
         state.channels.size(), file.channels.size());
  }
  begin(state.time);
  for (std::size_t c = 0; c < file.channels.size(); ++c) write_rows(c, {0, file.grid.nlat()}, state.field(c));
}

void CfWriter::begin(Time valid) {
  if (!file_) fail(ErrorKind::failure, "a time is written to a NetCDF file that is closed");
  File& file = *file_;
  if (file.steps > 0 && valid <= file.last) {
    fail(ErrorKind::failure, "{}: time {} is written after {}; times must ascend", file.path.string(), to_string(valid),
         to_string(file.last));
  }
  file.put_time(valid);
  file.last = valid;
  ++file.steps;
}

void CfWriter::write_rows(std::size_t channel, parallel::Range rows, std::span<const float> values) {
  if (!file_ || file_->steps == 0)
    fail(ErrorKind::failure, "rows are written to a NetCDF file that is closed or has no time yet");
  File& file = *file_;
  if (channel >= file.channels.size() || rows.end > file.grid.nlat() || rows.begin >= rows.end ||
      values.size() != rows.size() * file.grid.nlon()) {
    fail(ErrorKind::failure, "{}: {} numbers for rows {} to {} of channel {}; the file has {} channels on grid {}",
         file.path.string(), values.size(), rows.begin, rows.end, channel, file.channels.size(), file.grid.to_string());
  }
  if (file.places[channel].is_static && file.steps > 1) return;
  file.put_rows(file.places[channel], rows, values);
}

void CfWriter::close() {
  if (!file_) return;
  if (file_->steps == 0) fail(ErrorKind::usage, "{}: closed before any state was written", file_->path.string());
  placement_->on_all([&] { file_->netcdf.close(); });
  placement_->commit();
  file_.reset();
}

}  // namespace zonda::ingest
