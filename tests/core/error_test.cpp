#include "core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace zonda {
namespace {

using testing::HasSubstr;

TEST(Error, kind_is_the_exit_code) {
  EXPECT_EQ(Error(ErrorKind::failure, "").exit_code(), 1);
  EXPECT_EQ(Error(ErrorKind::usage, "").exit_code(), 2);
  EXPECT_EQ(Error(ErrorKind::data, "").exit_code(), 3);
  EXPECT_EQ(Error(ErrorKind::numerical, "").exit_code(), 4);
  EXPECT_EQ(Error(ErrorKind::temporary, "").exit_code(), 75);
  EXPECT_EQ(Interrupted(15, "").exit_code(), 143);
  EXPECT_EQ(Interrupted(2, "").exit_code(), 130);
}

TEST(Error, fail_formats_its_message) {
  try {
    fail(ErrorKind::data, "{} of {}", 3, "z500");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "3 of z500");
    EXPECT_EQ(error.kind(), ErrorKind::data);
  }
}

TEST(NearestWord, finds_typing_errors) {
  const std::vector<std::string> known{"learning_rate", "steps", "batch", "warmup"};
  EXPECT_EQ(nearest_word("learning_rat", known), "learning_rate");    // missing
  EXPECT_EQ(nearest_word("learningg_rate", known), "learning_rate");  // too many
  EXPECT_EQ(nearest_word("laerning_rate", known), "learning_rate");   // swapped
  EXPECT_EQ(nearest_word("learning-rate", known), "learning_rate");   // replaced
  EXPECT_EQ(nearest_word("step", known), "steps");
  EXPECT_EQ(nearest_word("bathc", known), "batch");
}

TEST(NearestWord, keeps_silent_where_nothing_is_near) {
  const std::vector<std::string> known{"learning_rate", "steps", "batch"};
  EXPECT_EQ(nearest_word("colour", known), "");
  EXPECT_EQ(nearest_word("", known), "");
  EXPECT_EQ(nearest_word(std::string(10'000, 'x'), known), "");
  EXPECT_EQ(nearest_word("steps", {}), "");
}

TEST(UnknownWord, proposes_and_lists) {
  const std::vector<std::string> known{"netcdf", "grib", "zarr"};
  const std::string message = unknown_word("source", "netcd", known);
  EXPECT_THAT(message, HasSubstr("unknown source 'netcd'"));
  EXPECT_THAT(message, HasSubstr("did you mean 'netcdf'?"));
  EXPECT_THAT(message, HasSubstr("netcdf, grib, zarr"));
  EXPECT_THAT(unknown_word("source", "xyzzyx", known), testing::Not(HasSubstr("did you mean")));
}

}  // namespace
}  // namespace zonda
