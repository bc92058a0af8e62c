// The store's bytes do not depend on the number of ranks.
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/atomic_file.hpp"
#include "ingest/observations/files/ioda_store.hpp"
#include "parallel/mpi_session.hpp"
#include "parallel/partition.hpp"

namespace zonda::ingest {
namespace {

const parallel::Communicator* world = nullptr;

ObservationTable reports(parallel::Range range) {
  ObservationTable table;
  const std::uint32_t file = table.file_number("stations.csv");
  for (std::size_t r = range.begin; r < range.end; ++r) {
    Observation entry;
    const std::string station = "S" + std::to_string(r * r);
    entry.station = station;
    entry.latitude = -80 + static_cast<double>(r);
    entry.longitude = 3 * static_cast<double>(r);
    entry.time = parse_time("2020-01-01") + Duration(r);
    entry.source = {file, static_cast<std::uint32_t>(r + 1), 0};
    entry.variable = variable_number(r % 3 == 0 ? "sp" : "2t");
    entry.value = 280 + static_cast<double>(r);
    table.add(entry);
  }
  return table;
}

TEST(IodaRanks, SameBytesAsAlone) {
  std::int64_t id = ::getpid();
  world->broadcast(std::as_writable_bytes(std::span(&id, 1)), 0).wait();
  const auto folder = std::filesystem::temp_directory_path() / ("zonda_ioda_ranks_" + std::to_string(id));
  if (world->is_root()) {
    std::filesystem::create_directories(folder);
    write_ioda(folder / "alone.h5", reports({0, 101}));
  }
  world->barrier();
  const auto mine =
      parallel::partition(101, static_cast<std::size_t>(world->size()), static_cast<std::size_t>(world->rank()));
  write_ioda(folder / "together.h5", reports(mine), *world);
  const ObservationTable back = read_ioda(folder / "together.h5", *world).table;
  ASSERT_EQ(back.size(), mine.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back.value[i], 280 + static_cast<double>(mine.begin + i));
    EXPECT_EQ(back.station_name(i), reports(mine).station_name(i));
  }
  world->barrier();
  if (world->is_root()) {
    EXPECT_TRUE(read_file(folder / "together.h5") == read_file(folder / "alone.h5"));
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
