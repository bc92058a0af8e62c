// Every kernel of int8 products that this machine has gives the integers that they are.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/ops/cpu/int8/int8_product.hpp"

namespace zonda::model::int8 {
namespace {

struct Sizes {
  std::int64_t rows, n, k;
};

using Numbers = std::vector<std::int8_t>;

class Int8Kernels : public testing::TestWithParam<Sizes> {
 protected:
  /// Sums [rows, n] by a kernel, panel after panel.
  static std::vector<std::int32_t> product(const Kernel& kernel, const Sizes& s, const Numbers& a, const Numbers& b) {
    const std::int64_t full = filled_up(s.k);
    Numbers filled(static_cast<std::size_t>(s.rows * full));
    for (std::int64_t i = 0; i < s.rows; ++i) std::copy_n(a.begin() + i * s.k, s.k, filled.begin() + i * full);
    std::vector<std::byte> left(static_cast<std::size_t>(s.rows * full * kernel.left_bytes)),
        panel(static_cast<std::size_t>(full * kPanel * kernel.right_bytes));
    std::vector<std::int32_t> offsets(kPanel), sums(static_cast<std::size_t>(s.rows * kPanel)),
        all(static_cast<std::size_t>(s.rows * s.n));
    kernel.pack_left(filled.data(), s.rows, s.k, left.data());
    for (std::int64_t column = 0; column < s.n; column += kPanel) {
      const std::int64_t columns = std::min(kPanel, s.n - column);
      kernel.pack_right(b.data() + column, s.n, columns, s.k, panel.data(), offsets.data());
      kernel.product(left.data(), panel.data(), offsets.data(), s.rows, full, sums.data());
      for (std::int64_t i = 0; i < s.rows; ++i)
        std::copy_n(sums.begin() + i * kPanel, columns, all.begin() + i * s.n + column);
    }
    return all;
  }

  static void expect_exact(const Sizes& s, const Numbers& a, const Numbers& b) {
    std::vector<std::int32_t> exact(static_cast<std::size_t>(s.rows * s.n));
    for (std::int64_t i = 0; i < s.rows; ++i)
      for (std::int64_t l = 0; l < s.k; ++l)
        for (std::int64_t j = 0; j < s.n; ++j)
          exact[static_cast<std::size_t>(i * s.n + j)] +=
              std::int32_t{a[static_cast<std::size_t>(i * s.k + l)]} * b[static_cast<std::size_t>(l * s.n + j)];
    for (const Kernel& kernel : kernels()) EXPECT_EQ(product(kernel, s, a, b), exact) << kernel.name;
  }
};

TEST_P(Int8Kernels, AreExactForAnyNumbers) {
  const Sizes s = GetParam();
  const Philox random(7, "int8");
  Numbers a(static_cast<std::size_t>(s.rows * s.k)), b(static_cast<std::size_t>(s.k * s.n));
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<std::int8_t>(random.uniform(i) * 255 - 127);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<std::int8_t>(random.uniform(a.size() + i) * 256 - 128);
  expect_exact(s, a, b);
}

/// Where sums of two or four products would not fit 16 bits.
TEST_P(Int8Kernels, AreExactAtTheEndsOfTheRange) {
  const Sizes s = GetParam();
  const std::int8_t ends[][2] = {{127, 127}, {127, -128}, {-127, -128}, {-127, 127}};
  for (const auto& [left, right] : ends)
    expect_exact(s, Numbers(static_cast<std::size_t>(s.rows * s.k), left),
                 Numbers(static_cast<std::size_t>(s.k * s.n), right));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Int8Kernels,
                         testing::Values(Sizes{1, 1, 1}, Sizes{2, 64, 8}, Sizes{7, 65, 9}, Sizes{13, 130, 33},
                                         Sizes{48, 192, 64}, Sizes{50, 63, 515}));

TEST(Int8KernelChoice, TheFirstIsPortableAndNamesAreUnique) {
  ASSERT_EQ(kernels().front().name, "portable");
  for (std::size_t i = 0; i < kernels().size(); ++i)
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(kernels()[i].name, kernels()[j].name);
}

TEST(Int8KernelChoice, AnUnknownNameIsRefusedWithTheKnownOnes) {
  for (const Kernel& kernel : kernels()) EXPECT_EQ(kernel_named(kernel.name).name, kernel.name);
  try {
    (void)kernel_named("portabel");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("portable"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace zonda::model::int8
