#include "assimilation/cycling/state_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

const Time noon = parse_time("2000-01-01T12");

class StateFile : public testing::Test {
 protected:
  void SetUp() override { write_state(path_, {"abc", noon, "member 0"}, state_); }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string refusal(const std::string& identity, Time time, std::size_t size) const {
    try {
      read_state(path_, identity, time, size);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "read";
  }
  const Vector state_{1.0, -2.5, 1e-300, 3.0};
  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("zonda_" + std::to_string(getpid()) + ".state");
};

TEST_F(StateFile, GivesTheSameNumbersBack) {
  EXPECT_EQ(read_state(path_, "abc", noon, 4), state_);
}

TEST_F(StateFile, RefusesWhatDoesNotFit) {
  EXPECT_THAT(refusal("abd", noon, 4), testing::HasSubstr("another model, normalisation or grid"));
  EXPECT_THAT(refusal("abc", noon + std::chrono::hours(6), 4), testing::HasSubstr("expected 2000-01-01T18:00:00Z"));
  EXPECT_THAT(refusal("abc", noon, 5), testing::HasSubstr("expected 5"));
}

TEST_F(StateFile, RefusesDamage) {
  const std::string text = read_file(path_);
  std::string flipped = text;
  flipped[text.size() - 3] = static_cast<char>(flipped[text.size() - 3] ^ 1);
  write_file(path_, flipped);
  EXPECT_THAT(refusal("abc", noon, 4), testing::HasSubstr("checksum"));
  write_file(path_, text.substr(0, text.size() - 8));
  EXPECT_NE(refusal("abc", noon, 4), "read");
  write_file(path_, "nothing of the kind");
  EXPECT_THAT(refusal("abc", noon, 4), testing::HasSubstr("no state"));
}

}  // namespace
}  // namespace zonda::assimilation
