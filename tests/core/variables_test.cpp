#include "core/variables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <udunits2.h>

#include <map>
#include <set>

#include "core/error.hpp"

namespace zonda {
namespace {

using testing::HasSubstr;

TEST(VariableTable, names_and_aliases_are_unique) {
  std::map<std::string, std::string> owner;
  for (const Variable& v : variable_table()) {
    EXPECT_TRUE(owner.emplace(v.short_name, v.short_name).second) << v.short_name;
    for (const std::string& alias : v.aliases) {
      const auto [other, fresh] = owner.emplace(alias, v.short_name);
      EXPECT_TRUE(fresh) << "alias '" << alias << "' of " << v.short_name << " is also " << other->second;
    }
  }
  for (const auto& [name, short_name] : owner) {
    ASSERT_NE(find_variable(name), nullptr) << name;
    EXPECT_EQ(find_variable(name)->short_name, short_name) << name;
  }
}

TEST(VariableTable, entries_are_complete) {
  for (const Variable& v : variable_table()) {
    EXPECT_FALSE(v.long_name.empty()) << v.short_name;
    EXPECT_FALSE(v.standard_name.empty()) << v.short_name;
    EXPECT_LT(v.valid_min, v.valid_max) << v.short_name;
    EXPECT_EQ(v.level_kind == LevelKind::height, v.height_m > 0) << v.short_name;
    if (!v.vector_partner.empty()) {
      const Variable& partner = variable(v.vector_partner);
      EXPECT_EQ(partner.vector_partner, v.short_name);
      EXPECT_EQ(partner.unit, v.unit);
      EXPECT_EQ(partner.level_kind, v.level_kind);
    }
  }
}

TEST(VariableTable, units_are_known_to_udunits) {
  ut_set_error_message_handler(ut_ignore);
  ut_system* system = ut_read_xml(nullptr);
  ASSERT_NE(system, nullptr);
  for (const Variable& v : variable_table()) {
    ut_unit* unit = ut_parse(system, v.unit.c_str(), UT_UTF8);
    EXPECT_NE(unit, nullptr) << v.short_name << ": " << v.unit;
    ut_free(unit);
  }
  ut_free_system(system);
}

TEST(VariableTable, grib_triplet_and_level_name_one_variable) {
  std::set<std::tuple<int, int, int, int, double, bool>> seen;
  for (const Variable& v : variable_table()) {
    if (v.grib_discipline < 0 || v.grib_number < 0) continue;
    EXPECT_TRUE(seen.insert({v.grib_discipline, v.grib_category, v.grib_number, static_cast<int>(v.level_kind),
                             v.height_m, v.accumulated})
                    .second)
        << v.short_name;
    const Variable* found = find_by_grib(v.grib_discipline, v.grib_category, v.grib_number, v.level_kind, v.height_m);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->short_name, v.short_name);
  }
  EXPECT_EQ(find_by_grib(0, 0, 0, LevelKind::pressure)->short_name, "t");
  EXPECT_EQ(find_by_grib(0, 0, 0, LevelKind::height, 2)->short_name, "2t");
  EXPECT_EQ(find_by_grib(99, 0, 0, LevelKind::pressure), nullptr);
}

TEST(VariableTable, is_searched_by_standard_name) {
  EXPECT_EQ(find_by_standard_name("air_temperature", LevelKind::pressure)->short_name, "t");
  EXPECT_EQ(find_by_standard_name("air_temperature", LevelKind::height)->short_name, "2t");
  EXPECT_EQ(find_by_standard_name("colour", LevelKind::pressure), nullptr);
}

TEST(VariableTable, knows_the_names_of_era5_and_of_weatherbench) {
  for (const auto& [alias, name] : std::map<std::string, std::string>{{"geopotential", "z"},
                                                                      {"temperature", "t"},
                                                                      {"u_component_of_wind", "u"},
                                                                      {"v_component_of_wind", "v"},
                                                                      {"specific_humidity", "q"},
                                                                      {"2m_temperature", "2t"},
                                                                      {"10m_u_component_of_wind", "10u"},
                                                                      {"10m_v_component_of_wind", "10v"},
                                                                      {"mean_sea_level_pressure", "msl"},
                                                                      {"surface_pressure", "sp"}})
    EXPECT_EQ(variable(alias).short_name, name) << alias;
}

TEST(VariableTable, proposes_the_nearest_name) {
  try {
    variable("mls");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr("unknown variable 'mls'; did you mean 'msl'?"));
  }
}

TEST(Channels, round_trip) {
  for (const char* name : {"z500", "t850", "u1000", "q1", "2t", "10u", "msl", "sp"})
    EXPECT_EQ(parse_channel(name).name(), name);
  EXPECT_EQ(parse_channel("z500"), (Channel{"z", 500}));
  EXPECT_EQ(parse_channel("geopotential500"), (Channel{"z", 500}));
  EXPECT_EQ(parse_channel("t2m"), (Channel{"2t", 0}));
  // A file's variable u100 is the wind at 100 m; a channel u100 is the wind at 100 hPa.
  EXPECT_EQ(variable("u100").short_name, "100u");
  EXPECT_EQ(parse_channel("u100"), (Channel{"u", 100}));
  EXPECT_EQ(parse_channel("z500").info().standard_name, "geopotential");
  const std::vector<Channel> channels{parse_channel("z500"), parse_channel("2t")};
  EXPECT_EQ(find_channel(channels, parse_channel("2t")), 1U);
  EXPECT_FALSE(find_channel(channels, parse_channel("t850")));
}

TEST(Channels, of_every_variable_and_level_round_trip) {
  for (const Variable& v : variable_table()) {
    const bool levels = v.level_kind == LevelKind::pressure;
    for (int level = levels ? 1 : 0; level <= (levels ? 1100 : 0); ++level) {
      const Channel channel{v.short_name, level};
      ASSERT_EQ(parse_channel(channel.name()), channel) << channel.name();
    }
  }
}

TEST(Channels, refuse_what_is_none) {
  for (const char* name :
       {"", "500", "z", "z0", "z0500", "z5000", "zz500", "2t500", "z500hPa", "z-500", "z99999999999999"}) {
    try {
      parse_channel(name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage) << name;
    }
  }
}

}  // namespace
}  // namespace zonda
