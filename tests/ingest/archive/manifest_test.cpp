#include "ingest/archive/manifest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "ingest/archive/journal.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"
#include "tests/ingest/archive/written_archive.hpp"

namespace zonda::ingest {
namespace {

using Json = nlohmann::ordered_json;

Manifest some_manifest() {
  const ScratchFolder folder("manifest");
  const SyntheticAtmosphere atmosphere{Grid::latlon(9, 16, true), {{"z", 500}, {"t", 850}}, 4};
  std::vector<std::vector<float>> stored;
  for (std::size_t t = 0; t < 3; ++t) stored.push_back(atmosphere.fields(archive_time(t)));
  return write_archive(folder.path(), atmosphere, 10, stored);
}

/// The text with one value changed and the checksum made right again.
std::string altered(const std::string& text, const std::function<void(Json&)>& change) {
  Json json = Json::parse(text);
  json.erase("identity");
  change(json);
  json["identity"] = sha256(json.dump(1) + "\n");
  return json.dump(1) + "\n";
}

std::string complaint(const std::string& text) {
  try {
    decode_manifest(text, "archive.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    return error.what();
  }
  return "";
}

TEST(Manifest, ComesBackTheSame) {
  Manifest manifest = some_manifest();
  const std::string text = encode_manifest(manifest);
  Manifest back = decode_manifest(text, "archive.json");
  EXPECT_EQ(back.identity, manifest.identity);
  EXPECT_EQ(encode_manifest(back), text);
  EXPECT_EQ(back.statistics.mean, manifest.statistics.mean);
  EXPECT_EQ(back.units[0].files, manifest.units[0].files);
}

TEST(Manifest, IdentityFollowsEveryUnit) {
  Manifest manifest = some_manifest();
  encode_manifest(manifest);
  const std::string before = manifest.identity;
  manifest.units[0].files.index_crc32c ^= 1;
  encode_manifest(manifest);
  EXPECT_NE(manifest.identity, before);
}

TEST(Manifest, RefusesNonsenseWithTheRightChecksum) {
  Manifest manifest = some_manifest();
  const std::string text = encode_manifest(manifest);
  EXPECT_EQ(complaint(altered(text, [](Json&) {})), "");
  const auto complains = [&](const std::function<void(Json&)>& change) { return complaint(altered(text, change)); };
  EXPECT_THAT(complains([](Json& j) { j["version"] = 2; }), testing::HasSubstr("version 2"));
  EXPECT_THAT(complains([](Json& j) { j["layout"]["grid"] = "hexagonal 7"; }), testing::HasSubstr("archive.json"));
  EXPECT_THAT(complains([](Json& j) { j["layout"]["channels"][0] = "zz500"; }), testing::HasSubstr("zz"));
  for (const Json& rows : {Json(0), Json(-1), Json(1e300), Json(4.5), Json("4")}) {
    EXPECT_THAT(complains([&](Json& j) { j["layout"]["chunk"]["rows"] = rows; }),
                testing::HasSubstr("archive.json: layout: chunk: rows: expected an integer"));
  }
  EXPECT_THAT(complains([](Json& j) { j["layout"]["kept_mantissa_bits"][0] = 1e300; }), testing::HasSubstr("kept_"));
  EXPECT_THAT(complains([](Json& j) { j["units"][0]["first"] = 1e300; }),
              testing::HasSubstr("archive.json: units: first: expected an integer"));
  EXPECT_THAT(complains([](Json& j) { j["units"][0]["crc32c"] = "0x123456"; }), testing::HasSubstr("8 hexadecimal"));
  EXPECT_THAT(complains([](Json& j) { j["units"][0]["count"] = 2; }), testing::HasSubstr("2 of 3 times"));
  EXPECT_THAT(complains([](Json& j) { j["units"][0]["count"] = 4; }), testing::HasSubstr("units"));
  EXPECT_THAT(complains([](Json& j) { j["units"][0]["file"] = "../fields.h5"; }), testing::HasSubstr("name"));
  EXPECT_THAT(complains([](Json& j) { j["times"]["step"] = "0s"; }), testing::HasSubstr("times"));
  EXPECT_THAT(complains([](Json& j) { j["times"]["last"] = "1900-01-01"; }), testing::HasSubstr("times"));
  EXPECT_THAT(complains([](Json& j) { j["times"]["step"] = "1s", j["times"]["last"] = "2019-01-01"; }),
              testing::HasSubstr("times"));  // more than any archive has: they would be listed in memory
  EXPECT_THAT(complains([](Json& j) {
                j["times"]["missing"] = {"2017-07-15", "2017-07-14T08:40"};
              }),
              testing::HasSubstr("ascend"));
  EXPECT_THAT(complains([](Json& j) { j["statistics"]["mean"][0] = nullptr; }), testing::HasSubstr("mean"));
  EXPECT_THAT(complains([](Json& j) { j["statistics"]["mean"] = {1.0}; }), testing::HasSubstr("mean"));
  EXPECT_THAT(complains([](Json& j) { j.erase("units"); }), testing::HasSubstr("units"));
  EXPECT_THAT(complaint(""), testing::HasSubstr("archive.json"));
  EXPECT_THAT(complaint("[1, 2]"), testing::HasSubstr("not a zonda archive"));
  EXPECT_THAT(complaint(text + "\n"), testing::HasSubstr("damaged"));
}

TEST(Manifest, DeepNestingIsRefusedBeforeTheStackEnds) {
  const std::string deep = std::string(300'000, '[') + std::string(300'000, ']');
  EXPECT_THAT(complaint("{\"format\": \"zonda archive\", \"version\": 1, \"provenance\": " + deep + "}"),
              testing::HasSubstr("nested deeper than 32 levels"));
}

TEST(Manifest, AnUnfinishedArchiveSaysWhatIsMissing) {
  const ScratchFolder folder("unfinished");
  EXPECT_THROW(ArchiveReader{folder.path()}, Error);
  write_file(folder.path() / kPlanName, R"({"units": [{"file": "fields-1.h5"}, {"file": "fields-2.h5"}]})");
  try {
    ArchiveReader reader(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("unfinished"), testing::HasSubstr("2 units"),
                                             testing::HasSubstr("fields-1.h5, fields-2.h5")));
  }
}

TEST(Journal, AnEntryStandsForWholeFilesOnly) {
  const ScratchFolder folder("journal");
  const JournalEntry entry{"fields-1.h5", "abc", {archive_time(0), archive_time(1)}, {4, 0xFFFFFFFF, 7}, 9};
  EXPECT_FALSE(read_journal(folder.path(), entry.file));
  write_journal(folder.path(), entry);
  EXPECT_FALSE(read_journal(folder.path(), entry.file));  // the files are not there
  write_file(folder.path() / "fields-1.h5", "1234");
  write_file(folder.path() / "fields-1.index", "");
  write_file(moments_path(folder.path(), entry.file), "");
  ASSERT_TRUE(read_journal(folder.path(), entry.file));
  EXPECT_EQ(*read_journal(folder.path(), entry.file), entry);
  write_file(folder.path() / "fields-1.h5", "123");
  EXPECT_FALSE(read_journal(folder.path(), entry.file));
}

}  // namespace
}  // namespace zonda::ingest
