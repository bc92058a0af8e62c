#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/signals.hpp"
#include "inference/rollout/forecast.hpp"
#include "ingest/cf/cf_writer.hpp"
#include "ingest/sources/source.hpp"
#include "parallel/communicator.hpp"
#include "tests/inference/untrained_model.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::inference {
namespace {

namespace fs = std::filesystem;
constexpr Duration h6{6 * 3600}, h24{24 * 3600};

struct ForecastTest : testing::Test {
  TemporaryFolder folder;
  TurningWaves waves{.times = 40};
  std::unique_ptr<model::ForecastModel> made = untrained_model({h6, 2 * h6, h24});
  parallel::Communicator self = parallel::Communicator::self();
  ForecastConfig config;

  void SetUp() override {
    setenv("SOURCE_DATE_EPOCH", "1000000000", 1);
    waves.write(folder / "archive");
    made->network.parameters().allocate_optimiser(true);
    write_model("model");
    config.start = waves.first + 4 * h6;
    config.end = waves.first + 9 * h6;
    config.every = h6;
    config.lead = 2 * h24;
    config.output_step = 2 * h6;
    config.batch = 2;
  }
  void TearDown() override {
    request_stop(0);
    unsetenv("SOURCE_DATE_EPOCH");
  }
  void write_model(const std::string& name) const {
    model::write_model(folder / name, made->layout, made->network, made->origin, false);
  }
  ForecastSummary run(const std::string& where = "forecast", const std::string& model = "model") {
    return run_forecast(config, self, folder / "archive", folder / model, folder / where);
  }
  std::map<std::string, std::string> contents(const std::string& where) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder / where))
      files[entry.path().filename().string()] = read_file(entry.path());
    return files;
  }
  std::string error_of(ErrorKind kind) {
    try {
      run();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return {};
  }
};

TEST_F(ForecastTest, WritesOneReadableFileAnInitialTime) {
  const ForecastSummary summary = run();
  EXPECT_EQ(summary.written, 6U);
  ASSERT_EQ(summary.files.size(), 6U);
  EXPECT_EQ(summary.files[0].filename(), "2001030200.nc");
  const auto source = ingest::open_source(summary.files[0]);
  std::vector<ingest::FieldKey> keys = source->fields();
  ASSERT_EQ(keys.size(), 4U * 2U);
  EXPECT_EQ(keys.front().valid_time, *config.start + 2 * h6);
  EXPECT_EQ(keys.back().valid_time, *config.start + 2 * h24);
  EXPECT_TRUE(source->grid(keys[0].channel) == waves.grid);
  std::vector<float> before;
  for (const ingest::FieldKey& key : keys) {
    if (key.channel != Channel{"z", 500}) continue;
    std::vector<float> field(waves.grid.size());
    source->read(key, field);
    for (const float v : field) {
      ASSERT_GT(v, 30000);
      ASSERT_LT(v, 80000);
    }
    EXPECT_NE(field, before) << "consecutive leads are equal";
    before = field;
  }
}

TEST_F(ForecastTest, SlabsDoNotChangeAByte) {
  config.spectral_taper = TaperConfig{3, 6};
  config.write_initial = true;
  run("alone");
  const auto expected = contents("alone");
  for (const auto& [ranks, mesh] : {std::pair{2, "spatial=2"}, {4, "spatial=4"}, {4, "data=2,spatial=2"}}) {
    config.mesh = mesh;
    const std::string where = std::string("on ") + mesh;
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
      EXPECT_EQ(run_forecast(config, communicator, folder / "archive", folder / "model", folder / where).written, 6U);
    });
    EXPECT_EQ(contents(where), expected) << mesh;
  }
}

TEST_F(ForecastTest, ErrorsOnASlabAreEverybodys) {
  config.mesh = "spatial=2";
  config.start = waves.first - 30 * h24;  // no state
  config.end = config.start;
  std::atomic<int> refused = 0;
  parallel::run_on_threads(2, [&](const parallel::Communicator& communicator) {
    try {
      run_forecast(config, communicator, folder / "archive", folder / "model", folder / "forecast");
    } catch (const Error& error) {
      refused += error.kind() == ErrorKind::data;
    }
  });
  EXPECT_EQ(refused, 2);
  config.mesh = "spatial=3";
  EXPECT_THROW(run(), Error);
}

TEST_F(ForecastTest, RanksAndBatchesDoNotChangeAByte) {
  run("alone");
  const auto expected = contents("alone");
  for (const int ranks : {2, 4}) {
    const std::string where = "ranks" + std::to_string(ranks);
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
      EXPECT_EQ(run_forecast(config, communicator, folder / "archive", folder / "model", folder / where).written, 6U);
    });
    EXPECT_EQ(contents(where), expected) << ranks << " ranks";
  }
}

TEST_F(ForecastTest, SharesOfAnArrayDoNotChangeAByte) {
  run("alone");
  const auto expected = contents("alone");
  const auto share = [&](std::size_t i) {
    return run_forecast(config, self, folder / "archive", folder / "model", folder / "shares", {i, 4});
  };
  std::vector<std::thread> jobs;
  std::vector<std::size_t> written(4);
  for (const std::size_t i : {3UL, 1UL, 2UL, 0UL}) jobs.emplace_back([&, i] { written[i] = share(i).written; });
  for (std::thread& job : jobs) job.join();
  EXPECT_EQ(written, (std::vector<std::size_t>{2, 2, 1, 1}));
  EXPECT_EQ(contents("shares"), expected);
  // A share that runs again keeps what is there, of the others too.
  fs::remove(folder / "shares" / "2001030200.nc");
  EXPECT_EQ(share(0).written, 1U);
  EXPECT_EQ(contents("shares"), expected);
}

TEST_F(ForecastTest, FinishedFilesAreKeptAndOthersReplaced) {
  run();
  const auto before = contents("forecast");
  fs::remove(folder / "forecast" / "2001030206.nc");
  std::ofstream(folder / "forecast" / ".2001030206.nc.tmp") << "half a file";
  ForecastSummary again = run();
  EXPECT_EQ(again.written, 1U);
  EXPECT_EQ(again.kept, 5U);
  EXPECT_EQ(contents("forecast"), before);
  // One more initial time: those there are kept.
  config.end = *config.end + h6;
  again = run();
  EXPECT_EQ(again.written, 1U);
  EXPECT_EQ(again.kept, 6U);
  // Another configuration, another model: nothing is kept.
  config.strategy = "largest-step";
  EXPECT_EQ(run().kept, 0U);
  made->network.parameters().values().as<float>()[0] += 1;
  write_model("other");
  EXPECT_EQ(run("forecast", "other").kept, 0U);
}

TEST_F(ForecastTest, AdaptersAreSwitchedOnOneModel) {
  made = untrained_model({h6, 2 * h6, h24}, model::LoraConfig{.rank = 2, .edges = {1}});
  made->network.parameters().allocate_optimiser(true);
  write_model("with adapters");
  run("on", "with adapters");
  config.adapters = false;
  run("off", "with adapters");
  // The same weights without adapters.
  const auto base = untrained_model({h6, 2 * h6, h24});
  for (const model::Parameter& parameter : base->network.parameters().list()) {
    const model::ParameterStore &from = made->network.parameters(), &to = base->network.parameters();
    const auto values = from.value(from.find(parameter.name)).span<const float>();
    std::copy(values.begin(), values.end(), to.value(to.find(parameter.name)).as<float>());
  }
  made->network = std::move(base->network);
  made->network.parameters().allocate_optimiser(true);
  write_model("base");
  run("base", "base");
  const auto fields = [&](const std::string& where) {
    std::vector<float> all;
    const auto source = ingest::open_source(folder / where / "2001030200.nc");
    for (const ingest::FieldKey& key : source->fields()) {
      std::vector<float> field(waves.grid.size());
      source->read(key, field);
      all.insert(all.end(), field.begin(), field.end());
    }
    return all;
  };
  EXPECT_EQ(fields("off"), fields("base"));
  EXPECT_NE(fields("on"), fields("base"));
}

TEST_F(ForecastTest, ASignalEndsTheRunBetweenGroups) {
  request_stop(SIGTERM);
  EXPECT_THROW(run(), Interrupted);
  request_stop(0);
  const ForecastSummary rest = run();
  EXPECT_EQ(rest.kept, 2U);
  EXPECT_EQ(rest.written, 4U);
}

TEST_F(ForecastTest, MissingInitialStatesAreNamed) {
  config.start = waves.first + 2 * h6;  // 24 h before it there is none
  EXPECT_NE(error_of(ErrorKind::data).find("no state at 2001-02-28T12:00:00Z"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "forecast"));
}

TEST_F(ForecastTest, InputsOfAnotherModelAreRefusedWithBothValues) {
  TurningWaves other = waves;
  other.grid = Grid::latlon(16, 32, false);
  other.write(folder / "larger");
  fs::rename(folder / "archive", folder / "kept");
  fs::rename(folder / "larger", folder / "archive");
  std::string message = error_of(ErrorKind::data);
  EXPECT_NE(message.find("latlon 16x32"), std::string::npos) << message;
  EXPECT_NE(message.find("latlon 8x16"), std::string::npos) << message;

  fs::remove_all(folder / "archive");
  other = waves;
  other.channels = {{"z", 500}, {"t", 500}};
  other.write(folder / "archive");
  message = error_of(ErrorKind::data);
  EXPECT_NE(message.find("channels z500, t500; the model was trained on z500, t850"), std::string::npos) << message;

  fs::remove_all(folder / "archive");
  waves.write(folder / "archive");
  made->layout.static_fields[0] += 1;
  write_model("model");
  EXPECT_NE(error_of(ErrorKind::data).find("static fields"), std::string::npos);
}

TEST_F(ForecastTest, LeavingThePhysicalRangeEndsTheRun) {
  for (double& s : made->layout.normalisation.tendency_stddev[h6]) s *= 1e4;
  write_model("model");
  config.strategy = "6h";
  const std::string message = error_of(ErrorKind::numerical);
  EXPECT_NE(message.find("outside the physical range"), std::string::npos) << message;
  for (const auto& entry : fs::directory_iterator(folder / "forecast"))
    EXPECT_EQ(entry.path().filename(), "forecast.json") << "something half-written stays";
}

TEST_F(ForecastTest, ChannelsAndInitialStateAreChosen) {
  config.channels = {"t850"};
  config.write_initial = true;
  config.end = config.start;
  const auto source = ingest::open_source(run().files[0]);
  ASSERT_EQ(source->fields().size(), 5U);
  std::vector<float> field(waves.grid.size());
  source->read(source->fields()[0], field);
  const std::vector<float> truth = waves.fields(4);
  for (std::size_t i = 0; i < field.size(); ++i) ASSERT_NEAR(field[i], truth[waves.grid.size() + i], 0.02);
  config.channels = {"t500"};
  EXPECT_NE(error_of(ErrorKind::usage).find("t850"), std::string::npos);
}

TEST_F(ForecastTest, StartsFromFilesAsFromTheArchive) {
  config.end = config.start;
  run("archive_start");
  // The same states, written as CF.
  {
    ingest::CfWriter writer(folder / "states.nc", waves.grid, waves.channels, {});
    for (std::size_t t = 0; t <= 8; ++t) {
      State state(waves.grid, waves.channels, waves.first + static_cast<int>(t) * h6);
      state.values = waves.fields(t);
      writer.write(state);
    }
    writer.close();
  }
  config.source = StateFilesConfig{.path = {(folder / "states.nc").string()}, .variables = {}, .units = {}};
  run("file_start");
  const auto a = ingest::open_source(folder / "archive_start" / "2001030200.nc");
  const auto b = ingest::open_source(folder / "file_start" / "2001030200.nc");
  ASSERT_EQ(a->fields(), b->fields());
  std::vector<float> x(waves.grid.size()), y(x);
  for (const ingest::FieldKey& key : a->fields()) {
    a->read(key, x);
    b->read(key, y);
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_NEAR(x[i], y[i], 1e-3 * std::abs(x[i]));  // the archive is rounded
  }
  // A finer grid is brought to the model's.
  const Grid fine = Grid::latlon(32, 64, false);
  {
    ingest::CfWriter writer(folder / "fine.nc", fine, waves.channels, {});
    for (std::size_t t = 0; t <= 8; ++t) {
      State state(fine, waves.channels, waves.first + static_cast<int>(t) * h6);
      for (std::size_t c = 0; c < 2; ++c) std::fill(state.field(c).begin(), state.field(c).end(), c == 0 ? 54000 : 280);
      writer.write(state);
    }
    writer.close();
  }
  config.source->path = {(folder / "fine.nc").string()};
  EXPECT_EQ(run("fine_start").written, 1U);
  // A channel too few.
  {
    ingest::CfWriter writer(folder / "few.nc", waves.grid, {{"t", 850}}, {});
    State state(waves.grid, {{"t", 850}}, waves.first);
    std::fill(state.values.begin(), state.values.end(), 280.0F);
    writer.write(state);
    writer.close();
  }
  config.source->path = {(folder / "few.nc").string()};
  EXPECT_NE(error_of(ErrorKind::data).find("z500 is missing, which the model needs (found: t850)"), std::string::npos);
}

TEST_F(ForecastTest, MembersDifferAndHaveTheSameBytesOnAnyNumberOfRanks) {
  made = untrained_model({h6, 2 * h6, h24}, {}, 3);
  made->network.parameters().allocate_optimiser(true);
  write_model("noisy");
  config.end = *config.start + h6;
  run("without noise", "noisy");
  config.members = 3;
  config.batch = 4;  // more than the members of one initial time
  const ForecastSummary summary = run("alone", "noisy");
  ASSERT_EQ(summary.written, 6U);
  EXPECT_EQ(summary.files[1].filename(), "2001030200-002.nc");
  const auto expected = contents("alone");
  for (const int ranks : {2, 4}) {
    const std::string where = "ranks" + std::to_string(ranks);
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
      EXPECT_EQ(run_forecast(config, communicator, folder / "archive", folder / "noisy", folder / where).written, 6U);
    });
    EXPECT_EQ(contents(where), expected) << ranks << " ranks";
  }
  // Members differ at every lead from each other and from the forecast without noise.
  const auto first = ingest::open_source(folder / "alone" / "2001030200-001.nc"),
             second = ingest::open_source(folder / "alone" / "2001030200-002.nc"),
             without = ingest::open_source(folder / "without noise" / "2001030200.nc");
  ASSERT_EQ(first->fields().size(), 8U);
  std::vector<float> a(waves.grid.size()), b(a), c(a);
  for (std::size_t i = 0; i < first->fields().size(); ++i) {
    EXPECT_EQ(first->fields()[i].member, 1);
    EXPECT_EQ(second->fields()[i].member, 2);
    first->read(first->fields()[i], a);
    second->read(second->fields()[i], b);
    without->read(without->fields()[i], c);
    EXPECT_NE(a, b);
    EXPECT_NE(a, c);
  }
  config.seed = 2;
  run("another seed", "noisy");
  EXPECT_NE(contents("another seed").at("2001030200-001.nc"), expected.at("2001030200-001.nc"));
  const ForecastPlan plan = plan_forecast(config, folder / "archive", folder / "noisy", 2);
  EXPECT_EQ(plan.network_steps, 2U * 3 * (8 + 4 + 2));
}

TEST_F(ForecastTest, MembersOfAModelWithoutNoiseAreRefused) {
  config.members = 2;
  const std::string message = error_of(ErrorKind::usage);
  EXPECT_NE(message.find("forecast.members: 2, but the model has no noise"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(folder / "forecast"));
}

TEST_F(ForecastTest, ATaperThatTheGridCannotTakeIsRefused) {
  run("free");
  config.spectral_taper = TaperConfig{.from = 3, .to = 6};
  run("tapered");
  EXPECT_NE(contents("tapered").at("2001030200.nc"), contents("free").at("2001030200.nc"));
  config.spectral_taper->to = 9;
  const std::string message = error_of(ErrorKind::usage);
  EXPECT_NE(message.find("forecast.spectral_taper"), std::string::npos) << message;
  EXPECT_NE(message.find("latlon 8x16 no-poles resolves total wavenumbers up to 7"), std::string::npos) << message;
}

TEST_F(ForecastTest, PlanCountsStepsAndBytes) {
  const ForecastPlan plan = plan_forecast(config, folder / "archive", folder / "model", 2);
  EXPECT_EQ(plan.initial_times, 6U);
  EXPECT_EQ(plan.leads, 4U);
  EXPECT_EQ(plan.network_steps, 6U * (8 + 4 + 2));
  EXPECT_EQ(plan.output_bytes, 6U * 4 * 2 * 128 * 4);
  EXPECT_GT(plan.memory_bytes(), plan.network_bytes);
  EXPECT_GT(plan.flops, 0);
}

TEST_F(ForecastTest, ConfigurationFaults) {
  for (const char* wrong : {"{times: [2001-01-01], start: 2001-01-01, end: 2001-01-02}", "{start: 2001-01-01}",
                            "{start: 2001-01-02, end: 2001-01-01}", "{every: 0h}", "{source: {}}",
                            "{spectral_taper: {from: 30}}", "{spectral_taper: {from: 30, to: 30}}", "{device: tpu}",
                            "{device: 'cuda:x'}", "{precision: int4}", "{members: 0}", "{strategi: mean}"}) {
    ForecastConfig fresh;
    EXPECT_THROW(config::read(config::parse_yaml(wrong, "test"), fresh), Error) << wrong;
  }
}

}  // namespace
}  // namespace zonda::inference
