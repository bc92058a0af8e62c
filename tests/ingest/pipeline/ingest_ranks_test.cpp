// The archive's bytes do not depend on the number of ranks: each number is compared with one process alone.
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/checksum.hpp"
#include "parallel/mpi_session.hpp"
#include "tests/ingest/pipeline/synthetic_source.hpp"

namespace zonda::ingest {
namespace {

const parallel::Communicator* world = nullptr;

TEST(IngestRanks, SameBytesAsAlone) {
  std::int64_t id = ::getpid();
  world->broadcast(std::as_writable_bytes(std::span(&id, 1)), 0).wait();
  const auto folder = std::filesystem::temp_directory_path() / ("zonda_ingest_ranks_" + std::to_string(id));
  if (world->is_root()) run_ingest(synthetic_config(), parallel::Communicator::self(), folder / "alone", synthetic());
  run_ingest(synthetic_config(), *world, folder / "together", synthetic());
  const VerifyReport report = verify_ingest(*world, folder / "together");
  EXPECT_TRUE(report.faults.empty()) << report.to_string();
  EXPECT_EQ(report.files, 10U);
  world->barrier();
  if (world->is_root()) {
    EXPECT_EQ(sha256_file(folder / "together"), sha256_file(folder / "alone"));
    std::filesystem::remove_all(folder);
  }
}

}  // namespace
}  // namespace zonda::ingest

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const zonda::parallel::MpiSession session(argc, argv);
  zonda::ingest::world = &session.world();
  return RUN_ALL_TESTS();
}
