// The whole way with real files: archive and forecasts on disk, verify, report.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "core/atomic_file.hpp"
#include "ingest/archive/manifest.hpp"
#include "ingest/archive/static_file.hpp"
#include "ingest/archive/unit_writer.hpp"
#include "ingest/cf/cf_writer.hpp"
#include "postproc/report/report.hpp"
#include "tests/postproc/memory_fields.hpp"

namespace zonda::postproc {
namespace {

double weather(const Channel& channel, Time t, double latitude, double longitude) {
  const double days = static_cast<double>((t - parse_time("2020-01-01")).count()) / 86400, x = longitude * M_PI / 180;
  const double phi = latitude * M_PI / 180;
  const double wave = std::cos(phi) * std::sin(3 * x - 1.3 * days);
  if (channel.variable == "z") return 54000 + 3000 * std::cos(2 * phi) + 800 * wave;
  if (channel.variable == "u") return 20 * std::cos(phi) + 8 * wave;
  return 6 * std::cos(phi) * std::cos(3 * x - 1.3 * days);
}

/// Truth and forecast (its waves are slow by a tenth) as the stages before would have left them.
class RunDirectory : public testing::Test {
 protected:
  void write_archive() {
    const std::filesystem::path archive = run_.path() / "archive";
    const ingest::ArchiveLayout layout{grid_, channels_, std::vector<int>(channels_.size(), 16),
                                       ingest::Tiling::choose(channels_.size(), grid_.nlat(), grid_.nlon())};
    const std::vector<Time> times = regular_times(parse_time("2020-01-01"), 49, Duration(21600));
    std::filesystem::create_directories(archive);
    ingest::UnitWriter writer(archive / "fields-a.h5", layout, times);
    for (const Time time : times) {
      std::vector<float> values;
      for (const Channel& channel : channels_) {
        const std::vector<float> field = evaluate(grid_, weather, channel, time);
        values.insert(values.end(), field.begin(), field.end());
      }
      writer.write(values);
    }
    const ingest::UnitFiles files = writer.close();
    const std::vector<Channel> statics{{"lsm", 0}};
    std::vector<float> land(grid_.size());
    for (std::size_t i = 0; i < land.size(); ++i) land[i] = i % grid_.nlon() < 8 ? 1 : 0;
    const ingest::StaticFile static_file =
        ingest::write_static_file(archive / ingest::kStaticName, grid_, statics, land);
    const std::size_t n = channels_.size();
    const ingest::Statistics statistics{
        times.front(),        times[32],           std::vector(n, 0.0), std::vector(n, 1.0),
        std::vector(n, -1.0), std::vector(n, 1.0), std::vector(n, 1.0), {}};
    ingest::Manifest manifest{layout,
                              {times.front(), times.back(), Duration(21600), {}},
                              {{"fields-a.h5", 0, times.size(), files}},
                              static_file.records,
                              static_file.crc32c,
                              statistics,
                              "{\"code\": \"test\"}",
                              ""};
    write_file(archive / ingest::kManifestName, ingest::encode_manifest(manifest));
  }

  void write_forecast(const std::string& name, Time initial) {
    ingest::CfOptions options;
    options.title = options.source = "test";
    options.reference_time = initial;
    ingest::CfWriter writer(run_.path() / "forecast" / (name + ".nc"), grid_, channels_, options);
    for (int step = 1; step <= 8; ++step) {
      State state(grid_, channels_, initial + Duration(21600 * step));
      for (std::size_t c = 0; c < channels_.size(); ++c) {
        const std::vector<float> field =
            evaluate(grid_, weather, channels_[c], initial + Duration(21600 * step * 9 / 10));
        std::copy(field.begin(), field.end(), state.field(c).begin());
      }
      writer.write(state);
    }
    writer.close();
  }

  Grid grid_ = Grid::latlon(24, 48, false);
  std::vector<Channel> channels_{{"z", 500}, {"u", 250}, {"v", 250}};
  ScratchFolder run_{"run-directory"};
};

TEST_F(RunDirectory, IsVerifiedAndReported) {
  write_archive();
  for (const char* text : {"2020-01-09", "2020-01-10", "2020-01-11"}) write_forecast(text, parse_time(text));
  const VerifySummary summary =
      run_verify({}, parallel::Communicator::self(), run_.path() / "archive", run_.path() / "forecast", run_.path());
  EXPECT_EQ(summary.initial_times, 3U);
  EXPECT_EQ(summary.missing_pairs, 0U);  // 49 times end at 2020-01-13 00, the last forecast's last valid time
  const auto rmse = [&](const Channel& channel, double lead, const char* metric, const char* source) {
    return summary.scores.find(channel, lead, "global", metric, source).value();
  };
  // A wave a sin(3x - ct) that lags by c dt has the error 2 sin(c dt / 2) of its rms; the forecast lags a tenth of
  // persistence.
  const double lag = 1.3 * 1.0, ratio = std::sin(0.05 * lag) / std::sin(0.5 * lag);
  EXPECT_NEAR(rmse({"z", 500}, 24, "rmse", "forecast") / rmse({"z", 500}, 24, "rmse", "persistence"), ratio, 0.01);
  EXPECT_NEAR(rmse({"wind", 250}, 24, "wind_vector_rmse", "forecast") /
                  rmse({"wind", 250}, 24, "wind_vector_rmse", "persistence"),
              ratio, 0.01);
  EXPECT_TRUE(summary.scores.find({"z", 500}, 24, "europe-land", "rmse", "forecast").has_value());
  EXPECT_LT(rmse({"z", 500}, 24, "rmse", "forecast"), rmse({"z", 500}, 24, "rmse", "climatology"));

  write_report({}, run_.path());
  const std::string html = read_file(run_.path() / "index.html");
  for (const char* picture :
       {"report/map_z500_1d.png", "report/map_wind250_1d.png", "report/spectra.png", "report/scores.png"}) {
    EXPECT_NE(html.find(picture), std::string::npos) << picture;
    EXPECT_TRUE(std::filesystem::exists(run_.path() / picture)) << picture;
  }
}

TEST_F(RunDirectory, ScoresEqualAnIndependentComputation) {
  const std::string python = "/usr/bin/python3";
  if (std::system((python + " -c 'import h5py, netCDF4, numpy' 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << python << " lacks h5py, netCDF4 or numpy";
  write_archive();
  for (const char* text : {"2020-01-09", "2020-01-10T06", "2020-01-11"}) write_forecast(text, parse_time(text));
  run_verify({}, parallel::Communicator::self(), run_.path() / "archive", run_.path() / "forecast", run_.path());
  const std::string command = "PYTHONDONTWRITEBYTECODE=1 " + python +
                              " " ZONDA_SOURCE_DIR "/tests/peers/scores_numpy.py " + run_.path().string() +
                              " --bound 1e-9";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(RunDirectory, RanksShareTheFiles) {
  write_archive();
  for (const char* text : {"2020-01-09", "2020-01-10", "2020-01-11"}) write_forecast(text, parse_time(text));
  const auto verify_on = [&](const parallel::Communicator& ranks, const std::string& folder,
                             const std::string& mesh = "") {
    VerifyConfig config;
    config.mesh = mesh;
    run_verify(config, ranks, run_.path() / "archive", run_.path() / "forecast", run_.path() / folder);
  };
  verify_on(parallel::Communicator::self(), "one");
  parallel::run_on_threads(3, [&](const parallel::Communicator& ranks) { verify_on(ranks, "three"); });
  parallel::run_on_threads(4, [&](const parallel::Communicator& ranks) { verify_on(ranks, "slabs", "spatial=4"); });
  for (const char* file : {"scores.json", "spectra.json", "climatology.bin"})
    for (const char* other : {"three", "slabs"})
      EXPECT_EQ(read_file(run_.path() / "one" / file), read_file(run_.path() / other / file)) << other << "/" << file;
}

TEST_F(RunDirectory, MissingFoldersAreNamed) {
  const auto verify_here = [&] {
    run_verify({}, parallel::Communicator::self(), run_.path() / "archive", run_.path() / "forecast", run_.path());
  };
  EXPECT_EQ(error_of(verify_here).first, ErrorKind::data);
  write_archive();
  const auto [kind, message] = error_of(verify_here);
  EXPECT_EQ(kind, ErrorKind::data);
  EXPECT_NE(message.find("the forecast folder cannot be read"), std::string::npos) << message;
  std::filesystem::create_directories(run_.path() / "forecast");
  EXPECT_NE(error_of(verify_here).second.find("holds no forecast (*.nc)"), std::string::npos);
}

}  // namespace
}  // namespace zonda::postproc
