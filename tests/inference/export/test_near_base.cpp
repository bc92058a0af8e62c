// Releases that are made with their predecessor in mind.
#include "inference/export/near_base.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "edge_sample.hpp"
#include "inference/bundle/bundle.hpp"
#include "inference/edge/delta/bundle_delta.hpp"
#include "inference/export/export_bundle.hpp"

namespace zonda::inference {
namespace {

namespace fs = std::filesystem;

double relative(double a, double b) {
  return std::abs(a - b) / std::abs(b);
}

TEST(NearBase, AnInt8NumberStaysWithinSixTenthsOfAStep) {
  constexpr std::size_t rows = 97, columns = 5;
  const Philox random(3, "weights");
  std::vector<float> before(rows * columns), after(before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    before[i] = static_cast<float>(random.normal(i));
    after[i] = before[i] * static_cast<float>(1 + 1e-3 * random.normal(1000 + i));
  }
  after[4] = 9;  // a column that has outgrown its scale
  const auto quantised = [&](const std::vector<float>& w, std::vector<float>& scales) {
    std::vector<std::int8_t> numbers(w.size());
    for (std::size_t c = 0; c < columns; ++c) {
      float largest = 0;
      for (std::size_t r = 0; r < rows; ++r) largest = std::max(largest, std::abs(w[r * columns + c]));
      scales[c] = largest / 127;
      for (std::size_t r = 0; r < rows; ++r)
        numbers[r * columns + c] = static_cast<std::int8_t>(std::nearbyint(w[r * columns + c] / scales[c]));
    }
    return numbers;
  };
  std::vector<float> old_scales(columns), scales(columns);
  const auto old = quantised(before, old_scales), own = quantised(after, scales);
  auto numbers = own;
  auto kept = scales;
  keep_near(after, old, old_scales, numbers, kept);
  std::size_t changed = 0, changed_without = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_LE(std::abs(after[i] / kept[i % columns] - numbers[i]), 0.6001) << i;
    if (i % columns == 4) continue;
    changed += numbers[i] != old[i];
    changed_without += own[i] != old[i];
  }
  EXPECT_LT(3 * changed, changed_without);
  EXPECT_EQ(kept[4], scales[4]);  // its own
  EXPECT_EQ(kept[0], old_scales[0]);
}

TEST(NearBase, NumbersInF32KeepTwelveBitsOfTheirChange) {
  const Philox random(4, "vector");
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const auto old = static_cast<float>(random.normal(i)),
               exact = old * static_cast<float>(1 + random.normal(i + 5000));
    EXPECT_LE(relative(keep_near(exact, old), exact), 1.0 / 8192) << old << ' ' << exact;
  }
  EXPECT_EQ(keep_near(1.0F, 1.0F), 1.0F);
  EXPECT_EQ(keep_near(0.0F, 1e-3F), 0.0F);
  EXPECT_EQ(keep_near(-2.0F, 2.0F), -2.0F);
  EXPECT_TRUE(std::isinf(keep_near(HUGE_VALF, 1.0F)));
}

TEST(NearBase, ANumberInBf16StaysWithinSixTenthsOfAStep) {
  const model::BFloat16 old(1.0F);
  EXPECT_EQ(keep_near(1.0F + 0.55F / 128, old).bits, old.bits);
  EXPECT_EQ(static_cast<float>(keep_near(1.0F + 0.65F / 128, old)), 1.0F + 1.0F / 128);
  EXPECT_EQ(static_cast<float>(keep_near(1.5F, old)), 1.5F);
}

TEST(NearBase, AModelThatNearnessMakesWorseIsRefused) {
  const std::vector<float> exact{1, 2, 3}, plain{1.1F, 2.1F, 3.1F}, near{1.11F, 2.1F, 3.1F}, far{1.2F, 2.1F, 3.1F};
  EXPECT_NO_THROW(require_as_skilful(exact, plain, near));
  EXPECT_THROW(require_as_skilful(exact, plain, far), Error);
  EXPECT_THROW(require_as_skilful(exact, plain, std::vector<float>{NAN, 2, 3}), Error);
}

/// The sample model, each weight times a normal factor of 1 +- 1e-3.
void write_moved_model(const fs::path& path) {
  write_sample_model(path, {}, [](model::ParameterStore& store) {
    for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
      const Philox noise(11, store.at(id).name);
      std::uint64_t i = 0;
      for (float& value : store.value(id).span<float>()) value *= static_cast<float>(1 + 1e-3 * noise.normal(i++));
    }
  });
}

TEST(NearBase, AReleaseNearItsBaseIsASmallDifferenceFromIt) {
  const fs::path folder = fresh_folder();
  write_sample_model(folder / "model");
  write_moved_model(folder / "moved");
  ExportConfig config{.model = folder / "model", .to = folder / "base", .precision = "int8"};
  const Exported base = export_bundle(config);
  config.model = folder / "moved";
  config.to = folder / "plain";
  export_bundle(config);
  config.base = folder / "base";
  config.to = folder / "near";
  const Exported near = export_bundle(config);
  EXPECT_THAT(near.manifest.parents, ::testing::ElementsAre(base.identity));
  const auto plain = edge::write_delta(folder / "base", folder / "plain", folder / "plain.zdelta");
  const auto small = edge::write_delta(folder / "base", folder / "near", folder / "near.zdelta");
  std::printf("plain %zu, near %zu of %zu bytes\n", std::size_t(plain.bytes), std::size_t(small.bytes),
              std::size_t(small.bundle_bytes));
  EXPECT_LT(static_cast<double>(small.bytes), 0.75 * static_cast<double>(plain.bytes));
  EXPECT_LT(static_cast<double>(small.bytes), 0.06 * static_cast<double>(small.bundle_bytes));
  EXPECT_EQ(edge::apply_delta(folder / "base", folder / "near.zdelta", folder / "made"), near.identity);
  // The same words give the same bytes.
  config.to = folder / "again";
  EXPECT_EQ(export_bundle(config).identity, near.identity);
}

TEST(NearBase, ABaseIsForInt8) {
  const fs::path folder = fresh_folder();
  write_sample_model(folder / "model");
  export_bundle({.model = folder / "model", .to = folder / "base", .precision = "int8"});
  EXPECT_THROW(export_bundle({.model = folder / "model", .to = folder / "next", .base = folder / "base"}), Error);
}

}  // namespace
}  // namespace zonda::inference
