// Every byte of an archive is guarded: the reader refuses what it uses, with the file, the time and the channels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "ingest/archive/chunk_index.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"
#include "tests/ingest/archive/written_archive.hpp"

namespace zonda::ingest {
namespace {

namespace fs = std::filesystem;

class DamagedArchive : public testing::Test {
 protected:
  DamagedArchive() : folder_("damaged_archive") {
    for (std::size_t t = 0; t < 2; ++t) stored_.push_back(atmosphere_.fields(archive_time(t)));
    manifest_ = std::make_unique<Manifest>(write_archive(folder_.path(), atmosphere_, 10, stored_, 16));
  }
  fs::path file(const char* name) const { return folder_.path() / name; }
  static void flip(const fs::path& path, std::uint64_t at, int bit = 3) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(stream.get() ^ (1 << bit));
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(byte);
    ASSERT_TRUE(stream.good());
  }
  /// The error of opening and reading everything; "" if there is none.
  std::string complaint() const {
    try {
      const ArchiveReader reader(folder_.path());
      std::vector<float> values(stored_[0].size());
      for (std::size_t t = 0; t < 2; ++t) reader.read(t, 0, reader.grid().nlat(), values);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "";
  }

  ScratchFolder folder_;
  SyntheticAtmosphere atmosphere_{Grid::latlon(33, 64, true), {{"z", 500}, {"t", 850}, {"u", 250}}, 16};
  std::vector<std::vector<float>> stored_;
  std::unique_ptr<Manifest> manifest_;
};

TEST_F(DamagedArchive, SoundToBeginWith) {
  EXPECT_EQ(complaint(), "");
}

TEST_F(DamagedArchive, AnyByteOfAnyChunk) {
  const UnitRecord& unit = manifest_->units[0];
  const ChunkIndex index(file("fields-a.index"), 2, manifest_->layout.tiling.chunks(), unit.files.bytes,
                         unit.files.index_crc32c);
  const Philox random(11, "damage");
  std::uint64_t draw = 0;
  for (std::size_t time = 0; time < 2; ++time) {
    for (std::size_t chunk = 0; chunk < manifest_->layout.tiling.chunks(); ++chunk) {
      const ChunkPlace place = index.place(time, chunk);
      for (int k = 0; k < 8; ++k) {
        const std::uint64_t at = place.offset + random.integer(draw++, place.bytes);
        flip(file("fields-a.h5"), at);
        EXPECT_THAT(complaint(),
                    testing::AllOf(testing::HasSubstr("fields-a.h5"), testing::HasSubstr(to_string(archive_time(time))),
                                   testing::HasSubstr("channels z500 to u250"), testing::HasSubstr("checksum")));
        flip(file("fields-a.h5"), at);
      }
    }
  }
  EXPECT_EQ(complaint(), "");
}

TEST_F(DamagedArchive, EveryByteOfManifestIndexAndStatics) {
  for (const char* name : {"archive.json", "fields-a.index", "static.h5"}) {
    const std::uint64_t size = fs::file_size(file(name)), stride = size / 400 + 1;
    for (std::uint64_t at = 0; at < size; at += stride) {
      flip(file(name), at, static_cast<int>(at % 8));
      EXPECT_THAT(complaint(), testing::HasSubstr(name)) << "byte " << at;
      flip(file(name), at, static_cast<int>(at % 8));
    }
  }
  EXPECT_EQ(complaint(), "");
}

TEST_F(DamagedArchive, AnyByteOfTheFileShowsInItsChecksum) {
  const UnitRecord& unit = manifest_->units[0];
  ASSERT_EQ(file_crc32c(file("fields-a.h5")), unit.files.crc32c);
  for (std::uint64_t at = 0; at < unit.files.bytes; at += unit.files.bytes / 50) {
    flip(file("fields-a.h5"), at);
    EXPECT_NE(file_crc32c(file("fields-a.h5")), unit.files.crc32c);
    flip(file("fields-a.h5"), at);
  }
}

TEST_F(DamagedArchive, TruncatedFilesAreNamed) {
  for (const char* name : {"fields-a.h5", "fields-a.index", "static.h5"}) {
    const std::string whole = read_file(file(name));
    fs::resize_file(file(name), whole.size() - 1);
    EXPECT_THAT(complaint(), testing::HasSubstr(name));
    fs::resize_file(file(name), 0);
    EXPECT_THAT(complaint(), testing::HasSubstr(name));
    write_file(file(name), whole);
  }
  fs::resize_file(file("fields-a.h5"), 1000);
  EXPECT_THAT(complaint(), testing::HasSubstr("truncated"));
}

TEST_F(DamagedArchive, MissingFilesAreNamed) {
  for (const char* name : {"fields-a.h5", "fields-a.index", "static.h5", "archive.json"}) {
    const std::string whole = read_file(file(name));
    fs::remove(file(name));
    EXPECT_THAT(complaint(), testing::HasSubstr(name));
    write_file(file(name), whole);
  }
}

}  // namespace
}  // namespace zonda::ingest
