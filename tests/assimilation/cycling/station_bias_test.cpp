// Stations that err always, in a cycle that learns by how much.
#include "core/signals.hpp"
#include "tests/assimilation/cycling/small_cycle.hpp"

namespace zonda::assimilation {
namespace {

class CycledStationBias : public CycleTest {
 protected:
  static CycleConfig biased_cycle() {
    CycleConfig config = small_cycle("letkf");
    config.end = parse_time("2000-01-05");
    config.spin_up = std::chrono::hours(24);
    config.observations.synthetic->station_bias = 2;
    config.observations.quality_control.background_limit = 10;
    config.observations.station_bias = StationBiasConfig{0.2, 3};
    return config;
  }
  /// Root mean square over the globe, mean of the last four analyses.
  double error(const std::string& run, const std::string& channel) const {
    const std::vector<Json> cycles = records(path(run), "letkf");
    double sum = 0;
    for (std::size_t n = cycles.size() - 4; n < cycles.size(); ++n)
      sum += cycles[n]["analysis"][channel]["error"].get<double>() / 4;
    return sum;
  }
};

TEST_F(CycledStationBias, IsLearnedAndTakenOff) {
  CycleConfig config = biased_cycle();
  run(config, path("corrected"));
  config.observations.station_bias.reset();
  run(config, path("biased"));
  EXPECT_LT(error("corrected", "t500"), 0.9 * error("biased", "t500"));
  EXPECT_LT(error("corrected", "u500"), error("biased", "u500"));
  const Json state =
      Json::parse(read_file(path("corrected") / "letkf" / "states" / compact(config.end) / "cycle.json"));
  EXPECT_EQ(state["station_bias"]["stations"].size(), 60u * 3u) << "u, v and t of 60 soundings";
}

TEST_F(CycledStationBias, GoesOnAfterAStopAndOnRanks) {
  CycleConfig config = biased_cycle();
  config.spin_up = Duration{0};
  config.end = parse_time("2000-01-02");
  run(config, path("whole"), true, 2);
  CycleConfig part = config;
  part.end = parse_time("2000-01-01T18");
  run(part, path("parts"));
  run(config, path("parts"));
  EXPECT_EQ(results(path("parts"), "letkf", config), results(path("whole"), "letkf", config));
}

}  // namespace
}  // namespace zonda::assimilation
