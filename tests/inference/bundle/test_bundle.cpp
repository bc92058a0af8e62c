#include "inference/bundle/bundle.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "small_bundle.hpp"

namespace zonda::inference {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// What Bundle::open says of a folder; empty: nothing.
std::string refusal(const fs::path& folder, Verify verify = Verify::contents) {
  try {
    Bundle::open(folder, verify);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
    return error.what();
  }
  return "";
}

void change_byte(const fs::path& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char found = static_cast<char>(file.get());
  file.seekp(at);
  file.put(static_cast<char>(found ^ 1));
  ASSERT_TRUE(file.good());
}

TEST(Bundle, GivesBackWhatWasWritten) {
  const fs::path folder = fresh_folder("bundle");
  const std::string identity = write_small_bundle(folder);
  const Bundle bundle = Bundle::open(folder);
  EXPECT_EQ(bundle.identity(), identity);
  EXPECT_EQ(bundle.identity(), sha256(read_file(folder / "manifest.json")));
  EXPECT_THAT(bundle.numbers("weights/gain"), ElementsAre(1.5f, -2.5f));
  EXPECT_THAT(bundle.numbers("weights/narrow"), ElementsAre(1.0f, -0.5f));
  EXPECT_THAT(bundle.numbers("weights/qkv"), ElementsAre(0.5f, -0.5f, 6.0f, -2.0f, 1.25f, 254.0f));
  EXPECT_EQ(bundle.manifest().region, small_manifest().region);
  EXPECT_EQ(bundle.manifest().levels, small_manifest().levels);
  EXPECT_TRUE(is_bundle(folder));
  EXPECT_FALSE(is_bundle(folder.parent_path()));
}

TEST(Bundle, LargeTensorsBeginOnPagesAndMayOutliveIt) {
  const fs::path folder = fresh_folder("bundle");
  write_small_bundle(folder);
  MappedTensor matrix;
  {
    const Bundle bundle = Bundle::open(folder);
    EXPECT_EQ(bundle.entry("weights/matrix").offset % 4096, 0U);
    EXPECT_EQ(bundle.entry("weights/gain").offset % 64, 0U);
    matrix = bundle.tensor("weights/matrix");
  }
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(matrix.bytes.data()) % 4096, 0U);
  EXPECT_EQ(reinterpret_cast<const float*>(matrix.bytes.data())[4999], 3.0f);
}

TEST(Bundle, TheSameTensorsGiveTheSameBytes) {
  const fs::path one = fresh_folder("one"), two = one.parent_path() / "two";
  EXPECT_EQ(write_small_bundle(one), write_small_bundle(two));
  EXPECT_EQ(sha256_file(one), sha256_file(two));
}

TEST(Bundle, EveryByteOfEveryFileCounts) {
  const fs::path folder = fresh_folder("bundle");
  for (const char* name : {"weights.bin", "golden.bin", "provenance.json"})
    for (const double part : {0.0, 0.3, 0.99}) {
      write_small_bundle(folder);
      const auto bytes = static_cast<double>(fs::file_size(folder / name));
      change_byte(folder / name, static_cast<std::streamoff>(part * bytes));
      EXPECT_THAT(refusal(folder), HasSubstr(name)) << part;
      EXPECT_EQ(refusal(folder, Verify::lengths), "");
    }
}

TEST(Bundle, FilesThatAreTooShortTooLongMissingOrStrange) {
  const fs::path folder = fresh_folder("bundle");
  write_small_bundle(folder);
  fs::resize_file(folder / "weights.bin", fs::file_size(folder / "weights.bin") - 1);
  EXPECT_THAT(refusal(folder, Verify::lengths), HasSubstr("truncated"));
  write_small_bundle(folder);
  std::ofstream(folder / "golden.bin", std::ios::app) << 'x';
  EXPECT_THAT(refusal(folder, Verify::lengths), HasSubstr("another"));
  write_small_bundle(folder);
  fs::remove(folder / "golden.bin");
  EXPECT_THAT(refusal(folder), HasSubstr("golden.bin"));
  write_small_bundle(folder);
  std::ofstream(folder / "extra.so") << "x";
  EXPECT_THAT(refusal(folder), HasSubstr("extra.so: not named by the manifest"));
  write_small_bundle(folder);
  fs::remove(folder / "golden.bin");
  fs::create_directory(folder / "golden.bin");
  EXPECT_THAT(refusal(folder), HasSubstr("golden.bin"));
  fs::remove_all(folder);
  EXPECT_THAT(refusal(folder), HasSubstr("no such folder"));
  fs::create_directory(folder);
  EXPECT_THAT(refusal(folder), HasSubstr("no manifest.json"));
}

TEST(Bundle, ATensorWithAnotherChecksumIsNamed) {
  const fs::path folder = fresh_folder("bundle");
  write_small_bundle(folder);
  std::string text = read_file(folder / "manifest.json");
  const std::string name = "\"name\": \"weights/gain\"";
  const std::size_t at = text.find("\"sha256\": \"", text.find(name)) + 11;
  text[at] = text[at] == 'a' ? 'b' : 'a';
  write_file(folder / "manifest.json", text);
  EXPECT_THAT(refusal(folder), HasSubstr("tensor weights/gain is damaged"));
}

TEST(BundleWriter, LeavesNothingBehindWithoutCommitAndReplacesAnOlderBundle) {
  const fs::path folder = fresh_folder("bundle");
  {
    BundleWriter writer(folder);
    writer.add_file("notes.txt", "half");
  }
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_TRUE(fs::is_empty(folder.parent_path()));
  write_small_bundle(folder);
  BundleWriter writer(folder);
  writer.add_file("notes.txt", "other");
  BundleManifest manifest = small_manifest();
  writer.commit(manifest);
  const Bundle bundle = Bundle::open(folder);
  EXPECT_EQ(bundle.manifest().files.size(), 1U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.parent_path()), fs::directory_iterator()), 1);
}

TEST(BundleWriter, RefusesAShapeThatDoesNotFitItsBytes) {
  BundleWriter writer(fresh_folder("bundle"));
  const std::vector<float> values(5);
  EXPECT_THROW(writer.add_tensor("weights.bin", "x", {2, 3}, std::span(values)), Error);
}

}  // namespace
}  // namespace zonda::inference
