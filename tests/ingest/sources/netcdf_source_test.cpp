#include <gmock/gmock.h>

#include <cmath>
#include <thread>

#include "core/constants.hpp"
#include "ingest/sources/source.hpp"
#include "netcdf_writing.hpp"
#include "temporary_folder.hpp"

using namespace zonda;
using namespace zonda::ingest;
using testing::HasSubstr;
using zonda::test::contents;
using zonda::test::error_of;
using zonda::test::NetcdfWriting;
using zonda::test::put;

namespace {

class NetcdfSource : public zonda::test::TemporaryFolder {};

std::vector<double> counting(std::size_t n, double first = 0) {
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = first + static_cast<double>(i);
  return values;
}

std::vector<float> read(const Source& source, const FieldKey& key) {
  std::vector<float> values(source.grid(key.channel).size());
  source.read(key, values);
  return values;
}

const std::vector<double> lat_up{-60, -20, 20, 60}, lat_down{60, 20, -20, -60}, lon{0, 60, 120, 180, 240, 300};
constexpr auto since = "hours since 2020-01-01 00:00:00";
const Time start = parse_time("2020-01-01");

/// t(time, level, lat, lon), values counting up.
void write_simple(const std::filesystem::path& path, int mode, const std::string& unit = "K") {
  NetcdfWriting file(path, mode);
  const std::vector<int> dimensions{file.axis("time", {0, 6, 12}, since), file.axis("level", {500, 850}, "hPa"),
                                    file.axis("lat", lat_down, "degrees_north"), file.axis("lon", lon, "degrees_east")};
  const int t = file.variable("t", NC_FLOAT, dimensions);
  if (!unit.empty()) file.text(t, "units", unit);
  file.later(t, counting(3 * 2 * 4 * 6, 200));
  file.finish();
}

TEST_F(NetcdfSource, EveryFormatGivesTheSameFields) {
  for (const int mode : {0, NC_64BIT_OFFSET, NC_64BIT_DATA, NC_NETCDF4, NC_NETCDF4 | NC_CLASSIC_MODEL}) {
    const auto file = path("mode" + std::to_string(mode) + ".anything");
    write_simple(file, mode);
    const auto source = open_source(file);
    ASSERT_EQ(source->fields().size(), 6u);
    EXPECT_EQ(source->fields()[0], (FieldKey{{"t", 500}, start, std::nullopt, std::nullopt, Duration(0)}));
    EXPECT_EQ(source->fields()[3],
              (FieldKey{{"t", 850}, start + Duration(6 * 3600), std::nullopt, std::nullopt, Duration(0)}));
    const auto values = read(*source, source->fields()[3]);
    for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(values[i], 200.0f + 3 * 24 + static_cast<float>(i));
    EXPECT_TRUE(source->contains(source->fields()[5]));
    EXPECT_FALSE(source->contains({{"t", 700}, start, std::nullopt, std::nullopt, Duration(0)}));
    EXPECT_EQ(source->fields_of({"t", 850}).size(), 3u);
    EXPECT_EQ(source->channels(), (std::vector<Channel>{{"t", 500}, {"t", 850}}));
  }
}

TEST_F(NetcdfSource, AnyOrderOfDimensionsAndAnyOrigin) {
  // [lon, member, lat ascending, level in Pa, time]; longitudes from -180 with the cyclic column given twice.
  const std::vector<double> west{-180, -120, -60, 0, 60, 120, 180};
  {
    NetcdfWriting file(path("turned.nc"));
    const int x = file.axis("x", west, "degrees_east"), m = file.axis("ens", {3, 7}, "1", "realization"),
              y = file.axis("y", lat_up, "degrees_north"), p = file.axis("plev", {85000, 50000}, "Pa", "air_pressure"),
              t = file.axis("valid", {0, 0.25}, "days since 2020-01-01", "time");
    const int v = file.variable("temp", NC_DOUBLE, {x, m, y, p, t});
    file.text(v, "units", "degC");
    file.text(v, "standard_name", "air_temperature");
    std::vector<double> values;
    for (const double a : west) {
      for (const double b : {3, 7}) {
        for (const double c : lat_up) {
          for (const double d : {850, 500}) {
            for (const double e : {0, 6}) {
              values.push_back(std::fmod(a + 360, 360) / 10 + b + c / 100 + d / 1000 + e / 10000);
            }
          }
        }
      }
    }
    file.later(v, values);
    file.finish();
  }
  const auto source = open_source(path("turned.nc"));
  EXPECT_EQ(source->fields().size(), 2u * 2 * 2);
  const FieldKey key{{"t", 500}, start + Duration(6 * 3600), std::nullopt, 7, Duration(0)};
  const Grid grid = source->grid(key.channel);
  EXPECT_EQ(grid.nlon(), 6u);
  EXPECT_TRUE(grid.periodic());
  EXPECT_DOUBLE_EQ(grid.longitudes()[0], 0);
  EXPECT_GT(grid.latitudes()[0], 0);
  const auto values = read(*source, key);
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 6; ++j) {
      const double expected = lon[j] / 10 + 7 + lat_down[i] / 100 + 0.5 + 0.0006 + 273.15;
      EXPECT_NEAR(values[i * 6 + j], expected, 3e-5);
    }
  }
}

TEST_F(NetcdfSource, PackingAndMissingValues) {
  {
    NetcdfWriting file(path("packed.nc"));
    const int y = file.axis("lat", lat_down, "degrees_north"), x = file.axis("lon", lon, "degrees_east");
    const int sp = file.variable("sp", NC_SHORT, {y, x});
    file.text(sp, "units", "hPa");
    file.number(sp, "scale_factor", NC_DOUBLE, 0.5);
    file.number(sp, "add_offset", NC_DOUBLE, 1000);
    file.number(sp, "_FillValue", NC_SHORT, -99);
    file.number(sp, "missing_value", NC_SHORT, -98);
    file.numbers(sp, "valid_range", NC_SHORT, {-20, 20});
    auto values = counting(24, -3);
    values[0] = -99;
    values[1] = -98;
    values[2] = 21;
    file.later(sp, values);
    const int lsm = file.variable("lsm", NC_BYTE, {y, x});
    file.text(lsm, "_Unsigned", "true");
    file.number(lsm, "scale_factor", NC_DOUBLE, 1.0 / 200);
    file.number(lsm, "_FillValue", NC_BYTE, -1);
    std::vector<double> bytes(24, -56);  // 200 as an unsigned byte
    bytes[5] = -1;
    bytes[6] = 100;
    file.later(lsm, bytes);
    const int t2m = file.variable("t2m", NC_FLOAT, {y, x});
    file.text(t2m, "units", "K");
    auto temperatures = counting(24, 270);
    temperatures[9] = std::nan("");
    temperatures[10] = 9.969209968386869e36;
    file.later(t2m, temperatures);
    file.finish();
  }
  const auto source = open_source(path("packed.nc"));
  const auto key = [](const char* name) {
    return FieldKey{{name, 0}, Time{}, std::nullopt, std::nullopt, Duration(0)};
  };
  const auto sp = read(*source, key("sp"));
  EXPECT_TRUE(std::isnan(sp[0]) && std::isnan(sp[1]) && std::isnan(sp[2]));
  EXPECT_EQ(sp[3], 100000.0f);
  EXPECT_EQ(sp[23], 101000.0f);
  const auto lsm = read(*source, key("lsm"));
  EXPECT_EQ(lsm[0], 1.0f);
  EXPECT_TRUE(std::isnan(lsm[5]));
  EXPECT_EQ(lsm[6], 0.5f);
  const auto t2m = read(*source, key("2t"));
  EXPECT_TRUE(std::isnan(t2m[9]) && std::isnan(t2m[10]));
  EXPECT_EQ(t2m[11], 281.0f);
}

TEST_F(NetcdfSource, UnitsBecomeThoseOfTheTable) {
  {
    NetcdfWriting file(path("units.nc"));
    const int y = file.axis("lat", lat_down, "degrees_north"), x = file.axis("lon", lon, "degrees_east");
    const auto add = [&](const char* name, const char* unit, const char* standard_name = "") {
      const int v = file.variable(name, NC_DOUBLE, {y, x});
      file.text(v, "units", unit);
      if (*standard_name != 0) file.text(v, "standard_name", standard_name);
      file.later(v, counting(24));
    };
    file.scalar("level", 500, "hPa", "air_pressure");
    add("gh", "gpm", "geopotential_height");
    add("t", "K");
    add("tcc", "%");
    add("msl", "hPa");
    add("orography", "m");
    add("tp", "kg m-2");
    file.finish();
  }
  const auto source = open_source(path("units.nc"));
  const auto tenth = [&](const Channel& channel) { return read(*source, source->fields_of(channel).at(0))[10]; };
  EXPECT_FLOAT_EQ(tenth({"z", 500}), static_cast<float>(10 * constants::gravity));
  EXPECT_FLOAT_EQ(tenth({"t", 500}), 10);
  EXPECT_FLOAT_EQ(tenth({"tcc", 0}), 0.1f);
  EXPECT_FLOAT_EQ(tenth({"msl", 0}), 1000);
  EXPECT_FLOAT_EQ(tenth({"orog", 0}), static_cast<float>(10 * constants::gravity));
  EXPECT_FLOAT_EQ(tenth({"tp", 0}), 0.01f);
}

TEST_F(NetcdfSource, WrongAndAbsentUnitsAreNamed) {
  write_simple(path("wrong.nc"), NC_NETCDF4, "K m");
  const auto source = open_source(path("wrong.nc"));
  EXPECT_THAT(error_of([&] {
                source->grid({"t", 500});
              }),
              HasSubstr("wrong.nc: unit 'K m' of variable 't' cannot be converted to 'K'"));
  std::vector<float> values(24);
  EXPECT_THAT(error_of([&] { source->read(source->fields()[0], values); }), HasSubstr("unit 'K m'"));
  write_simple(path("none.nc"), NC_NETCDF4, "");
  EXPECT_THAT(error_of([&] { open_source(path("none.nc"))->grid({"t", 500}); }), HasSubstr("variable 't' has no unit"));
  NameMapping mapping;
  mapping.units["t"] = "degC";
  EXPECT_FLOAT_EQ(read(*open_source(path("none.nc"), mapping), source->fields()[0])[0], 473.15f);
}

TEST_F(NetcdfSource, UserNamesComeFirst) {
  {
    NetcdfWriting file(path("names.nc"));
    const int y = file.axis("lat", lat_down, "degrees_north"), x = file.axis("lon", lon, "degrees_east");
    for (const char* name : {"t2m", "screen_temperature", "banana"}) {
      const int v = file.variable(name, NC_FLOAT, {y, x});
      file.text(v, "units", "K");
      file.later(v, counting(24, name[0]));
    }
    file.finish();
  }
  NameMapping mapping;
  mapping.variables["screen_temperature"] = "2t";
  const auto source = open_source(path("names.nc"), mapping);
  EXPECT_EQ(read(*source, source->fields().at(0))[0], static_cast<float>('s'));
  EXPECT_THAT(source->ignored(), testing::UnorderedElementsAre(HasSubstr("t2m (2t is already 'screen_temperature')"),
                                                               HasSubstr("banana (not in the variable table)")));
  mapping.variables["screen_temperature"] = "2tt";
  EXPECT_THAT(error_of([&] { open_source(path("names.nc"), mapping); }, ErrorKind::usage), HasSubstr("2tt"));
}

TEST_F(NetcdfSource, ForecastsHaveRunsAndLeadTimes) {
  {
    NetcdfWriting file(path("forecast.nc"));
    const int r = file.axis("forecast_reference_time", {0, 24}, since, "forecast_reference_time"),
              s = file.axis("step", {0, 6}, "hours", "forecast_period"),
              y = file.axis("lat", lat_down, "degrees_north"), x = file.axis("lon", lon, "degrees_east");
    const int v = file.variable("msl", NC_FLOAT, {r, s, y, x}), tp = file.variable("tp", NC_FLOAT, {r, s, y, x});
    file.text(v, "units", "Pa");
    file.text(tp, "units", "m");
    file.later(v, counting(2 * 2 * 24));
    file.later(tp, counting(2 * 2 * 24));
    file.finish();
  }
  const auto source = open_source(path("forecast.nc"));
  const Time run = start + Duration(24 * 3600), valid = run + Duration(6 * 3600);
  const FieldKey key{{"msl", 0}, valid, run, std::nullopt, Duration(0)};
  EXPECT_EQ(read(*source, key)[0], 72.0f);
  const FieldKey rain{{"tp", 0}, valid, run, std::nullopt, Duration(6 * 3600)};
  EXPECT_EQ(read(*source, rain)[0], 72.0f);
  // A forecast as a series of valid times, its start beside it.
  {
    NetcdfWriting file(path("series.nc"));
    const int t = file.axis("time", {6, 12}, since), y = file.axis("lat", lat_down, "degrees_north"),
              x = file.axis("lon", lon, "degrees_east");
    file.scalar("forecast_reference_time", 0, since, "forecast_reference_time");
    const int v = file.variable("msl", NC_FLOAT, {t, y, x});
    file.text(v, "units", "Pa");
    file.later(v, counting(48));
    file.finish();
  }
  const auto series = open_source(path("series.nc"));
  EXPECT_EQ(series->fields().at(1),
            (FieldKey{{"msl", 0}, start + Duration(12 * 3600), start, std::nullopt, Duration(0)}));
}

TEST_F(NetcdfSource, AmountsKnowTheirPeriod) {
  {
    NetcdfWriting file(path("rain.nc"));
    const int two = file.dimension("nv", 2);
    const int t = file.axis("time", {3, 9}, since), y = file.axis("lat", lat_down, "degrees_north"),
              x = file.axis("lon", lon, "degrees_east");
    file.text(1 - 1, "bounds", "time_bnds");
    const int bounds = file.variable("time_bnds", NC_DOUBLE, {t, two});
    file.later(bounds, {0, 6, 6, 12});
    const int v = file.variable("tp", NC_FLOAT, {t, y, x});
    file.text(v, "units", "mm");
    file.text(v, "cell_methods", "time: sum");
    file.later(v, counting(48));
    file.finish();
  }
  const auto source = open_source(path("rain.nc"));
  ASSERT_EQ(source->fields().size(), 2u);
  EXPECT_EQ(source->fields()[1],
            (FieldKey{{"tp", 0}, start + Duration(12 * 3600), std::nullopt, std::nullopt, Duration(6 * 3600)}));
  EXPECT_FLOAT_EQ(read(*source, source->fields()[1])[0], 0.024f);
}

TEST_F(NetcdfSource, StaticFieldsAndScalarTimes) {
  {
    NetcdfWriting file(path("static.nc"));
    file.scalar("time", 30, since, "time");
    const int y = file.axis("lat", lat_down, "degrees_north"), x = file.axis("lon", lon, "degrees_east");
    for (const char* name : {"z", "msl"}) {
      const int v = file.variable(name, NC_FLOAT, {y, x});
      file.text(v, "units", std::string(name) == "z" ? "m**2 s**-2" : "Pa");
      file.later(v, counting(24));
    }
    file.finish();
  }
  const auto source = open_source(path("static.nc"));
  ASSERT_EQ(source->channels(), (std::vector<Channel>{{"msl", 0}, {"orog", 0}}));
  for (const FieldKey& key : source->fields()) EXPECT_EQ(key.valid_time, start + Duration(30 * 3600));
}

TEST_F(NetcdfSource, CurvilinearGridsAreRefusedByName) {
  {
    NetcdfWriting file(path("curved.nc"));
    const int y = file.dimension("y", 3), x = file.dimension("x", 4);
    for (const auto& [name, unit] : {std::pair{"lat2d", "degrees_north"}, std::pair{"lon2d", "degrees_east"}}) {
      const int v = file.variable(name, NC_DOUBLE, {y, x});
      file.text(v, "units", unit);
      file.later(v, counting(12));
    }
    const int v = file.variable("t2m", NC_FLOAT, {y, x});
    file.text(v, "units", "K");
    file.later(v, counting(12));
    file.finish();
  }
  EXPECT_THAT(error_of([&] { open_source(path("curved.nc")); }),
              testing::AllOf(HasSubstr("curved.nc"), HasSubstr("curvilinear"), HasSubstr("lat2d")));
}

TEST_F(NetcdfSource, TruncatedFilesAreRefused) {
  for (const int mode : {0, NC_64BIT_OFFSET, NC_64BIT_DATA, NC_NETCDF4}) {
    write_simple(path("whole.nc"), mode);
    const std::string whole = contents(path("whole.nc"));
    for (const double part : {0.02, 0.3, 0.7, 0.99}) {
      put(path("cut.nc"), whole.substr(0, static_cast<std::size_t>(part * static_cast<double>(whole.size()))));
      EXPECT_THAT(error_of([&] { open_source(path("cut.nc")); }), HasSubstr("cut")) << mode << " " << part;
    }
  }
}

TEST_F(NetcdfSource, BadCoordinatesAreNamed) {
  const auto write = [&](const std::vector<double>& latitudes, const std::vector<double>& longitudes,
                         const std::vector<double>& times, const std::string& time_unit) {
    NetcdfWriting file(path("bad.nc"));
    const int t = file.axis("time", times, time_unit, "time"), y = file.axis("lat", latitudes, "degrees_north"),
              x = file.axis("lon", longitudes, "degrees_east");
    const int v = file.variable("msl", NC_FLOAT, {t, y, x});
    file.text(v, "units", "Pa");
    file.later(v, counting(times.size() * latitudes.size() * longitudes.size()));
    file.finish();
  };
  const auto message = [&] { return error_of([&] { open_source(path("bad.nc")); }); };
  write({60, 20, 40, -60}, lon, {0}, since);
  EXPECT_THAT(message(), HasSubstr("latitudes are not monotone"));
  write(lat_down, {0, 10, 30, 40}, {0}, since);
  EXPECT_THAT(message(), HasSubstr("longitudes are not equally spaced"));
  write(lat_down, lon, {0, 6, 6}, since);
  EXPECT_THAT(message(), HasSubstr("2020-01-01T06:00:00Z is there twice"));
  write(lat_down, lon, {0}, "fortnights since Michaelmas");
  EXPECT_THAT(message(), HasSubstr("fortnights"));
  write(lat_down, lon, {0, std::nan("")}, since);
  EXPECT_THAT(message(), HasSubstr("coordinate 'time': value 1 is missing"));
}

TEST_F(NetcdfSource, ManyFilesAndManyThreads) {
  // More files than are kept open at a time.
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < 80; ++i) {
    files.push_back(path("day" + std::to_string(100 + i) + ".nc"));
    NetcdfWriting file(files.back(), 0);
    const int t = file.axis("time", {24.0 * i}, since), y = file.axis("lat", lat_down, "degrees_north"),
              x = file.axis("lon", lon, "degrees_east");
    const int v = file.variable("msl", NC_FLOAT, {t, y, x});
    file.text(v, "units", "Pa");
    file.later(v, counting(24, 1000.0 * i));
    file.finish();
  }
  const auto source = open_sources(files);
  ASSERT_EQ(source->fields().size(), 80u);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      for (std::size_t i = n; i < 80; i += 4) {
        if (read(*source, source->fields()[i])[1] != 1000.0f * static_cast<float>(i) + 1) ++wrong[n];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST_F(NetcdfSource, AFieldFoundTwiceMustBeTheSame) {
  write_simple(path("a.nc"), NC_NETCDF4);
  write_simple(path("b.nc"), 0);
  const auto agreeing = open_sources({path("a.nc"), path("b.nc")});
  EXPECT_EQ(agreeing->fields().size(), 6u);
  EXPECT_EQ(read(*agreeing, agreeing->fields()[0])[5], 205.0f);
  write_simple(path("c.nc"), NC_NETCDF4, "degC");
  const auto contradicting = open_sources({path("a.nc"), path("c.nc")});
  EXPECT_THAT(error_of([&] { read(*contradicting, contradicting->fields()[0]); }),
              testing::AllOf(HasSubstr("t500"), HasSubstr("a.nc"), HasSubstr("c.nc"), HasSubstr("different values")));
}

TEST_F(NetcdfSource, WhatIsNoSource) {
  EXPECT_THAT(error_of([&] { open_source(path("absent.nc")); }), HasSubstr("no such file"));
  put(path("text.nc"), "these are not the fields you are looking for");
  EXPECT_THAT(error_of([&] { open_source(path("text.nc")); }), HasSubstr("neither NetCDF"));
  put(path("empty.nc"), "");
  EXPECT_THAT(error_of([&] { open_source(path("empty.nc")); }), HasSubstr("neither NetCDF"));
  EXPECT_THAT(error_of([&] { open_sources({}); }), HasSubstr("no file"));
  write_simple(path("good.nc"), NC_NETCDF4);
  const auto source = open_source(path("good.nc"));
  EXPECT_THAT(error_of([&] { source->grid({"t", 700}); }), HasSubstr("t500"));
  std::vector<float> values(24);
  EXPECT_THAT(error_of([&] {
                source->read({{"t", 500}, start + Duration(1), std::nullopt, std::nullopt, Duration(0)}, values);
              }),
              HasSubstr("there is no t500 of 2020-01-01T00:00:01Z"));
}

}  // namespace
