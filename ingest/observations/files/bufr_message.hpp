#pragma once
// BUFR (WMO FM 94): messages in a file, and the elements of a message's subsets in their order, by ecCodes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zonda::ingest {

struct BufrMessage {
  std::size_t number;  ///< in the file, from 1
  std::uint64_t offset, length;
  std::string damage;  ///< what is wrong with it; "" where its frame is whole
};

/// All messages of a file's bytes. What cannot be framed (no `7777` where the length says, bytes that belong to no
/// message) is a message with `damage`; reading goes on at the next `BUFR`. Between messages padding and bulletin
/// headers may stand.
std::vector<BufrMessage> scan_bufr(std::string_view bytes);

/// The elements that observations are made of.
enum class BufrElement : std::uint8_t {
  block_number,
  station_number,
  ship_identifier,
  flight_number,
  registration_number,
  buoy_identifier,
  short_station_name,
  wigos_series,
  wigos_issuer,
  wigos_issue,
  wigos_local,
  year,
  month,
  day,
  hour,
  minute,
  second,
  latitude,
  longitude,
  latitude_displacement,
  longitude_displacement,
  time_period,
  station_height,
  ground_height,
  barometer_height,
  height,
  flight_level,
  pressure,
  station_pressure,
  mean_sea_level_pressure,
  temperature_2m,
  dew_point_2m,
  wind_direction_10m,
  wind_speed_10m,
  temperature,
  dew_point,
  wind_direction,
  wind_speed,
  geopotential,
  geopotential_height,
};

struct BufrValue {
  BufrElement element;
  double number;     ///< SI (degrees for positions); NaN where missing
  std::string text;  ///< of identifiers
};

struct DecodedBufr {
  int category = -1;  ///< BUFR table A
  std::size_t subsets = 0;
  std::vector<std::vector<BufrValue>> reports;  ///< [subsets]; empty where the category is not one that is asked for
};

/// Category and number of subsets alone. Throws Error(data).
DecodedBufr inspect_bufr(std::string_view message);
/// Elements of every subset in order, compressed or not. Throws Error(data) where ecCodes or its tables cannot decode
/// the message, and where a unit cannot be converted.
DecodedBufr decode_bufr(std::string_view message);

}  // namespace zonda::ingest
