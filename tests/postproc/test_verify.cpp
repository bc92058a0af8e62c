#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "postproc/verification/verify.hpp"
#include "tests/postproc/memory_fields.hpp"

namespace zonda::postproc {
namespace {

const parallel::Communicator self = parallel::Communicator::self();
const Duration six_hours{21600};

/// Ten days around a constant, with a trend that makes persistence's error exact: 1 m2 s-2 an hour.
double trend(const Channel& channel, Time t, double, double) {
  const double hours = static_cast<double>((t - parse_time("2020-01-01")).count()) / 3600;
  if (channel.variable == "u") return 3 * hours;
  if (channel.variable == "v") return 4 * hours;
  return 1000 + hours;
}

struct Case {
  Grid grid = Grid::latlon(9, 16, true);
  std::vector<Channel> channels{{"z", 500}, {"u", 850}, {"v", 850}};
  MemorySeries truth{grid, channels, regular_times(parse_time("2020-01-01"), 41, six_hours), trend};
  MemoryForecasts forecasts;
  std::vector<Duration> leads{six_hours, 4 * six_hours};

  /// Forecasts off by `error` everywhere.
  void add(const std::string& text, double error, std::optional<int> member = std::nullopt) {
    const Time initial = parse_time(text);
    forecasts.add(text + (member ? "-" + std::to_string(*member) : ""), [this, initial, error, member] {
      return std::make_unique<MemorySource>(
          grid, channels, initial, leads,
          [error](const Channel& c, Time t, double la, double lo) { return trend(c, t, la, lo) + error; }, member);
    });
  }
  VerifySummary run(const VerifyConfig& config, const std::filesystem::path& folder,
                    const parallel::Communicator& ranks = self) const {
    return verify(config, ranks, truth, forecasts.starts(), forecasts.opener(), folder);
  }
};

TEST(Verify, ScoresOfKnownErrors) {
  Case c;
  c.add("2020-01-02", 3);
  c.add("2020-01-03", -4);
  ScratchFolder folder("verify");
  // The mean of one day: with 96, 102, 108 and 114 hours it is 1105.
  VerifyConfig config;
  config.climatology_first = parse_time("2020-01-05");
  config.climatology_last = parse_time("2020-01-05T18");
  const VerifySummary summary = c.run(config, folder.path());
  EXPECT_EQ(summary.initial_times, 2U);
  EXPECT_EQ(summary.pairs, 4U);
  EXPECT_EQ(summary.missing_pairs, 0U);
  const auto score = [&](const Channel& channel, double lead, const char* metric, const char* source) {
    return summary.scores.find(channel, lead, "global", metric, source).value();
  };
  // Mean over time before the root: sqrt((9 + 16) / 2), not (3 + 4) / 2.
  EXPECT_NEAR(score({"z", 500}, 6, "rmse", "forecast"), std::sqrt(12.5), 1e-9);
  EXPECT_NEAR(score({"z", 500}, 6, "mse", "forecast"), 12.5, 1e-9);
  EXPECT_NEAR(score({"z", 500}, 6, "bias", "forecast"), -0.5, 1e-9);
  EXPECT_NEAR(score({"z", 500}, 6, "mae", "forecast"), 3.5, 1e-9);
  EXPECT_NEAR(score({"z", 500}, 24, "rmse", "persistence"), 24, 1e-9);
  EXPECT_NEAR(score({"z", 500}, 24, "bias", "persistence"), -24, 1e-9);
  EXPECT_NEAR(score({"u", 850}, 6, "rmse", "persistence"), 18, 1e-9);
  EXPECT_NEAR(score({"wind", 850}, 6, "wind_vector_rmse", "persistence"), 30, 1e-9);
  EXPECT_NEAR(score({"wind", 850}, 6, "wind_vector_rmse", "forecast"), std::sqrt(2 * 12.5), 1e-9);
  EXPECT_NEAR(score({"z", 500}, 6, "rmse", "climatology"), std::hypot(75, 51) / std::sqrt(2), 1e-3);
  EXPECT_NEAR(score({"z", 500}, 6, "bias", "climatology"), (75 + 51) / 2.0, 1e-3);
  EXPECT_NEAR(score({"z", 500}, 6, "mae", "climatology"), (75 + 51) / 2.0, 1e-3);
  EXPECT_GT(score({"z", 500}, 6, "acc", "forecast"), 0.99);
  EXPECT_EQ(score({"z", 500}, 6, "activity", "climatology"), 0);
  for (const char* name : {"scores.json", "scores.csv", "spectra.json", "verification.json", "climatology.bin"})
    EXPECT_TRUE(std::filesystem::exists(folder.path() / name)) << name;
  const auto meta = nlohmann::json::parse(read_file(folder.path() / "verification.json"));
  EXPECT_EQ(meta["samples"], (std::vector<int>{2, 2}));
  EXPECT_NE(meta["climatology"].get<std::string>().find("mean; 4 times from 2020-01-05"), std::string::npos);
}

TEST(Verify, APerfectForecastHasAnAnomalyCorrelationOfOne) {
  Case c;
  c.add("2020-01-02", 0);
  ScratchFolder folder("perfect");
  const VerifySummary summary = c.run({}, folder.path());
  for (const std::string& region : summary.scores.regions()) {
    EXPECT_NEAR(summary.scores.find({"z", 500}, 24, region, "acc", "forecast").value(), 1, 1e-12) << region;
    EXPECT_EQ(summary.scores.find({"z", 500}, 24, region, "rmse", "forecast").value(), 0) << region;
  }
}

TEST(Verify, EnsemblesAreScoredAsEnsembles) {
  Case c;
  for (int member = 0; member < 3; ++member)
    c.add("2020-01-02", std::vector{-1.0, 2.0, 5.0}[static_cast<std::size_t>(member)], member);
  ScratchFolder folder("ensemble");
  const VerifySummary summary = c.run({}, folder.path());
  EXPECT_EQ(summary.members, 3U);
  const auto score = [&](const char* metric) {
    return summary.scores.find({"z", 500}, 6, "global", metric, "forecast").value();
  };
  EXPECT_NEAR(score("rmse"), 2, 1e-9);  // of the mean
  EXPECT_NEAR(score("spread"), 3, 1e-9);
  EXPECT_NEAR(score("crps"), 8.0 / 3 - 24.0 / 12, 1e-9);  // pairs: 2 (3 + 6 + 3) = 24
  EXPECT_NEAR(score("debiased_mse"), 4 - 9.0 / 3, 1e-9);
  EXPECT_NEAR(score("spread_error_ratio"), 1.5 * std::sqrt(4.0 / 3), 1e-9);
  // Everywhere one member is below the truth and two are above.
  const auto ranks = nlohmann::json::parse(read_file(folder.path() / "rank_histograms.json"));
  ASSERT_EQ(ranks.size(), 2 * c.truth.channels().size());  // leads, channels
  for (const auto& item : ranks) {
    const auto frequencies = item.at("frequencies").get<std::vector<double>>();
    ASSERT_EQ(frequencies.size(), 4U);
    EXPECT_NEAR(frequencies[1], 1, 1e-12) << item.dump();
  }
  // Verified again without members, nothing is left of the ensemble.
  Case single;
  single.add("2020-01-02", 1);
  single.run({}, folder.path());
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "rank_histograms.json"));
}

TEST(Verify, TiesAreRankedAtRandomAndTheSameOnAnyNumberOfRanks) {
  Case c;
  for (const char* start : {"2020-01-02", "2020-01-03", "2020-01-04", "2020-01-05", "2020-01-06"})
    for (int member = 0; member < 2; ++member) c.add(start, 0, member);  // both are the truth
  ScratchFolder alone("ties-alone"), three("ties-three");
  c.run({}, alone.path());
  parallel::run_on_threads(3, [&](const parallel::Communicator& ranks) { c.run({}, three.path(), ranks); });
  const std::string text = read_file(alone.path() / "rank_histograms.json");
  EXPECT_EQ(read_file(three.path() / "rank_histograms.json"), text);
  const auto ranks = nlohmann::json::parse(text);
  ASSERT_EQ(ranks.size(), 6U);
  EXPECT_NE(ranks[0].at("frequencies"), ranks[1].at("frequencies"));  // each field draws its own
  for (const auto& item : ranks)
    for (const double frequency : item.at("frequencies")) EXPECT_NEAR(frequency, 1.0 / 3, 0.1) << item.dump();
}

TEST(Verify, SpectraOfAnEnsembleAreItsMembers) {
  // Two members whose waves cancel in the mean.
  const auto power = [](const std::vector<double>& amplitudes) {
    Case c;
    for (std::size_t m = 0; m < amplitudes.size(); ++m)
      c.forecasts.add("2020-01-02-" + std::to_string(m), [&c, amplitude = amplitudes[m], m] {
        return std::make_unique<MemorySource>(
            c.grid, c.channels, parse_time("2020-01-02"), c.leads,
            [amplitude](const Channel&, Time, double, double longitude) {
              return 1000 + amplitude * std::cos(longitude * std::acos(-1.0) / 180);
            },
            static_cast<int>(m));
      });
    ScratchFolder folder("member-spectra");
    c.run({}, folder.path());
    return nlohmann::json::parse(read_file(folder.path() / "spectra.json")).at(0).at("forecast").at(1).get<double>();
  };
  EXPECT_GT(power({2}), 1e6);
  EXPECT_NEAR(power({2, -2}), power({2}), 1e-4 * power({2}));
}

TEST(Verify, PairsWithoutTruthAreLeftOutForAllSources) {
  Case c;
  c.add("2020-01-02", 1);
  c.add("2020-01-10T18", 100);  // the archive ends at 2020-01-11 00
  ScratchFolder folder("pairs");
  const VerifySummary summary = c.run({}, folder.path());
  EXPECT_EQ(summary.pairs, 3U);
  EXPECT_EQ(summary.missing_pairs, 1U);
  EXPECT_NEAR(summary.scores.find({"z", 500}, 24, "global", "rmse", "forecast").value(), 1, 1e-9);
  EXPECT_NEAR(summary.scores.find({"z", 500}, 6, "global", "rmse", "forecast").value(), std::sqrt(5000.5), 1e-6);
}

TEST(Verify, SelectionsAreObeyed) {
  Case c;
  c.add("2020-01-02", 3);
  c.add("2020-01-03", 5);
  VerifyConfig config;
  config.first = parse_time("2020-01-03");
  config.leads = {4 * six_hours};
  config.regions = {"tropics", "europe"};
  config.metrics = {"rmse"};
  config.channels = {"v850", "z500"};
  ScratchFolder folder("selection");
  const VerifySummary summary = c.run(config, folder.path());
  EXPECT_EQ(summary.scores.records().size(), 2U * 2U * 3U);
  EXPECT_EQ(summary.scores.lead_hours(), std::vector<double>{24});
  EXPECT_NEAR(summary.scores.find({"z", 500}, 24, "europe", "rmse", "forecast").value(), 5, 1e-9);
  EXPECT_NEAR(summary.scores.find({"v", 850}, 24, "tropics", "rmse", "persistence").value(), 96, 1e-9);
}

TEST(Verify, LandVariantsNeedAMaskAndUseIt) {
  Case c;
  c.add("2020-01-02", 3);
  VerifyConfig config;
  config.regions = {"global-land"};
  ScratchFolder folder("land");
  const auto [kind, message] = error_of([&] { c.run(config, folder.path()); });
  EXPECT_EQ(kind, ErrorKind::usage);
  EXPECT_NE(message.find("land-sea mask"), std::string::npos) << message;
  c.truth.land = std::vector<float>(c.grid.size(), 0.5F);
  EXPECT_NEAR(c.run(config, folder.path()).scores.find({"z", 500}, 6, "global-land", "rmse", "forecast").value(), 3,
              1e-9);
}

TEST(Verify, ErrorsNameWhatIsWrong) {
  Case c;
  ScratchFolder folder("errors");
  EXPECT_EQ(error_of([&] { c.run({}, folder.path()); }).second, "verify: there is no forecast");
  c.add("2021-06-01", 1);
  const auto [kind, message] = error_of([&] { c.run({}, folder.path()); });
  EXPECT_EQ(kind, ErrorKind::data);
  EXPECT_EQ(
      message,
      "verify: no truth for any forecast: they start from 2021-06-01T00:00:00Z to 2021-06-01T00:00:00Z, the archive "
      "holds 2020-01-01T00:00:00Z to 2020-01-11T00:00:00Z");
  Case last;
  last.add("2020-01-11", 1);
  EXPECT_NE(error_of([&] { last.run({}, folder.path()); }).second.find("no truth for any valid time"),
            std::string::npos);

  Case other;
  other.forecasts.add("f.nc", [&] {
    return std::make_unique<MemorySource>(Grid::latlon(10, 16, false), other.channels, parse_time("2020-01-02"),
                                          other.leads, trend);
  });
  EXPECT_EQ(error_of([&] { other.run({}, folder.path()); }).second,
            "f.nc: the forecast's grid is latlon 10x16 no-poles, the archive's latlon 9x16");

  Case good;
  good.add("2020-01-02", 1);
  VerifyConfig config;
  config.channels = {"z501"};
  EXPECT_NE(error_of([&] { good.run(config, folder.path()); }).second.find("did you mean 'z500'"), std::string::npos);
  config = {};
  config.leads = {Duration(3600)};
  EXPECT_EQ(error_of([&] { good.run(config, folder.path()); }).second,
            "verify.leads: no forecast holds lead 1h; they hold 6h, 1d");
  config = {};
  config.metrics = {"rsme"};
  EXPECT_NE(error_of([&] { good.run(config, folder.path()); }).second.find("did you mean 'rmse'"), std::string::npos);
  config = {};
  config.last = parse_time("2019-01-01");
  EXPECT_NE(
      error_of([&] { good.run(config, folder.path()); }).second.find("none of the 1 forecasts starts in the period"),
      std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "scores.json"));
}

TEST(Verify, AForecastThatIsNotFiniteIsRefused) {
  Case c;
  c.forecasts.add("nan.nc", [&] {
    return std::make_unique<MemorySource>(
        c.grid, c.channels, parse_time("2020-01-02"), c.leads,
        [](const Channel&, Time, double la, double) { return la > 80 ? std::nan("") : 1.0; });
  });
  ScratchFolder folder("nan");
  const auto [kind, message] = error_of([&] { c.run({}, folder.path()); });
  EXPECT_EQ(kind, ErrorKind::numerical);
  EXPECT_EQ(message, "nan.nc: z500 at 2020-01-02T06:00:00Z is not finite");
}

TEST(Verify, UnequalMembersAreRefused) {
  Case c;
  c.add("2020-01-02", 1, 0);
  c.add("2020-01-02", 1, 1);
  c.add("2020-01-03", 1, 0);
  EXPECT_NE(error_of([&] { c.forecasts.starts(); }).second.find("has 1 members, 2020-01-02T00:00:00Z has 2"),
            std::string::npos);
}

TEST(Verify, TheConfigurationIsStrict) {
  VerifyConfig config;
  config::read(config::parse_yaml("{leads: [24h, 72h], regions: [europe], first: 2020-01-01}", "run.yaml"), config);
  EXPECT_EQ(config.leads, (std::vector<Duration>{Duration(86400), Duration(3 * 86400)}));
  const auto [kind, message] = error_of([] {
    VerifyConfig bad;
    config::read(config::parse_yaml("{regions: [erope]}", "run.yaml"), bad);
  });
  EXPECT_EQ(kind, ErrorKind::usage);
  EXPECT_NE(message.find("europe"), std::string::npos) << message;
  const auto [order_kind, order] = error_of([] {
    VerifyConfig bad;
    config::read(config::parse_yaml("{first: 2020-01-02, last: 2020-01-01}", "run.yaml"), bad);
  });
  EXPECT_NE(order.find("before it begins"), std::string::npos) << order;
}

}  // namespace
}  // namespace zonda::postproc
