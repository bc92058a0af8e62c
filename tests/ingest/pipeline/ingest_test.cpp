#include "ingest/pipeline/ingest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"
#include "tests/ingest/pipeline/synthetic_source.hpp"

namespace zonda::ingest {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const parallel::Communicator alone = parallel::Communicator::self();

std::string complaint(ErrorKind kind, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "";
}

TEST(Ingest, ThreadsAndSharesChangeNothing) {
  const ScratchFolder folder("ingest_shares");
  const IngestConfig config = synthetic_config();
  run_ingest(config, alone, folder.path() / "alone", synthetic());
  parallel::run_on_threads(
      3, [&](const parallel::Communicator& ranks) { run_ingest(config, ranks, folder.path() / "ranks", synthetic()); });
  for (const std::size_t i : {0UL, 2UL, 1UL}) load_ingest(config, alone, folder.path() / "shares", {i, 3}, synthetic());
  finalise_ingest(config, alone, folder.path() / "shares");
  const std::string expected = sha256_file(folder.path() / "alone");
  EXPECT_EQ(sha256_file(folder.path() / "ranks"), expected);
  EXPECT_EQ(sha256_file(folder.path() / "shares"), expected);
  run_ingest(config, alone, folder.path() / "alone", synthetic());
  EXPECT_EQ(sha256_file(folder.path() / "alone"), expected);
}

TEST(Ingest, AppendingEqualsOneGo) {
  const ScratchFolder folder("ingest_append");
  IngestConfig config = synthetic_config();
  run_ingest(config, alone, folder.path() / "whole", synthetic());
  config.end = synthetic_time(22);
  run_ingest(config, alone, folder.path() / "parts", synthetic());
  config.end = synthetic_time(39);
  EXPECT_THAT(complaint(ErrorKind::usage, [&] { run_ingest(config, alone, folder.path() / "parts", synthetic()); }),
              AllOf(HasSubstr("'end'"), HasSubstr("append")));
  append_ingest(config, alone, folder.path() / "parts", synthetic());
  const ArchiveReader whole(folder.path() / "whole"), parts(folder.path() / "parts");
  EXPECT_EQ(parts.times(), whole.times());
  EXPECT_EQ(parts.statistics().mean, whole.statistics().mean);
  EXPECT_EQ(parts.statistics().stddev, whole.statistics().stddev);
  EXPECT_EQ(parts.statistics().tendencies.at(Duration(86400)).stddev,
            whole.statistics().tendencies.at(Duration(86400)).stddev);
}

TEST(Ingest, MissingTimesAreNamedUnlessDeclared) {
  const ScratchFolder folder("ingest_missing");
  SyntheticOptions options;
  options.absent = [](Time time) { return time == synthetic_time(7) || time == synthetic_time(9); };
  IngestConfig config = synthetic_config();
  EXPECT_THAT(complaint(ErrorKind::data, [&] { run_ingest(config, alone, folder.path(), synthetic(options)); }),
              AllOf(HasSubstr("2 of 40 times"), HasSubstr("2020-01-02T18:00:00Z"), HasSubstr("missing")));
  config.missing = {synthetic_time(7), synthetic_time(9)};
  run_ingest(config, alone, folder.path(), synthetic(options));
  EXPECT_EQ(ArchiveReader(folder.path()).times().size(), 38U);
}

TEST(Ingest, BadValuesAreNamed) {
  const ScratchFolder folder("ingest_bad");
  SyntheticOptions options;
  options.spoil = [](const FieldKey& key, std::span<float> values) {
    if (key.channel.name() == "z500" && key.valid_time == synthetic_time(5)) values[3] = std::nanf("");
  };
  IngestConfig config = synthetic_config();
  EXPECT_THAT(complaint(ErrorKind::data, [&] { run_ingest(config, alone, folder.path(), synthetic(options)); }),
              AllOf(HasSubstr("z500"), HasSubstr("500 hPa"), HasSubstr("2020-01-02T06"), HasSubstr("1 of 684")));
  config.fill = {"z=50000"};
  config.restart = true;
  run_ingest(config, alone, folder.path(), synthetic(options));
  EXPECT_LT(ArchiveReader(folder.path()).statistics().finite_fraction[1], 1.0);
  options.spoil = [](const FieldKey& key, std::span<float> values) {
    if (key.channel.name() == "2t") {
      for (float& v : values) v -= 273.15F;
    }
  };
  EXPECT_THAT(complaint(ErrorKind::data,
                        [&] { run_ingest(synthetic_config(), alone, folder.path() / "b", synthetic(options)); }),
              AllOf(HasSubstr("2t"), HasSubstr("physical range"), HasSubstr("units")));
}

TEST(Ingest, AnotherConfigurationIsRefused) {
  const ScratchFolder folder("ingest_changed");
  IngestConfig config = synthetic_config();
  run_ingest(config, alone, folder.path(), synthetic());
  config.grid = "latlon 10x18";
  config.method = "conservative";
  EXPECT_THAT(complaint(ErrorKind::usage, [&] { run_ingest(config, alone, folder.path(), synthetic()); }),
              AllOf(HasSubstr("'grid'"), HasSubstr("latlon 10x18"), HasSubstr("restart")));
  config.restart = true;
  config.grid = "latlon 10x18 no-poles";
  run_ingest(config, alone, folder.path(), synthetic());
  EXPECT_EQ(ArchiveReader(folder.path()).grid().to_string(), Grid::parse(config.grid).to_string());
}

TEST(Ingest, VerifyFindsAnyFlippedByte) {
  const ScratchFolder folder("ingest_verify");
  run_ingest(synthetic_config(), alone, folder.path(), synthetic());
  EXPECT_TRUE(verify_ingest(alone, folder.path()).faults.empty());
  const auto path = folder.path() / "fields-2020010100.h5";
  for (const std::uint64_t at : {std::uint64_t{100}, std::filesystem::file_size(path) / 2}) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(stream.get() ^ 4);
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(byte);
    stream.close();
    EXPECT_THAT(verify_ingest(alone, folder.path()).faults, testing::Contains(HasSubstr("fields-2020010100.h5")));
  }
}

TEST(Ingest, AnAreaIsCutOut) {
  const ScratchFolder folder("ingest_area");
  IngestConfig config = synthetic_config();
  config.area = {60, 340, 20, 30};
  run_ingest(config, alone, folder.path(), synthetic());
  const ArchiveReader reader(folder.path());
  EXPECT_EQ(reader.grid().nlat(), 5U);
  EXPECT_EQ(reader.grid().nlon(), 6U);
  const SyntheticOptions options;
  const std::vector<float> whole = SyntheticAtmosphere{options.grid, {{"2t", 0}}, 6}.fields(synthetic_time(0));
  std::vector<float> part(30);
  reader.read_channel(0, 0, 0, 5, part);
  EXPECT_NEAR(part[0], whole[3 * 36 + 34], 0.2);
  EXPECT_NEAR(part[29], whole[7 * 36 + 3], 0.2);
}

}  // namespace
}  // namespace zonda::ingest
