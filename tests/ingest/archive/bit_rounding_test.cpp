#include "ingest/archive/bit_rounding.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "core/error.hpp"
#include "core/philox.hpp"

namespace zonda::ingest {
namespace {

float rounded(float value, int bits) {
  round_mantissa(std::span(&value, 1), bits);
  return value;
}

TEST(BitRounding, KeepsTheBoundAndTheBits) {
  const Philox random(1, "bit rounding");
  for (const int bits : {1, 5, 10, 13, 22, 23}) {
    std::vector<float> values(5000);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(random.normal(i) * std::exp2(40 * (random.uniform(i) - 0.5)));
    }
    const std::vector<float> before = values;
    round_mantissa(values, bits);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_LE(std::abs(values[i] - before[i]), std::abs(before[i]) * std::exp2(-(bits + 1))) << before[i];
      ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]) & ((1U << (23 - bits)) - 1U), 0U);
    }
    std::vector<float> again = values;
    round_mantissa(again, bits);
    EXPECT_EQ(again, values);
  }
}

TEST(BitRounding, TiesGoToEven) {
  EXPECT_EQ(rounded(1.25F, 1), 1.0F);
  EXPECT_EQ(rounded(1.75F, 1), 2.0F);
  EXPECT_EQ(rounded(-1.25F, 1), -1.0F);
  EXPECT_EQ(rounded(1.26F, 1), 1.5F);
}

TEST(BitRounding, LeavesSpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(rounded(infinity, 3), infinity);
  EXPECT_EQ(rounded(-infinity, 3), -infinity);
  EXPECT_TRUE(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN(), 3)));
  EXPECT_TRUE(std::isfinite(rounded(std::numeric_limits<float>::max(), 3)));
  EXPECT_EQ(std::bit_cast<std::uint32_t>(rounded(-0.0F, 3)), 0x80000000U);
}

TEST(BitRounding, RefusesOtherNumbersOfBits) {
  EXPECT_THROW(rounded(1, 0), Error);
  EXPECT_THROW(rounded(1, 24), Error);
}

}  // namespace
}  // namespace zonda::ingest
