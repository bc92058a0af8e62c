#include "core/philox.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace zonda {
namespace {

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;

TEST(Philox, gives_the_published_numbers) {
  // Random123's known answers for philox4x32, 10 rounds (Salmon et al. 2011).
  EXPECT_EQ(philox4x32(Counter{0, 0, 0, 0}, Key{0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32(Counter{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, Key{0xffffffff, 0xffffffff}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32(Counter{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, Key{0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, streams_are_apart) {
  const Philox a(1, "noise"), b(1, "sampler"), c(2, "noise"), same(1, "noise");
  EXPECT_EQ(a.bits(5), same.bits(5));
  EXPECT_NE(a.bits(5), b.bits(5));
  EXPECT_NE(a.bits(5), c.bits(5));
  EXPECT_NE(a.bits(5), a.bits(6));
  EXPECT_NE(a.bits(5), a.bits(5 + (std::uint64_t{1} << 32)));
  EXPECT_NE(Philox(std::uint64_t{1} << 32, "noise").bits(0), Philox(0, "noise").bits(0));
}

TEST(Philox, has_the_moments_of_its_distributions) {
  const Philox random(42, "moments");
  constexpr int n = 200'000;
  double sum = 0, square = 0, normal_sum = 0, normal_square = 0, normal_fourth = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    const double u = random.uniform(i), g = random.normal(i);
    ASSERT_GT(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    square += u * u;
    normal_sum += g;
    normal_square += g * g;
    normal_fourth += g * g * g * g;
  }
  const double error = 4 / std::sqrt(static_cast<double>(n));  // four standard errors and more
  EXPECT_NEAR(sum / n, 0.5, error);
  EXPECT_NEAR(square / n, 1.0 / 3, error);
  EXPECT_NEAR(normal_sum / n, 0, error);
  EXPECT_NEAR(normal_square / n, 1, 2 * error);
  EXPECT_NEAR(normal_fourth / n, 3, 12 * error);
}

TEST(Philox, integers_fill_their_range_evenly) {
  const Philox random(3, "integers");
  std::array<int, 7> count{};
  constexpr int n = 70'000;
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::uint64_t x = random.integer(i, 7);
    ASSERT_LT(x, 7U);
    ++count[x];
  }
  for (const int c : count) EXPECT_NEAR(c, n / 7, 400);
  EXPECT_EQ(random.integer(9, 1), 0U);
}

}  // namespace
}  // namespace zonda
