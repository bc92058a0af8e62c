#include "ingest/archive/chunk_codec.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "core/philox.hpp"
#include "ingest/archive/tiling.hpp"

namespace zonda::ingest {
namespace {

std::vector<float> noise(std::size_t n) {
  const Philox random(3, "chunk codec");
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(random.normal(i));
  return values;
}

TEST(ChunkCodec, ShuffleIsHdf5sLayout) {
  const std::vector<float> values = noise(1003);
  std::vector<std::byte> planes(values.size() * 4);
  // In two parts, as rows of different channels come.
  shuffle(std::span(values).first(300), 0, values.size(), planes);
  shuffle(std::span(values).subspan(300), 300, values.size(), planes);
  std::vector<std::byte> bytes(planes.size());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t k = 0; k < 4; ++k) ASSERT_EQ(planes[k * values.size() + i], bytes[4 * i + k]);
  }
  std::vector<float> part(500);
  unshuffle(planes, 201, values.size(), part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), values.begin() + 201));
}

TEST(ChunkCodec, FramesComeBackOrAreRefused) {
  std::vector<std::byte> data(100000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i % 251 / 7);
  const std::vector<std::byte> frame = zstd_compress(data, 1);
  EXPECT_LT(frame.size(), data.size() / 4);
  std::vector<std::byte> back(data.size());
  ASSERT_TRUE(zstd_decompress(frame, back));
  EXPECT_EQ(back, data);

  std::vector<std::byte> other_size(data.size() - 1);
  EXPECT_FALSE(zstd_decompress(frame, other_size));
  EXPECT_FALSE(zstd_decompress(std::span(frame).first(frame.size() - 1), back));
  EXPECT_FALSE(zstd_decompress(std::span(frame).first(3), back));
  EXPECT_FALSE(zstd_decompress({}, back));
}

TEST(Tiling, CoversTheGrid) {
  for (const std::size_t channels : {1UL, 5UL, 69UL}) {
    for (const auto& [nlat, nlon] : {std::pair{1UL, 7UL}, {48UL, 96UL}, {721UL, 1440UL}}) {
      for (const std::size_t rows : {0UL, 5UL, 10000UL}) {
        const Tiling tiling = Tiling::choose(channels, nlat, nlon, rows);
        EXPECT_EQ(tiling.first_row(0), 0U);
        EXPECT_EQ(tiling.end_row(tiling.tiles() - 1), nlat);
        EXPECT_LT(tiling.first_row(tiling.tiles() - 1), nlat);
        EXPECT_EQ(tiling.end_channel(tiling.groups() - 1), channels);
        EXPECT_LT(tiling.first_channel(tiling.groups() - 1), channels);
      }
    }
  }
  const Tiling quarter_degree = Tiling::choose(69, 721, 1440);
  EXPECT_EQ(quarter_degree.tile_rows, 16U);
  EXPECT_LE(quarter_degree.chunk_elements() * sizeof(float), 1U << 20);
}

}  // namespace
}  // namespace zonda::ingest
