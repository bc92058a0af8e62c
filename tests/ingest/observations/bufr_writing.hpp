#pragma once
// BUFR messages for tests, encoded by ecCodes.
#include <eccodes.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace zonda::ingest {

/// `values`: key (with rank, `#2#pressure`) and one value a subset (or one for all).
struct BufrRecipe {
  int category = 0;
  std::vector<long> descriptors;
  long subsets = 1;
  bool compressed = false;
  std::vector<long> replications = {}, extended_replications = {};
  std::vector<std::pair<std::string, std::vector<double>>> values = {};
  std::vector<std::pair<std::string, std::string>> texts = {};
};

inline std::string encode_bufr(const BufrRecipe& recipe) {
  const auto check = [](int status, const std::string& what) {
    if (status != CODES_SUCCESS) throw std::runtime_error(what + ": " + codes_get_error_message(status));
  };
  codes_handle* h = codes_bufr_handle_new_from_samples(nullptr, "BUFR4");
  if (h == nullptr) throw std::runtime_error("no sample BUFR4");
  const auto set = [&](const char* key, long value) { check(codes_set_long(h, key, value), key); };
  set("masterTablesVersionNumber", 28);
  set("dataCategory", recipe.category);
  set("numberOfSubsets", recipe.subsets);
  set("compressedData", recipe.compressed ? 1 : 0);
  set("typicalYear", 2020);
  set("typicalMonth", 1);
  set("typicalDay", 1);
  if (!recipe.replications.empty())
    check(codes_set_long_array(h, "inputDelayedDescriptorReplicationFactor", recipe.replications.data(),
                               recipe.replications.size()),
          "replication factors");
  if (!recipe.extended_replications.empty())
    check(codes_set_long_array(h, "inputExtendedDelayedDescriptorReplicationFactor",
                               recipe.extended_replications.data(), recipe.extended_replications.size()),
          "extended replication factors");
  check(codes_set_long_array(h, "unexpandedDescriptors", recipe.descriptors.data(), recipe.descriptors.size()),
        "descriptors");
  for (const auto& [key, values] : recipe.values) {
    if (values.size() == 1) {
      check(codes_set_double(h, key.c_str(), values.front()), key);
    } else {
      check(codes_set_double_array(h, key.c_str(), values.data(), values.size()), key);
    }
  }
  for (const auto& [key, text] : recipe.texts) {
    std::size_t length = text.size();
    check(codes_set_string(h, key.c_str(), text.c_str(), &length), key);
  }
  set("pack", 1);
  const void* bytes = nullptr;
  std::size_t size = 0;
  check(codes_get_message(h, &bytes, &size), "message");
  std::string message(static_cast<const char*>(bytes), size);
  codes_handle_delete(h);
  return message;
}

/// A surface report (template 3 07 080) a subset: station 10 + i of block 10, 2 m temperature 280 + i, wind from 270
/// degrees at 5 + i m/s, station pressure 100000 + 100 i; subset `without` has no temperature.
inline std::string encode_synop(long subsets, bool compressed, long without = -1) {
  BufrRecipe recipe{.category = 0, .descriptors = {307080}, .subsets = subsets, .compressed = compressed};
  recipe.replications.assign(static_cast<std::size_t>(2 * (compressed ? 1 : subsets)), 0);
  const auto add = [&](const std::string& key, auto value_of) {
    if (compressed) {
      std::vector<double> values;
      for (long s = 0; s < subsets; ++s) values.push_back(value_of(s));
      recipe.values.emplace_back("#1#" + key, values);
    } else {
      for (long s = 0; s < subsets; ++s)
        recipe.values.emplace_back("#" + std::to_string(s + 1) + "#" + key, std::vector<double>{value_of(s)});
    }
  };
  add("blockNumber", [](long) { return 10.0; });
  add("stationNumber", [](long s) { return 10.0 + static_cast<double>(s); });
  add("year", [](long) { return 2020.0; });
  add("month", [](long) { return 1.0; });
  add("day", [](long) { return 1.0; });
  add("hour", [](long) { return 12.0; });
  add("minute", [](long s) { return static_cast<double>(s); });
  add("latitude", [](long s) { return 50.0 + static_cast<double>(s); });
  add("longitude", [](long s) { return -3.0 + static_cast<double>(s); });
  add("heightOfStationGroundAboveMeanSeaLevel", [](long) { return 120.0; });
  add("heightOfBarometerAboveMeanSeaLevel", [](long) { return 121.5; });
  add("nonCoordinatePressure", [](long s) { return 100000.0 + 100 * static_cast<double>(s); });
  add("airTemperature", [&](long s) { return s == without ? CODES_MISSING_DOUBLE : 280.0 + static_cast<double>(s); });
  add("windDirection", [](long) { return 270.0; });
  add("windSpeed", [](long s) { return 5.0 + static_cast<double>(s); });
  return encode_bufr(recipe);
}

}  // namespace zonda::ingest
