#pragma once
// Observations of a known truth, with known errors.
#include <cstdint>
#include <string>
#include <vector>

#include "assimilation/observations/atmosphere_layout.hpp"
#include "core/config/table.hpp"
#include "ingest/observations/reading_account.hpp"

namespace zonda::assimilation {

struct NetworkConfig {
  std::string kind = "soundings";      ///< soundings, surface, buoys, swath
  int stations = 417;                  ///< of soundings, surface networks and buoys
  double spacing = 500e3;              ///< m, of a swath
  double half_width = 1000e3;          ///< m, of a swath
  std::vector<std::string> variables;  ///< empty: of soundings u, v, t, q, of surface networks and buoys sp, of swaths
                                       ///< t; those the model has
  std::vector<int> levels{925, 850, 700, 500, 400, 300, 200, 70, 30};  ///< hPa
};
void describe(config::Table& table, NetworkConfig& config);

struct SyntheticConfig {
  std::vector<NetworkConfig> networks;  ///< empty: soundings, and surface pressure at their places
  double wind_error = 1, temperature_error = 1, humidity_error = 1e-3, pressure_error = 100,
         geopotential_error = 100;  ///< SI
  double humidity_fraction = 0.2;   ///< of the truth, that errors of humidity do not exceed
  double station_bias = 0;          ///< standard deviation of what a station and variable errs by always, in errors
  std::uint64_t seed = 1;
};
void describe(config::Table& table, SyntheticConfig& config);

/// Of the reports of a window those of one of its slots: stations report by turns, orbiters as they pass.
struct SlotShare {
  std::size_t slot = 0, of = 1;
  Duration length{0};  ///< of a slot; 0: the window
};

/// Observations of states laid out as `layout`, at the time of the state. Soundings give the levels that are above the
/// true ground there; heights are the model's.
class SyntheticObservations {
 public:
  /// Throws Error(usage) on a variable without an error.
  SyntheticObservations(const SyntheticConfig& config, const AtmosphereLayout& layout, Duration window);
  /// `truth`: the state. Errors are keyed by (seed, cycle, slot, observation), biases by (seed, station, variable);
  /// `perfect` leaves both out of the values.
  ingest::ReadObservations observe(ConstView truth, Time time, std::size_t cycle, bool perfect,
                                   const SlotShare& share = {}) const;

  /// Values of one cycle, those below the ground included; a swath is that about `time`.
  std::size_t largest_count(Time time) const;

 private:
  struct Place {
    double latitude, longitude, height;
  };
  struct Network {
    ingest::ReportKind kind;
    std::vector<std::string> stations;
    std::vector<Place> places;  ///< empty: the swath of each time
    std::vector<std::string> variables;
    std::vector<int> levels;
    NetworkConfig config;
  };
  Network make(const NetworkConfig& config) const;
  double height(double latitude, double longitude) const;
  double error_of(const std::string& variable) const;
  double bias_of(std::string_view station, const std::string& variable) const;

  SyntheticConfig config_;
  AtmosphereLayout layout_;
  Duration window_;
  std::vector<Network> networks_;
};

}  // namespace zonda::assimilation
