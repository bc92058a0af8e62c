#pragma once
// A cycle that tests can afford: a young T21 atmosphere of 5 levels, four members, four cycles.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "assimilation/cycling/cycle.hpp"
#include "assimilation/cycling/cycle_log.hpp"
#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/log.hpp"
#include "core/signals.hpp"

namespace zonda::assimilation {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class CycleTest : public testing::Test {
 protected:
  void SetUp() override {
    log::set_level(log::Level::error);
    root_ = fs::temp_directory_path() /
            fmt::format("zonda_cycle_{}_{}", getpid(), testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
  }
  void TearDown() override {
    request_stop(0);
    fs::remove_all(root_);
  }
  fs::path path(const std::string& name) const { return root_ / name; }

  static CycleConfig small_cycle(const std::string& method) {
    CycleConfig config;
    config.core.emplace();
    config.core->truncation = 21;
    config.core->levels = 5;
    config.core->spinup_days = 20;
    config.start = parse_time("2000-01-01");
    config.end = parse_time("2000-01-01T18");
    config.members = 4;
    config.initial.every = std::chrono::hours(24);
    config.spin_up = Duration{0};
    config.gate.factor = 0;
    NetworkConfig soundings;
    soundings.stations = 60;
    soundings.levels = {850, 500, 250};
    config.observations.synthetic.emplace();
    config.observations.synthetic->networks = {soundings};
    AnalysisConfig analysis;
    analysis.method = method;
    analysis.localisation = {1500e3, 0.4};
    config.analyses = {analysis};
    return config;
  }

  static void run(const CycleConfig& config, const fs::path& directory, bool resume = true, int ranks = 1) {
    parallel::run_on_threads(
        ranks, [&](const parallel::Communicator& communicator) { run_cycle(config, communicator, directory, resume); });
  }

  static std::vector<Json> records(const fs::path& directory, const std::string& name) {
    return CycleLog(directory / name / "cycles.jsonl").records();
  }

  /// Hashes of members, truth and records of the last cycle, and of the summary, a line each.
  static std::string results(const fs::path& directory, const std::string& name, const CycleConfig& config) {
    const fs::path folder = directory / name, states = folder / "states" / compact(config.end);
    std::vector<fs::path> files{folder / "cycles.jsonl", folder / "summary.json", states / "cycle.json",
                                states / "truth.state"};
    for (int k = 0; k < config.members; ++k) files.push_back(states / fmt::format("member_{:03d}.state", k));
    std::string all;
    for (const fs::path& file : files) all += file.filename().string() + " " + sha256(read_file(file)) + "\n";
    return all;
  }

  fs::path root_;
};

}  // namespace zonda::assimilation
