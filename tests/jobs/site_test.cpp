#include "jobs/site.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda::jobs {
namespace {

namespace fs = std::filesystem;
const std::vector<std::string> names{"simulate", "ingest", "train", "forecast", "verify", "report"};

struct SiteTest : testing::Test {
  fs::path path = fs::temp_directory_path() / ("zonda-site-" + std::to_string(::getpid()) + ".yaml");
  void TearDown() override { fs::remove(path); }
  Site read(const std::string& text) {
    write_file(path, text);
    return load_site(path, names);
  }
  std::string faults(const std::string& text) {
    try {
      read(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.what();
    }
    ADD_FAILURE() << "accepted: " << text;
    return "";
  }
};

TEST_F(SiteTest, ReadsWhatIsThere) {
  const Site site = read("partition: gpu\nnodes: 2\ntime: 2h\nstages:\n  train: {nodes: 8, time: 1d}\n");
  EXPECT_EQ(site.partition, "gpu");
  EXPECT_EQ(site.placement("train").nodes, 8);
  EXPECT_EQ(site.placement("train").time, Duration{86400});
  EXPECT_FALSE(site.placement("ingest").nodes);
  EXPECT_EQ(load_site("", names).nodes, 1);
}

TEST_F(SiteTest, EverySiteOfTheProjectIsValid) {
  int sites = 0;
  for (const auto& entry : fs::directory_iterator(ZONDA_SOURCE_DIR "/configs/sites")) {
    EXPECT_NO_THROW(load_site(entry.path(), names)) << entry.path();
    ++sites;
  }
  EXPECT_GE(sites, 3);
}

TEST_F(SiteTest, NamesFileKeyLineAndColumn) {
  const std::string all = faults("partiton: gpu\nnodes: 0\nstages:\n  trian: {nodes: 2}\n");
  EXPECT_THAT(all, testing::HasSubstr(path.string() + ":1:1"));
  EXPECT_THAT(all, testing::HasSubstr("partition"));
  EXPECT_THAT(all, testing::HasSubstr(path.string() + ":2:8"));
  EXPECT_THAT(all, testing::HasSubstr(path.string() + ":4:3"));
  EXPECT_THAT(all, testing::HasSubstr("train"));
}

TEST_F(SiteTest, OneErrorEach) {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"launcher: mpiexec\n", "srun, mpirun"},
      {"sbatch: [constraint=a100]\n", "expected an option of sbatch"},
      {"sbatch: [--array=0-3]\n", "Zonda sets this option itself"},
      {"environment: [1X=2]\n", "expected NAME=VALUE"},
      {"environment: [PATH]\n", "expected NAME=VALUE"},
      {"setup: [\"a\\nb\"]\n", "expected one line"},
      {"container: \"a\\nb\"\n", "expected one line"},
      {"partition: \"a\\nb\"\n", "expected one line"},
      {"time: 5s\n", "at least 1min"},
      {"grace: 5s\n", "10s to 18h"},
      {"ranks_per_node: four\n", "a whole number"},
      {"stages: {train: {time: 5s}}\n", "at least 1min"},
      {"stages: {train: {memory: 5}}\n", "memory_gib"},
      {"requeue_exit: 75\n", "true or false"},
  };
  for (const auto& [text, expected] : bad) {
    const std::string message = faults(text);
    EXPECT_THAT(message, testing::HasSubstr(expected)) << text;
    EXPECT_THAT(message, testing::HasSubstr(path.string() + ":1:")) << text;
  }
  EXPECT_THROW(load_site("/no/such/site.yaml", names), Error);
}

}  // namespace
}  // namespace zonda::jobs
