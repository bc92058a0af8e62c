#include "core/variables.hpp"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "core/error.hpp"

namespace zonda {
namespace {

using enum LevelKind;

// short, standard, long, unit, discipline, category, number, level kind, height, accumulated, static, min, max,
// aliases, partner
const std::vector<Variable>& table() {
  static const std::vector<Variable> variables{
      {"z",
       "geopotential",
       "Geopotential",
       "m2 s-2",
       0,
       3,
       4,
       pressure,
       0,
       false,
       false,
       -2e4,
       6.5e5,
       {"geopotential", "gh", "Z", "hgt", "HGT", "geopotential_height", "zg"},
       ""},
      {"t",
       "air_temperature",
       "Temperature",
       "K",
       0,
       0,
       0,
       pressure,
       0,
       false,
       false,
       120,
       380,
       {"temperature", "T", "ta", "tmp", "TMP", "air_temperature"},
       ""},
      {"u",
       "eastward_wind",
       "Zonal wind",
       "m s-1",
       0,
       2,
       2,
       pressure,
       0,
       false,
       false,
       -300,
       300,
       {"u_component_of_wind", "U", "ua", "ugrd", "UGRD", "eastward_wind"},
       "v"},
      {"v",
       "northward_wind",
       "Meridional wind",
       "m s-1",
       0,
       2,
       3,
       pressure,
       0,
       false,
       false,
       -300,
       300,
       {"v_component_of_wind", "V", "va", "vgrd", "VGRD", "northward_wind"},
       "u"},
      {"w",
       "lagrangian_tendency_of_air_pressure",
       "Vertical velocity",
       "Pa s-1",
       0,
       2,
       8,
       pressure,
       0,
       false,
       false,
       -200,
       200,
       {"vertical_velocity", "omega", "wap"},
       ""},
      {"q",
       "specific_humidity",
       "Specific humidity",
       "kg kg-1",
       0,
       1,
       0,
       pressure,
       0,
       false,
       false,
       -0.01,
       0.1,
       {"specific_humidity", "Q", "hus", "spfh"},
       ""},
      {"r",
       "relative_humidity",
       "Relative humidity",
       "%",
       0,
       1,
       1,
       pressure,
       0,
       false,
       false,
       -20,
       200,
       {"relative_humidity", "hur", "rh", "RH"},
       ""},
      {"vo",
       "atmosphere_relative_vorticity",
       "Relative vorticity",
       "s-1",
       0,
       2,
       12,
       pressure,
       0,
       false,
       false,
       -0.1,
       0.1,
       {"vorticity", "relative_vorticity"},
       ""},
      {"d",
       "divergence_of_wind",
       "Divergence",
       "s-1",
       0,
       2,
       13,
       pressure,
       0,
       false,
       false,
       -0.1,
       0.1,
       {"divergence"},
       ""},
      {"2t",
       "air_temperature",
       "2 m temperature",
       "K",
       0,
       0,
       0,
       height,
       2,
       false,
       false,
       150,
       350,
       {"t2m", "2m_temperature", "T2M", "tas", "VAR_2T"},
       ""},
      {"2d",
       "dew_point_temperature",
       "2 m dew point",
       "K",
       0,
       0,
       6,
       height,
       2,
       false,
       false,
       100,
       330,
       {"d2m", "2m_dewpoint_temperature", "VAR_2D"},
       ""},
      {"10u",
       "eastward_wind",
       "10 m zonal wind",
       "m s-1",
       0,
       2,
       2,
       height,
       10,
       false,
       false,
       -150,
       150,
       {"u10", "10m_u_component_of_wind", "U10M", "uas", "VAR_10U"},
       "10v"},
      {"10v",
       "northward_wind",
       "10 m meridional wind",
       "m s-1",
       0,
       2,
       3,
       height,
       10,
       false,
       false,
       -150,
       150,
       {"v10", "10m_v_component_of_wind", "V10M", "vas", "VAR_10V"},
       "10u"},
      {"100u",
       "eastward_wind",
       "100 m zonal wind",
       "m s-1",
       0,
       2,
       2,
       height,
       100,
       false,
       false,
       -200,
       200,
       {"u100", "100m_u_component_of_wind"},
       "100v"},
      {"100v",
       "northward_wind",
       "100 m meridional wind",
       "m s-1",
       0,
       2,
       3,
       height,
       100,
       false,
       false,
       -200,
       200,
       {"v100", "100m_v_component_of_wind"},
       "100u"},
      {"msl",
       "air_pressure_at_mean_sea_level",
       "Mean sea level pressure",
       "Pa",
       0,
       3,
       1,
       mean_sea,
       0,
       false,
       false,
       8.5e4,
       1.12e5,
       {"mean_sea_level_pressure", "prmsl", "mslet", "psl", "slp"},
       ""},
      {"sp",
       "surface_air_pressure",
       "Surface pressure",
       "Pa",
       0,
       3,
       0,
       surface,
       0,
       false,
       false,
       3e4,
       1.15e5,
       {"surface_pressure", "ps", "PS", "SP"},
       ""},
      {"skt",
       "surface_temperature",
       "Skin temperature",
       "K",
       0,
       0,
       17,
       surface,
       0,
       false,
       false,
       150,
       370,
       {"skin_temperature", "ts"},
       ""},
      {"sst",
       "sea_surface_temperature",
       "Sea surface temperature",
       "K",
       10,
       3,
       0,
       surface,
       0,
       false,
       false,
       265,
       315,
       {"sea_surface_temperature", "tos"},
       ""},
      {"tcc",
       "cloud_area_fraction",
       "Total cloud cover",
       "1",
       0,
       6,
       1,
       single,
       0,
       false,
       false,
       -0.01,
       1.01,
       {"total_cloud_cover", "clt"},
       ""},
      {"tcwv",
       "atmosphere_mass_content_of_water_vapor",
       "Total column water vapour",
       "kg m-2",
       0,
       1,
       3,
       single,
       0,
       false,
       false,
       -1,
       150,
       {"total_column_water_vapour", "prw", "pwat"},
       ""},
      {"cape",
       "atmosphere_convective_available_potential_energy",
       "Convective available potential energy",
       "J kg-1",
       0,
       7,
       6,
       surface,
       0,
       false,
       false,
       -1,
       2e4,
       {"convective_available_potential_energy"},
       ""},
      {"tp",
       "lwe_thickness_of_precipitation_amount",
       "Total precipitation",
       "m",
       0,
       1,
       52,
       surface,
       0,
       true,
       false,
       -1e-4,
       3,
       {"total_precipitation", "total_precipitation_6hr", "total_precipitation_24hr", "precipitation_amount", "apcp",
        "tprate"},
       ""},
      {"ssrd",
       "surface_downwelling_shortwave_flux_in_air",
       "Surface solar radiation downwards",
       "J m-2",
       0,
       4,
       7,
       surface,
       0,
       true,
       false,
       -1,
       1.2e8,
       {"surface_solar_radiation_downwards", "rsds"},
       ""},
      {"i10fg",
       "wind_speed_of_gust",
       "10 m wind gust",
       "m s-1",
       0,
       2,
       22,
       height,
       10,
       false,
       false,
       0,
       200,
       {"instantaneous_10m_wind_gust", "gust", "fg10"},
       ""},
      {"orog",
       "surface_geopotential",
       "Surface geopotential",
       "m2 s-2",
       0,
       3,
       4,
       surface,
       0,
       false,
       true,
       -1e4,
       1e5,
       {"geopotential_at_surface", "z_sfc", "surface_geopotential", "orography", "surface_altitude", "phis", "PHIS"},
       ""},
      {"lsm",
       "land_binary_mask",
       "Land-sea mask",
       "1",
       2,
       0,
       0,
       surface,
       0,
       false,
       true,
       -0.01,
       1.01,
       {"land_sea_mask", "land", "sftlf", "LSM"},
       ""},
  };
  return variables;
}

const std::unordered_map<std::string_view, const Variable*>& index() {
  static const auto names = [] {
    std::unordered_map<std::string_view, const Variable*> map;
    for (const Variable& v : table()) map.emplace(v.short_name, &v);
    for (const Variable& v : table()) {
      for (const std::string& alias : v.aliases) map.emplace(alias, &v);
    }
    return map;
  }();
  return names;
}

std::vector<std::string> short_names() {
  std::vector<std::string> names;
  for (const Variable& v : table()) names.push_back(v.short_name);
  return names;
}

}  // namespace

std::span<const Variable> variable_table() {
  return table();
}

const Variable* find_variable(std::string_view name) {
  const auto found = index().find(name);
  return found == index().end() ? nullptr : found->second;
}

const Variable& variable(std::string_view name) {
  if (const Variable* found = find_variable(name)) return *found;
  throw Error(ErrorKind::usage, unknown_word("variable", name, short_names()));
}

const Variable* find_by_standard_name(std::string_view standard_name, LevelKind level_kind) {
  for (const Variable& v : table()) {
    if (v.standard_name == standard_name && v.level_kind == level_kind) return &v;
  }
  return nullptr;
}

const Variable* find_by_grib(int discipline, int category, int number, LevelKind level_kind, double height_m) {
  for (const Variable& v : table()) {
    if (v.grib_discipline == discipline && v.grib_category == category && v.grib_number == number &&
        v.level_kind == level_kind && v.height_m == height_m) {
      return &v;
    }
  }
  return nullptr;
}

std::string Channel::name() const {
  return level_hpa == 0 ? variable : variable + std::to_string(level_hpa);
}

Channel parse_channel(std::string_view name) {
  const std::size_t last = name.find_last_not_of("0123456789");
  const std::size_t split = last == std::string_view::npos ? 0 : last + 1;
  const std::string_view letters = name.substr(0, split), figures = name.substr(split);
  const Variable* levelled = find_variable(letters);
  const bool short_name_and_level =
      levelled != nullptr && levelled->short_name == letters && levelled->level_kind == pressure && !figures.empty();
  // Files call the wind at 100 m u100; here that is the wind at 100 hPa.
  if (const Variable* whole = short_name_and_level ? nullptr : find_variable(name)) {
    if (whole->level_kind == pressure) {
      fail(ErrorKind::usage, "channel '{}' needs a pressure level in hPa, such as {}500", name, whole->short_name);
    }
    return Channel{whole->short_name, 0};
  }
  if (figures.empty() || letters.empty() || figures.front() == '0') {
    throw Error(ErrorKind::usage, unknown_word("channel", name, short_names()));
  }
  const Variable& info = variable(letters);
  int level = 0;
  const auto [end, error] = std::from_chars(figures.data(), figures.data() + figures.size(), level);
  if (info.level_kind != pressure)
    fail(ErrorKind::usage, "variable '{}' has no levels, but channel '{}' names one", letters, name);
  if (error != std::errc() || end != figures.data() + figures.size() || level < 1 || level > 1100) {
    fail(ErrorKind::usage, "channel '{}': level {} hPa is outside 1 to 1100", name, figures);
  }
  return Channel{info.short_name, level};
}

std::optional<std::size_t> find_channel(std::span<const Channel> channels, const Channel& channel) {
  const auto found = std::find(channels.begin(), channels.end(), channel);
  if (found == channels.end()) return std::nullopt;
  return static_cast<std::size_t>(found - channels.begin());
}

}  // namespace zonda
