// The stage: files, restarts after an orderly stop and after kill -9, ranks, bad input.
#include "model/dynamics/simulate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netcdf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <map>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/config/node.hpp"
#include "core/error.hpp"
#include "core/signals.hpp"
#include "ingest/sources/source.hpp"
#include "model/dynamics/restart_file.hpp"

namespace zonda::model {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

SimulateConfig small_config() {
  SimulateConfig config;
  config.truncation = 21;
  config.levels = 5;
  config.days = 6;
  config.spinup_days = 1;
  config.start = parse_time("2000-01-29");
  config.restart = std::chrono::hours(48);
  config.pressure_levels = {850, 500};
  config.threads = 1;
  config.members = 2;
  return config;
}

/// Every NetCDF file's SHA-256 by name, and the names of all other files outside `restart`.
std::map<std::string, std::string> contents(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.is_regular_file()) files[entry.path().filename()] = sha256_file(entry.path());
  return files;
}

class Simulate : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("SOURCE_DATE_EPOCH", "0", 1);
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(testing::TempDir()) / fmt::format("zonda_{}_{}", info->test_suite_name(), info->name());
    fs::remove_all(directory_);
  }
  void TearDown() override {
    request_stop(0);
    fs::remove_all(directory_);
  }
  std::map<std::string, std::string> reference(const SimulateConfig& config) {
    run_simulate(config, parallel::Communicator::self(), directory_ / "reference", false);
    return contents(directory_ / "reference");
  }
  fs::path directory_;
};

TEST_F(Simulate, WritesTheFilesItAnnounces) {
  const SimulateConfig config = small_config();
  const auto files = reference(config);
  std::vector<std::string> names, announced;
  for (const auto& [name, sum] : files) names.push_back(name);
  for (const fs::path& path : simulated_files(config, directory_ / "reference")) announced.push_back(path.filename());
  EXPECT_EQ(names, announced);
  EXPECT_THAT(names, testing::ElementsAre("simulation_m000_2000-01.nc", "simulation_m000_2000-02.nc",
                                          "simulation_m001_2000-01.nc", "simulation_m001_2000-02.nc"));
  EXPECT_NE(files.at("simulation_m000_2000-02.nc"), files.at("simulation_m001_2000-02.nc"));
}

TEST_F(Simulate, FieldsAreThoseOfAnAtmosphere) {
  SimulateConfig config = small_config();
  config.members = 1;
  config.files = "run";
  config.grid = "latlon 19x36";
  reference(config);
  int file, id;
  ASSERT_EQ(nc_open((directory_ / "reference/simulation_m000_2000012900.nc").c_str(), NC_NOWRITE, &file), NC_NOERR);
  const auto last = [&](const char* name, std::size_t levels) {
    std::vector<float> values(25 * std::max<std::size_t>(levels, 1) * 19 * 36);
    EXPECT_EQ(nc_inq_varid(file, name, &id), NC_NOERR) << name;
    EXPECT_EQ(nc_get_var_float(file, id, values.data()), NC_NOERR);
    return std::vector<float>(values.end() - long(19 * 36), values.end());
  };
  // The last level on the axis is the uppermost: 500 hPa. From 280 K everywhere the height of 500 hPa is near 5680 m.
  for (const float z : last("z", 2)) EXPECT_NEAR(z / 9.80665, 5600, 500);
  for (const float t : last("t", 2)) EXPECT_NEAR(t, 275, 30);
  for (const float p : last("sp", 0)) EXPECT_TRUE(p > 55000 && p < 105000) << p;
  for (const float p : last("msl", 0)) EXPECT_NEAR(p, 1e5, 4000);
  nc_close(file);
}

TEST_F(Simulate, IngestReadsTheFilesLikeAnybodys) {
  SimulateConfig config = small_config();
  config.members = 1;
  reference(config);
  const auto source = ingest::open_sources(simulated_files(config, directory_ / "reference"));
  EXPECT_TRUE(source->ignored().empty());
  // 25 times of z, t, u, v on two levels, sp, msl, 2t; and the ground
  EXPECT_EQ(source->fields().size(), 25u * (4 * 2 + 3) + 1);
  const Channel pressure{"sp", 0};
  EXPECT_EQ(source->grid(pressure), output_grid(config));
  std::vector<float> field(output_grid(config).size());
  double mean = 0;
  for (const ingest::FieldKey& key : source->fields()) {
    if (key.channel != pressure || key.valid_time != parse_time("2000-02-04")) continue;
    source->read(key, field);
    for (std::size_t i = 0; i < field.size(); ++i)
      mean += field[i] * output_grid(config).row_weights()[i / output_grid(config).nlon()] / double(field.size());
  }
  EXPECT_NEAR(mean, 99500, 500);
}

TEST_F(Simulate, StopAndResumeGiveTheSameBytes) {
  SimulateConfig config = small_config();
  config.members = 1;
  const auto wanted = reference(config);
  const fs::path there = directory_ / "interrupted";
  // A request that stands from the beginning stops the run before its first step, again and again; steps are made
  // between by letting a thread raise it.
  bool finished = false;
  int interruptions = 0;
  for (int attempt = 0; attempt < 200 && !finished; ++attempt) {
    request_stop(0);
    std::thread bell([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(15 + 7 * attempt));
      request_stop(SIGTERM);
    });
    try {
      run_simulate(config, parallel::Communicator::self(), there, true);
      finished = true;
    } catch (const Interrupted& stop) {
      ++interruptions;
      EXPECT_EQ(stop.exit_code(), 128 + SIGTERM);
    }
    bell.join();
  }
  EXPECT_TRUE(finished);
  EXPECT_GE(interruptions, 1);
  EXPECT_EQ(contents(there), wanted);
}

TEST_F(Simulate, KilledAndResumedGiveTheSameBytes) {
  SimulateConfig config = small_config();
  config.members = 1;
  config.restart = std::chrono::hours(12);
  config.threads = 1;
  config.moisture = true;
  config.variables = {"z", "u", "q", "tp"};
  fs::path there = directory_ / "killed";
  // fork() first: a child of a process with OpenMP threads could not start its own.
  bool finished = false;
  int kills = 0;
  for (int attempt = 0; attempt < 60 && !finished; ++attempt) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        run_simulate(config, parallel::Communicator::self(), there, true);
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(60 + 13 * attempt));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
      ++kills;
    else
      ASSERT_EQ(WEXITSTATUS(status), 0);
    finished = WIFEXITED(status);
  }
  EXPECT_TRUE(finished);
  EXPECT_GE(kills, 1);
  EXPECT_EQ(contents(there), reference(config));  // no spool, no temporary file stays either
}

TEST_F(Simulate, ResumingAFinishedRunChangesNothing) {
  SimulateConfig config = small_config();
  const auto wanted = reference(config);
  run_simulate(config, parallel::Communicator::self(), directory_ / "reference", true);
  EXPECT_EQ(contents(directory_ / "reference"), wanted);
}

TEST_F(Simulate, AMissingFileIsMadeAgain) {
  SimulateConfig config = small_config();
  config.members = 1;
  const auto wanted = reference(config);
  fs::remove(directory_ / "reference/simulation_m000_2000-01.nc");
  run_simulate(config, parallel::Communicator::self(), directory_ / "reference", true);
  EXPECT_EQ(contents(directory_ / "reference"), wanted);
}

TEST_F(Simulate, RanksAndThreadsGiveTheSameBytes) {
  SimulateConfig config = small_config();
  config.members = 3;
  config.days = 2;
  config.threads = 1;
  const auto wanted = reference(config);
  config.threads = 3;
  parallel::run_on_threads(2, [&](const parallel::Communicator& communicator) {
    run_simulate(config, communicator, directory_ / "two", false);
  });
  EXPECT_EQ(contents(directory_ / "two"), wanted);
}

TEST_F(Simulate, RefusesARestartOfAnotherConfigurationOrADamagedOne) {
  SimulateConfig config = small_config();
  config.members = 1;
  config.days = 2;
  reference(config);
  const fs::path there = directory_ / "reference";
  SimulateConfig other = config;
  other.truncation = 22;
  try {
    run_simulate(other, parallel::Communicator::self(), there, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr("another configuration"));
  }
  const fs::path restart = there / "restart/m000.restart";
  std::string bytes = read_file(restart);
  bytes[bytes.size() / 2] ^= 4;
  write_file(restart, bytes);
  try {
    run_simulate(config, parallel::Communicator::self(), there, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), HasSubstr("damaged"));
  }
  write_file(restart, bytes.substr(0, 1000));
  EXPECT_THROW(read_restart(restart), Error);
}

TEST_F(Simulate, AnUnstableStepEndsWithTheGuardsMessage) {
  SimulateConfig config = small_config();
  config.members = 1;
  config.initial = "baroclinic-wave";
  config.time_step = std::chrono::hours(6);
  config.days = 20;
  config.diffusion_time = std::chrono::seconds(0);
  try {
    run_simulate(config, parallel::Communicator::self(), directory_ / "unstable", false);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerical);
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("step"), HasSubstr("sigma level")));
  }
  EXPECT_FALSE(fs::exists(directory_ / "unstable/simulation_m000_2000-01.nc"));
}

std::string faults_of(const std::string& yaml) {
  try {
    SimulateConfig config;
    config::read(config::parse_yaml(yaml, "run.yaml"), config);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "";
}

TEST(SimulateConfig, NamesEveryFault) {
  EXPECT_EQ(faults_of("truncation: 42\nmountains: []\n"), "");
  EXPECT_THAT(faults_of("truncation: 20\n"), HasSubstr("run.yaml:1"));
  EXPECT_THAT(faults_of("variables: [z, w10]\n"), HasSubstr("unknown simulated variable 'w10'"));
  EXPECT_THAT(faults_of("variables: [q]\n"), HasSubstr("moisture"));
  EXPECT_THAT(faults_of("output: 7h\n"), HasSubstr("divides"));
  EXPECT_THAT(faults_of("time_step: 25min\n"), HasSubstr("divisor of output"));
  EXPECT_THAT(faults_of("restart: 7h\n"), HasSubstr("multiple of output"));
  EXPECT_THAT(faults_of("grid: latlon 3\n"), HasSubstr("grid"));
  EXPECT_THAT(faults_of("levels: 5\nhalf_levels: [0, 0.5, 1]\n"), HasSubstr("6"));
  EXPECT_THAT(faults_of("pressure_levels: [500, 500]\n"), HasSubstr("twice"));
}

TEST(SimulateConfig, TimeStepDividesTheOutput) {
  SimulateConfig config;
  for (const int truncation : {21, 30, 42, 63, 85, 106, 127, 170})
    for (const int hours : {1, 3, 6, 24}) {
      config.truncation = truncation;
      config.output = std::chrono::hours(hours);
      const double step = time_step_seconds(config), count = hours * 3600 / step;
      EXPECT_NEAR(count, std::round(count), 1e-9);
      EXPECT_LE(step, 2160.0 * 30 / truncation + 1e-9);
    }
}

TEST(SimulationPlan, CountsStepsStatesAndBytes) {
  SimulateConfig config = small_config();
  const SimulationPlan plan = plan_simulate(config, 2);
  EXPECT_EQ(plan.states_per_member, 6 * 4 + 1);
  EXPECT_NEAR(double(plan.steps_per_member) * plan.time_step, 7 * 86400, 1e-6);
  EXPECT_EQ(plan.output_bytes, 2u * 25 * (4 * 2 + 4) * 32 * 64 * sizeof(float));
  EXPECT_EQ(plan.members_per_rank, 1);
  EXPECT_GT(plan.memory_bytes, 1u << 20);
}

}  // namespace
}  // namespace zonda::model
