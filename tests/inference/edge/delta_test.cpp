#include <gtest/gtest.h>

#include <cmath>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "inference/bundle/bundle.hpp"
#include "inference/edge/delta/bundle_delta.hpp"
#include "tests/inference/edge/edge_bundle.hpp"

namespace zonda::edge {
namespace {

namespace fs = std::filesystem;

class Delta : public ::testing::Test {
 protected:
  fs::path folder = inference::fresh_folder("");
  fs::path at(const char* name) const { return folder / name; }
  ~Delta() override { fs::remove_all(folder); }
};

TEST_F(Delta, GivesEveryByteOfTheOtherBundle) {
  testing::write_edge_bundle(at("base"), {.matrices = 3});
  testing::write_edge_bundle(at("next"), {.matrices = 4, .change = 0.02, .version = "1.1"});
  const DeltaSummary summary = write_delta(at("base"), at("next"), at("a.zdelta"));
  EXPECT_EQ(apply_delta(at("base"), at("a.zdelta"), at("made")), summary.target);
  for (const auto& entry : fs::directory_iterator(at("next")))
    EXPECT_EQ(read_file(entry.path()), read_file(at("made") / entry.path().filename())) << entry.path();
  // Back again, and to itself.
  write_delta(at("next"), at("base"), at("b.zdelta"));
  EXPECT_EQ(apply_delta(at("next"), at("b.zdelta"), at("made")), summary.base);
  const DeltaSummary same = write_delta(at("base"), at("base"), at("c.zdelta"));
  EXPECT_EQ(same.other_tensors, 0u);
  EXPECT_EQ(apply_delta(at("base"), at("c.zdelta"), at("made")), summary.base);
}

TEST_F(Delta, OfAThousandthsChangeIsAtMostSixPercentOfAnInt8Bundle) {
  testing::write_edge_bundle(at("base"), {.matrices = 8, .rows = 512, .columns = 512});
  testing::write_edge_bundle(at("next"), {.matrices = 8, .rows = 512, .columns = 512, .change = 1e-3});
  const DeltaSummary summary = write_delta(at("base"), at("next"), at("a.zdelta"));
  const double part = static_cast<double>(summary.bytes) / static_cast<double>(summary.bundle_bytes);
  RecordProperty("percent", std::to_string(100 * part));
  std::printf("delta: %lu of %lu bytes, %.2f %%\n", summary.bytes, summary.bundle_bytes, 100 * part);
  EXPECT_LE(part, 0.06);
  EXPECT_EQ(apply_delta(at("base"), at("a.zdelta"), at("made")), summary.target);
}

TEST_F(Delta, OfAdaptersAloneCarriesAdaptersAlone) {
  testing::write_edge_bundle(at("base"), {.matrices = 8, .rows = 256, .columns = 256});
  testing::write_edge_bundle(at("next"), {.matrices = 8, .rows = 256, .columns = 256, .adapter = 7});
  const DeltaSummary summary = write_delta(at("base"), at("next"), at("a.zdelta"));
  EXPECT_EQ(summary.other_tensors, 1u);
  EXPECT_LT(summary.bytes, 256 * 4 * sizeof(float) + 4096);
  EXPECT_EQ(apply_delta(at("base"), at("a.zdelta"), at("made")), summary.target);
}

TEST_F(Delta, IsRefusedWhereItIsDamagedOrForAnotherBase) {
  testing::write_edge_bundle(at("base"), {});
  testing::write_edge_bundle(at("next"), {.change = 0.01});
  write_delta(at("base"), at("next"), at("a.zdelta"));
  EXPECT_THROW(apply_delta(at("next"), at("a.zdelta"), at("made")), Error);
  const std::string bytes = read_file(at("a.zdelta"));
  const auto refused = [&](const std::string& damaged) {
    write_file(at("b.zdelta"), damaged);
    try {
      apply_delta(at("base"), at("b.zdelta"), at("made"));
    } catch (const Error& error) {
      return error.kind() == ErrorKind::data && !fs::exists(at("made"));
    }
    return false;
  };
  for (std::size_t i = 0; i < bytes.size(); i += 1 + bytes.size() / 97) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    EXPECT_TRUE(refused(damaged)) << i;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{9}, bytes.size() / 2, bytes.size() - 1})
    EXPECT_TRUE(refused(bytes.substr(0, size))) << size;
}

}  // namespace
}  // namespace zonda::edge
