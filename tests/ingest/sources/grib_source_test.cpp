#include <eccodes.h>
#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "core/constants.hpp"
#include "ingest/sources/grib_message.hpp"
#include "ingest/sources/source.hpp"
#include "temporary_folder.hpp"

using namespace zonda;
using namespace zonda::ingest;
using testing::HasSubstr;
using zonda::test::contents;
using zonda::test::error_of;
using zonda::test::put;

namespace {

class GribSource : public zonda::test::TemporaryFolder {};

constexpr long columns = 12, rows = 7;
const Time start = parse_time("2020-02-29T12");

/// One message from a sample of ecCodes; `keys` are set in order before the values.
std::string message(const std::string& sample, const std::vector<std::pair<std::string, std::string>>& keys,
                    std::vector<double> values) {
  codes_handle* handle = codes_grib_handle_new_from_samples(nullptr, sample.c_str());
  EXPECT_NE(handle, nullptr) << sample;
  const auto set = [&](const std::string& key, const std::string& value) {
    int status = CODES_SUCCESS;
    if (value.find_first_not_of("0123456789-.") != std::string::npos || key == "stepRange") {
      std::size_t length = value.size();
      status = codes_set_string(handle, key.c_str(), value.c_str(), &length);
    } else if (key.ends_with("InDegrees") || key == "missingValue") {
      status = codes_set_double(handle, key.c_str(), std::stod(value));
    } else {
      status = codes_set_long(handle, key.c_str(), std::stol(value));
    }
    EXPECT_EQ(status, CODES_SUCCESS) << key << "=" << value << ": " << codes_get_error_message(status);
  };
  set("Ni", std::to_string(columns));
  set("Nj", std::to_string(rows));
  set("latitudeOfFirstGridPointInDegrees", "90");
  set("latitudeOfLastGridPointInDegrees", "-90");
  set("longitudeOfFirstGridPointInDegrees", "0");
  set("longitudeOfLastGridPointInDegrees", "330");
  set("iDirectionIncrementInDegrees", "30");
  set("jDirectionIncrementInDegrees", "30");
  set("dataDate", "20200229");
  set("dataTime", "1200");
  for (const auto& [key, value] : keys) set(key, value);
  set("bitsPerValue", "24");
  EXPECT_EQ(codes_set_double_array(handle, "values", values.data(), values.size()), CODES_SUCCESS);
  const void* bytes = nullptr;
  std::size_t size = 0;
  EXPECT_EQ(codes_get_message(handle, &bytes, &size), CODES_SUCCESS);
  std::string text(static_cast<const char*>(bytes), size);
  codes_handle_delete(handle);
  return text;
}

std::vector<double> ramp(double first = 0) {
  std::vector<double> values(static_cast<std::size_t>(columns * rows));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<double>(i);
  return values;
}

std::vector<float> read(const Source& source, const FieldKey& key) {
  std::vector<float> values(source.grid(key.channel).size());
  source.read(key, values);
  return values;
}

std::string pressure_level(const std::string& sample, const std::string& name, int level, double first) {
  return message(sample, {{"shortName", name}, {"typeOfLevel", "isobaricInhPa"}, {"level", std::to_string(level)}},
                 ramp(first));
}

TEST_F(GribSource, BothEditionsInOneFile) {
  put(path("mixed.bin"),
      pressure_level("regular_ll_pl_grib1", "t", 500, 200) + pressure_level("regular_ll_pl_grib2", "gh", 850, 1000) +
          message("regular_ll_sfc_grib2", {{"shortName", "10u"}}, ramp(-40)) +
          message("regular_ll_sfc_grib2", {{"shortName", "prmsl"}, {"typeOfLevel", "meanSea"}}, ramp(1e5)) +
          message("regular_ll_sfc_grib1", {{"shortName", "2t"}}, ramp(270)));
  const auto source = open_source(path("mixed.bin"));
  ASSERT_EQ(source->channels(), (std::vector<Channel>{{"10u", 0}, {"2t", 0}, {"msl", 0}, {"t", 500}, {"z", 850}}));
  for (const FieldKey& key : source->fields()) EXPECT_EQ(key.valid_time, start);
  EXPECT_EQ(source->grid({"t", 500}), Grid::latlon(7, 12, true));
  const std::map<std::string, double> first{{"t500", 200}, {"z850", 1000}, {"10u", -40}, {"msl", 1e5}, {"2t", 270}};
  for (const FieldKey& key : source->fields()) {
    const auto values = read(*source, key);
    const double factor = key.channel.variable == "z" ? constants::gravity : 1;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double expected = factor * (first.at(key.channel.name()) + static_cast<double>(i));
      EXPECT_NEAR(values[i], expected, 1e-5 * factor * std::max(100.0, std::abs(expected))) << key.channel.name();
    }
  }
}

TEST_F(GribSource, EveryScanningMode) {
  // The field is f(row from the north, column eastward); the message's values are put into the order that its flags ask
  // for.
  const auto f = [](long row, long column) { return static_cast<double>(100 * row + column); };
  for (const bool west : {false, true}) {
    for (const bool north : {false, true}) {
      for (const bool columns_first : {false, true}) {
        std::vector<double> values;
        const long outer = columns_first ? columns : rows, inner = columns_first ? rows : columns;
        for (long o = 0; o < outer; ++o) {
          for (long i = 0; i < inner; ++i) {
            const long row = columns_first ? i : o, column = columns_first ? o : i;
            values.push_back(f(north ? rows - 1 - row : row, west ? columns - 1 - column : column));
          }
        }
        std::vector<std::pair<std::string, std::string>> keys{{"shortName", "2t"},
                                                              {"iScansNegatively", west ? "1" : "0"},
                                                              {"jScansPositively", north ? "1" : "0"},
                                                              {"jPointsAreConsecutive", columns_first ? "1" : "0"}};
        if (north) {
          keys.emplace_back("latitudeOfFirstGridPointInDegrees", "-90");
          keys.emplace_back("latitudeOfLastGridPointInDegrees", "90");
        }
        if (west) {
          keys.emplace_back("longitudeOfFirstGridPointInDegrees", "330");
          keys.emplace_back("longitudeOfLastGridPointInDegrees", "0");
        }
        put(path("scan.grib"), message("regular_ll_sfc_grib2", keys, values));
        const auto source = open_source(path("scan.grib"));
        const auto field = read(*source, source->fields().at(0));
        for (long row = 0; row < rows; ++row) {
          for (long column = 0; column < columns; ++column) {
            ASSERT_NEAR(field[static_cast<std::size_t>(row * columns + column)], f(row, column), 1e-3)
                << west << north << columns_first;
          }
        }
      }
    }
  }
}

TEST_F(GribSource, AlternatingRows) {
  std::vector<double> values = ramp(0);
  for (std::size_t row = 1; row < rows; row += 2) {
    std::reverse(values.begin() + static_cast<std::ptrdiff_t>(row * columns),
                 values.begin() + static_cast<std::ptrdiff_t>((row + 1) * columns));
  }
  put(path("snake.grib"),
      message("regular_ll_sfc_grib2", {{"shortName", "2t"}, {"alternativeRowScanning", "1"}}, values));
  const auto source = open_source(path("snake.grib"));
  const auto field = read(*source, source->fields().at(0));
  for (std::size_t i = 0; i < field.size(); ++i) EXPECT_NEAR(field[i], static_cast<double>(i), 1e-3);
}

TEST_F(GribSource, RegionsAcrossTheMeridianAndLongitudesFromMinus180) {
  put(path("west.grib"), message("regular_ll_sfc_grib1",
                                 {{"shortName", "2t"},
                                  {"longitudeOfFirstGridPointInDegrees", "-180"},
                                  {"longitudeOfLastGridPointInDegrees", "150"}},
                                 ramp()));
  const auto west = open_source(path("west.grib"));
  EXPECT_EQ(west->grid({"2t", 0}), Grid::latlon(7, 12, true));
  EXPECT_NEAR(read(*west, west->fields()[0])[0], 6, 1e-3);  // column 6 is the prime meridian
  put(path("region.grib"), message("regular_ll_sfc_grib2",
                                   {{"shortName", "2t"},
                                    {"latitudeOfFirstGridPointInDegrees", "61"},
                                    {"latitudeOfLastGridPointInDegrees", "49"},
                                    {"longitudeOfFirstGridPointInDegrees", "350"},
                                    {"longitudeOfLastGridPointInDegrees", "12"},
                                    {"iDirectionIncrementInDegrees", "2"},
                                    {"jDirectionIncrementInDegrees", "2"}},
                                   ramp()));
  const auto region = open_source(path("region.grib"));
  EXPECT_EQ(region->grid({"2t", 0}), Grid::regional(61, 49, 7, 350, 12, 12));
}

TEST_F(GribSource, MissingPointsAreNaN) {
  auto values = ramp();
  values[3] = 9999;
  put(path("holes.grib"),
      message("regular_ll_sfc_grib2", {{"shortName", "2t"}, {"bitmapPresent", "1"}, {"missingValue", "9999"}}, values));
  const auto source = open_source(path("holes.grib"));
  const auto field = read(*source, source->fields().at(0));
  for (std::size_t i = 0; i < field.size(); ++i) EXPECT_EQ(std::isnan(field[i]), i == 3);
}

TEST_F(GribSource, RunsStepsAndMembers) {
  std::string file;
  for (const std::string step : {"0", "6"}) {
    for (const std::string member : {"0", "1"}) {
      file += message("regular_ll_sfc_grib2",
                      {{"productDefinitionTemplateNumber", "1"},
                       {"shortName", "2t"},
                       {"dataType", member == "0" ? "cf" : "pf"},
                       {"numberOfForecastsInEnsemble", "2"},
                       {"perturbationNumber", member},
                       {"step", step}},
                      ramp(10 * std::stod(step) + 100 * std::stod(member)));
    }
  }
  put(path("ensemble.grib"), file);
  const auto source = open_source(path("ensemble.grib"));
  ASSERT_EQ(source->fields().size(), 4u);
  const FieldKey key{{"2t", 0}, start + Duration(6 * 3600), start, 1, Duration(0)};
  EXPECT_EQ(source->fields()[3], key);
  EXPECT_NEAR(read(*source, key)[0], 160, 1e-3);
}

TEST_F(GribSource, AmountsSinceTheStartAndBetweenSteps) {
  std::string file;
  for (const auto& [range, first] : {std::pair{"0-6", 2.0}, std::pair{"0-12", 5.0}}) {
    file += message("regular_ll_sfc_grib2",
                    {{"centre", "kwbc"},
                     {"typeOfLevel", "surface"},
                     {"productDefinitionTemplateNumber", "8"},
                     {"shortName", "tp"},
                     {"dataType", "fc"},
                     {"stepRange", range}},
                    ramp(first));
  }
  put(path("rain.grib"), file);
  const auto source = open_source(path("rain.grib"));
  const auto six = Duration(6 * 3600), twelve = Duration(12 * 3600);
  const std::vector<FieldKey> expected{{{"tp", 0}, start + six, start, std::nullopt, six},
                                       {{"tp", 0}, start + twelve, start, std::nullopt, six},
                                       {{"tp", 0}, start + twelve, start, std::nullopt, twelve}};
  ASSERT_EQ(source->fields(), expected);
  // The unit of NCEP's tp is kg m-2: a thousandth of a metre of water.
  EXPECT_NEAR(read(*source, expected[0])[0], 0.002, 1e-7);
  EXPECT_NEAR(read(*source, expected[1])[0], 0.003, 1e-7);
  EXPECT_NEAR(read(*source, expected[2])[0], 0.005, 1e-7);
}

TEST_F(GribSource, MeansAndUnknownVariablesAndGridsAreListed) {
  put(path("others.grib"), message("regular_ll_sfc_grib2",
                                   {{"productDefinitionTemplateNumber", "8"},
                                    {"shortName", "2t"},
                                    {"dataType", "fc"},
                                    {"typeOfStatisticalProcessing", "0"},
                                    {"stepRange", "0-6"}},
                                   ramp()) +
                               message("regular_ll_sfc_grib2", {{"shortName", "10v"}}, ramp()) +
                               pressure_level("regular_ll_pl_grib2", "pv", 500, 0));
  const auto source = open_source(path("others.grib"));
  EXPECT_EQ(source->channels(), (std::vector<Channel>{{"10v", 0}}));
  EXPECT_THAT(source->ignored(), testing::UnorderedElementsAre(HasSubstr("avg"), HasSubstr("pv")));
}

/// A GRIB 2 message of several fields: sections 4 to 7 of `second` after those of `first`.
std::string joined(const std::string& first, const std::string& second) {
  std::size_t at = 16;
  const auto section = [&](const std::string& text, std::size_t from) {
    std::size_t length = 0;
    for (int i = 0; i < 4; ++i)
      length = length << 8 | static_cast<unsigned char>(text[from + static_cast<std::size_t>(i)]);
    return length;
  };
  while (second[at + 4] != 4) at += section(second, at);
  std::string text = first.substr(0, first.size() - 4) + second.substr(at);
  for (std::size_t i = 0; i < 8; ++i) text[8 + i] = static_cast<char>(text.size() >> (8 * (7 - i)) & 0xFF);
  return text;
}

TEST_F(GribSource, SeveralFieldsInOneMessage) {
  put(path("wind.grib"), joined(pressure_level("regular_ll_pl_grib2", "u", 250, 10),
                                pressure_level("regular_ll_pl_grib2", "v", 250, -20)));
  const auto source = open_source(path("wind.grib"));
  ASSERT_EQ(source->channels(), (std::vector<Channel>{{"u", 250}, {"v", 250}}));
  EXPECT_NEAR(read(*source, source->fields()[0])[0], 10, 1e-3);
  EXPECT_NEAR(read(*source, source->fields()[1])[0], -20, 1e-3);
}

TEST_F(GribSource, GaussianGrids) {
  codes_handle* handle = codes_grib_handle_new_from_samples(nullptr, "regular_gg_pl_grib2");
  ASSERT_NE(handle, nullptr);
  const void* bytes = nullptr;
  std::size_t size = 0;
  ASSERT_EQ(codes_get_message(handle, &bytes, &size), CODES_SUCCESS);
  put(path("gaussian.grib"), std::string(static_cast<const char*>(bytes), size));
  codes_handle_delete(handle);
  const auto source = open_source(path("gaussian.grib"));
  EXPECT_EQ(source->grid(source->channels().at(0)), Grid::gaussian(64, 128));
}

TEST_F(GribSource, DamagedMessagesAreNamed) {
  const std::string one = pressure_level("regular_ll_pl_grib2", "t", 500, 200);
  const std::string good = one + one.substr(0, 0) + pressure_level("regular_ll_pl_grib1", "u", 500, 0) +
                           pressure_level("regular_ll_pl_grib2", "v", 500, 0);
  const auto broken = [&](std::size_t at, char value) {
    std::string text = good;
    text[at] = value;
    put(path("broken.grib"), text);
    return error_of([&] { open_source(path("broken.grib")); });
  };
  const std::string second = "broken.grib: message 2 at byte " + std::to_string(one.size());
  EXPECT_THAT(broken(one.size(), 'X'), HasSubstr(second));         // its first letter
  EXPECT_THAT(broken(one.size() + 6, '\x01'), HasSubstr(second));  // its length
  EXPECT_THAT(broken(one.size() + 7, '\x09'), HasSubstr(second));  // its edition
  EXPECT_THAT(broken(one.size() - 1, '8'), HasSubstr("message 1 at byte 0 is damaged"));
  EXPECT_THAT(broken(16 + 3, '\x7f'), HasSubstr("message 1 at byte 0 is damaged: section"));
  put(path("cut.grib"), good.substr(0, good.size() - 40));
  EXPECT_THAT(error_of([&] { open_source(path("cut.grib")); }), HasSubstr("message 3 at byte"));
}

TEST_F(GribSource, ValuesThatTheirSectionCannotHoldAreNotRead) {
  // Found by the fuzzer: the library would read far past the message's end.
  put(path("short.grib"),
      contents(std::filesystem::path(ZONDA_SOURCE_DIR) / "tests/fuzz/seeds/grib/more_values_than_bytes"));
  EXPECT_THAT(error_of([&] {
                const auto source = open_source(path("short.grib"));
                const Channel channel = source->channels().at(0);
                std::vector<float> values(source->grid(channel).size());
                source->read(source->fields_of(channel).back(), values);
              }),
              HasSubstr("the data section has"));
}

TEST_F(GribSource, EqualFieldsMayRepeatButNotContradict) {
  const std::string once = pressure_level("regular_ll_pl_grib2", "t", 500, 200);
  put(path("twice.grib"), once + once);
  EXPECT_EQ(open_source(path("twice.grib"))->fields().size(), 1u);
  put(path("contradiction.grib"), once + pressure_level("regular_ll_pl_grib2", "t", 500, 300));
  EXPECT_THAT(error_of([&] { open_source(path("contradiction.grib")); }), HasSubstr("messages 1 and 2 both give t500"));
}

TEST_F(GribSource, BulletinHeadersAndPadding) {
  const std::string one = pressure_level("regular_ll_pl_grib2", "t", 500, 200);
  put(path("bulletin.grib"),
      "\001\r\r\n123\r\r\nHTXE50 ECMF 291200\r\r\n" + one + "\r\r\n\003" + std::string(8000, '\0'));
  EXPECT_EQ(open_source(path("bulletin.grib"))->fields().size(), 1u);
}

}  // namespace
