#include "parallel/partition.hpp"

#include <gtest/gtest.h>

namespace zonda::parallel {
namespace {

TEST(Partition, is_contiguous_balanced_and_knows_its_owners) {
  for (std::size_t n = 0; n < 40; ++n) {
    for (std::size_t parts = 1; parts < 12; ++parts) {
      std::size_t next = 0;
      for (std::size_t part = 0; part < parts; ++part) {
        const Range range = partition(n, parts, part);
        EXPECT_EQ(range.begin, next);
        EXPECT_EQ(range.size(), n / parts + (part < n % parts ? 1 : 0));
        for (std::size_t i = range.begin; i < range.end; ++i) EXPECT_EQ(owner(n, parts, i), part);
        next = range.end;
      }
      EXPECT_EQ(next, n);
    }
  }
}

TEST(Partition, works_near_the_largest_numbers) {
  const std::size_t n = std::size_t{1} << 50;
  EXPECT_EQ(partition(n, 3, 2).end, n);
  EXPECT_EQ(owner(n, 3, n - 1), 2U);
  EXPECT_EQ(owner(n, 3, 0), 0U);
}

}  // namespace
}  // namespace zonda::parallel
