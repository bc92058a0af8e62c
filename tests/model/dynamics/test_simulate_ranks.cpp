// Members over MPI ranks: the same files on any number of ranks; an error of one rank reaches all.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "model/dynamics/simulate.hpp"
#include "parallel/mpi_session.hpp"

namespace zonda::model {
namespace {

namespace fs = std::filesystem;
const parallel::Communicator* world = nullptr;

SimulateConfig three_members() {
  SimulateConfig config;
  config.truncation = 21;
  config.levels = 5;
  config.days = 2;
  config.members = 3;
  config.threads = 1;
  config.restart = std::chrono::hours(24);
  return config;
}

/// One folder for all ranks of this run.
fs::path shared_folder(const char* name) {
  return fs::path(testing::TempDir()) / fmt::format("zonda_ranks_{}_{}", world->size(), name);
}

TEST(SimulateRanks, FilesAreThoseOfOneRank) {
  const SimulateConfig config = three_members();
  const fs::path together = shared_folder("together"), alone = shared_folder("alone");
  if (world->is_root()) {
    fs::remove_all(together);
    fs::remove_all(alone);
  }
  world->barrier();
  run_simulate(config, *world, together, false);
  world->barrier();
  if (world->is_root()) {
    run_simulate(config, parallel::Communicator::self(), alone, false);
    for (const fs::path& path : simulated_files(config, alone))
      EXPECT_EQ(sha256_file(together / path.filename()), sha256_file(path)) << path.filename();
    fs::remove_all(together);
    fs::remove_all(alone);
  }
  world->barrier();
}

TEST(SimulateRanks, ADamagedRestartOfOneMemberIsEveryRanksError) {
  const SimulateConfig config = three_members();
  const fs::path there = shared_folder("damaged");
  if (world->is_root()) fs::remove_all(there);
  world->barrier();
  run_simulate(config, *world, there, false);
  world->barrier();
  if (world->is_root()) fs::resize_file(there / "restart/m001.restart", 500);
  world->barrier();
  EXPECT_THROW(run_simulate(config, *world, there, true), Error);
  world->barrier();
  if (world->is_root()) fs::remove_all(there);
}

}  // namespace
}  // namespace zonda::model

int main(int argc, char** argv) {
  ::setenv("SOURCE_DATE_EPOCH", "0", 1);
  zonda::parallel::MpiSession session(argc, argv);
  zonda::model::world = &session.world();
  testing::InitGoogleTest(&argc, argv);
  if (!session.world().is_root()) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  return RUN_ALL_TESTS();
}
