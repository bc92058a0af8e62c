// Real files. Reference values come from the files' own decoders (grib_get, ncdump), see each test.
#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/constants.hpp"
#include "ingest/sources/inspect_source.hpp"
#include "temporary_folder.hpp"

using namespace zonda;
using namespace zonda::ingest;
using testing::HasSubstr;

namespace {

std::filesystem::path data(const std::string& name) {
  const char* place = std::getenv("ZONDA_SHARED_DATA");
  return std::filesystem::path(place != nullptr ? place : ZONDA_SOURCE_DIR "/../shared/data") / name;
}

#define NEEDS(file) \
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not here"

std::vector<float> read(const Source& source, const FieldKey& key) {
  std::vector<float> values(source.grid(key.channel).size());
  source.read(key, values);
  return values;
}

TEST(SharedData, SpeedySimulation) {
  NEEDS(data("speedy_simulation"));
  const auto source = open_sources(
      {data("speedy_simulation/speedy_t30_6h_1982h1.nc"), data("speedy_simulation/speedy_t30_6h_1982h2.nc")});
  EXPECT_EQ(source->channels().size(), 16u);
  EXPECT_EQ(source->grid({"z", 500}), Grid::gaussian(48, 96));
  EXPECT_EQ(source->fields_of({"sp", 0}).size(), 1460u);
  const auto z = read(*source, source->fields_of({"z", 500})[0]);
  const float mean = std::accumulate(z.begin(), z.end(), 0.0f) / static_cast<float>(z.size());
  EXPECT_NEAR(mean / constants::gravity, 5500, 200);  // metres
}

TEST(SharedData, GfsWindSeries) {
  NEEDS(data("gfs_wind_1p00_michael_2018"));
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(data("gfs_wind_1p00_michael_2018"))) {
    if (entry.path().extension() == ".grib2") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  const auto source = open_sources(files);
  EXPECT_EQ(source->channels(), (std::vector<Channel>{{"10u", 0}, {"10v", 0}}));
  EXPECT_EQ(source->grid({"10u", 0}), Grid::latlon(181, 360, true));
  const auto keys = source->fields_of({"10u", 0});
  EXPECT_EQ(keys.size(), 40u);  // one time of 41 is missing in the source
  EXPECT_EQ(keys.front().valid_time, parse_time("2018-10-06T18"));
  EXPECT_EQ(keys.back().valid_time, parse_time("2018-10-16T18"));
}

TEST(SharedData, RunsAndStepsInOneGrib) {
  NEEDS(data("ecmwf/ecmwf_pl_10deg_20240603-04.grib"));
  const auto source = open_source(data("ecmwf/ecmwf_pl_10deg_20240603-04.grib"));
  EXPECT_EQ(source->fields().size(), 240u);
  const auto keys = source->fields_of({"t", 500});
  ASSERT_EQ(keys.size(), 8u);
  EXPECT_EQ(keys[1].valid_time - *keys[1].reference_time, Duration(6 * 3600));
}

TEST(SharedData, EnsembleMembers) {
  NEEDS(data("era5/era5_eda10_z_t_500_850_3deg_20170101-02.grib"));
  const auto source = open_source(data("era5/era5_eda10_z_t_500_850_3deg_20170101-02.grib"));
  EXPECT_EQ(source->grid({"z", 500}), Grid::latlon(61, 120, true));
  const auto keys = source->fields_of({"z", 500});
  ASSERT_EQ(keys.size(), 40u);
  EXPECT_EQ(keys[9].member, 9);
  EXPECT_FALSE(keys[9].reference_time.has_value());  // an analysis
}

TEST(SharedData, RegionalHourlySeries) {
  NEEDS(data("era5/era5_2t_uk_0p25_hourly_201903.grib"));
  const auto source = open_source(data("era5/era5_2t_uk_0p25_hourly_201903.grib"));
  EXPECT_EQ(source->fields().size(), 744u);
  EXPECT_FALSE(source->grid({"2t", 0}).periodic());
}

TEST(SharedData, StaticFieldsOfEra5) {
  NEEDS(data("era5/era5_static_geopotential_0p25.nc"));
  const auto source =
      open_sources({data("era5/era5_static_geopotential_0p25.nc"), data("era5/era5_static_land_sea_mask_0p25.nc")});
  EXPECT_EQ(source->channels(), (std::vector<Channel>{{"lsm", 0}, {"orog", 0}}));
  EXPECT_EQ(source->grid({"orog", 0}), Grid::latlon(721, 1440, true));
}

TEST(SharedData, MonthlyMeansAreTakenOnlyWhenNamed) {
  const auto file = data("era5/era5_2t_0p25_global_20221001T00.grib");
  NEEDS(file);
  EXPECT_THAT(zonda::test::error_of([&] { open_source(file); }), HasSubstr("avgua"));
  NameMapping mapping;
  mapping.variables["2t"] = "2t";
  const auto source = open_source(file, mapping);
  const auto values = read(*source, source->fields().at(0));
  // grib_get -p min,max,avg: 217.874 308.583 279.155
  double sum = 0;
  for (const float value : values) sum += value;
  EXPECT_NEAR(sum / static_cast<double>(values.size()), 279.155, 1e-3);
}

TEST(SharedData, ACompleteStateOfGfs) {
  NEEDS(data("full_state/gfs_2p5_2011011012_f120.grib2"));
  const auto source = open_source(data("full_state/gfs_2p5_2011011012_f120.grib2"));
  EXPECT_EQ(source->fields_of({"t", 500}).size(), 1u);
  const auto rain = source->fields_of({"tp", 0});
  ASSERT_EQ(rain.size(), 1u);
  EXPECT_EQ(rain[0].accumulation, Duration(6 * 3600));
  EXPECT_EQ(rain[0].valid_time, parse_time("2011-01-15T12"));
}

TEST(SharedData, ProjectedGridsAreRefused) {
  NEEDS(data("full_state/nam_eta_awp211_2004120812_f024.grib1"));
  EXPECT_THAT(zonda::test::error_of([&] { open_source(data("full_state/nam_eta_awp211_2004120812_f024.grib1")); }),
              HasSubstr("grid type lambert"));
}

TEST(SharedData, Inspection) {
  NEEDS(data("ecmwf/ecmwf_zt_500_850_20070101.grib"));
  const auto report = inspect_source(data("ecmwf/ecmwf_zt_500_850_20070101.grib"));
  ASSERT_EQ(report["fields"].size(), 4u);
  EXPECT_EQ(report["fields"][0]["channel"], "t500");
  EXPECT_EQ(report["channels"][0]["grid"], "latlon 181x360");
  // grib_get -p min,max: 224.058 273.338
  EXPECT_NEAR(report["fields"][0]["minimum"].get<double>(), 224.058, 1e-3);
  EXPECT_NEAR(report["fields"][0]["maximum"].get<double>(), 273.338, 1e-3);
}

}  // namespace
