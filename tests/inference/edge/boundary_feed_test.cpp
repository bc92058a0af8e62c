#include "inference/edge/feed/boundary_feed.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/forecast_state/boundary_ring.hpp"

namespace zonda::edge {
namespace {

using namespace std::chrono_literals;

BoundaryFeed sample(int width = 2, std::size_t leads = 3) {
  BoundaryFeed feed{Grid::regional(60, 30, 9, 350, 30, 11),
                    {parse_channel("z500"), parse_channel("t850"), parse_channel("sp")},
                    width,
                    parse_time("2019-03-04T06"),
                    Duration(6h),
                    {}};
  for (std::size_t i = 1; i <= leads; ++i) feed.leads.push_back(feed.step * static_cast<std::int64_t>(i));
  feed.region = "europe";
  feed.host = std::string(64, 'a');
  const Philox random(7, "feed");
  const double mean[] = {5.5e4, 280, 1e5}, deviation[] = {900, 12, 400};
  std::uint64_t drawn = 0;
  const auto fill = [&](std::vector<float>& values, std::size_t points) {
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t i = 0; i < points; ++i)
        values.push_back(static_cast<float>(mean[c] + deviation[c] * random.normal(drawn++)));
  };
  fill(feed.previous, feed.grid.size());
  fill(feed.current, feed.grid.size());
  for (std::size_t i = 0; i < leads; ++i) fill(feed.strips, feed.ring());
  return feed;
}

std::string fault_of(std::string_view bytes) {
  try {
    decode_feed(bytes, "a.feed");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
    return error.what();
  }
  return "";
}

/// The same file with another header, checksummed as a writer of such files would.
std::string with_header(const std::string& file, const std::function<void(nlohmann::json&)>& change) {
  std::uint32_t length = 0;
  std::memcpy(&length, file.data() + 8, 4);
  nlohmann::json header = nlohmann::json::parse(file.substr(16, length));
  change(header);
  const std::string text = header.dump();
  const std::uint32_t numbers[] = {static_cast<std::uint32_t>(text.size()),
                                   crc32c(std::as_bytes(std::span(text.data(), text.size())))};
  return file.substr(0, 8) + std::string(reinterpret_cast<const char*>(numbers), 8) + text + file.substr(16 + length);
}

TEST(Ring, IsWhatLiesNearerThanItsWidthToTheEdge) {
  for (const int width : {1, 2, 3}) {
    const auto cells = ring_cells(9, 11, width);
    EXPECT_EQ(cells.size(), ring_size(9, 11, width));
    std::size_t expected = 0;
    for (std::size_t row = 0; row < 9; ++row)
      for (std::size_t column = 0; column < 11; ++column) {
        const std::size_t distance = std::min(std::min(row, 8 - row), std::min(column, 10 - column));
        if (distance >= static_cast<std::size_t>(width)) continue;
        ASSERT_EQ(cells.at(expected++), row * 11 + column);
      }
    EXPECT_EQ(expected, cells.size());
  }
}

TEST(Ring, IsTheModels) {
  const Grid grid = Grid::regional(60, 40, 9, 350, 20, 11);
  for (const int width : {1, 2, 3}) {
    const model::BoundaryRing ring(grid, width);
    const auto cells = ring_cells(grid.nlat(), grid.nlon(), width);
    EXPECT_TRUE(std::ranges::equal(cells, ring.cells())) << width;
  }
}

TEST(BoundaryFeed, ComesBackAsItWasWritten) {
  const BoundaryFeed feed = sample();
  const std::string file = encode_feed(feed);
  EXPECT_EQ(file, encode_feed(feed));
  const BoundaryFeed read = decode_feed(file, "a.feed");
  EXPECT_TRUE(read.grid == feed.grid);
  EXPECT_EQ(read.channels, feed.channels);
  EXPECT_EQ(read.ring_width, 2);
  EXPECT_EQ(read.cycle, feed.cycle);
  EXPECT_EQ(read.step, Duration(6h));
  EXPECT_EQ(read.leads, feed.leads);
  EXPECT_EQ(read.previous, feed.previous);
  EXPECT_EQ(read.current, feed.current);
  EXPECT_EQ(read.strips, feed.strips);
  EXPECT_EQ(read.region, "europe");
  EXPECT_EQ(read.host, feed.host);
  EXPECT_EQ(to_string(read.reach()), "2019-03-05T00:00:00Z");
  EXPECT_EQ(read.strip(1).size(), 3 * read.ring());
  EXPECT_EQ(read.strip(1)[0], feed.strips[3 * feed.ring()]);
}

TEST(BoundaryFeed, RoundingStaysWithinItsPrecisionAndMakesFilesSmaller) {
  const BoundaryFeed exact = sample();
  BoundaryFeed rounded = exact;
  const double precision = 0.01;
  round_feed(rounded, precision);
  const std::size_t points = exact.grid.size();
  for (std::size_t c = 0; c < 3; ++c) {
    double mean = 0, square = 0, worst = 0;
    for (std::size_t i = 0; i < points; ++i) mean += exact.current[c * points + i] / static_cast<double>(points);
    for (std::size_t i = 0; i < points; ++i) {
      square += std::pow(exact.current[c * points + i] - mean, 2);
      worst = std::max<double>(worst, std::abs(rounded.current[c * points + i] - exact.current[c * points + i]));
      worst = std::max<double>(worst, std::abs(rounded.previous[c * points + i] - exact.previous[c * points + i]));
    }
    EXPECT_LE(worst, 0.5 * precision * std::sqrt(square / static_cast<double>(points)) * 1.0001);
    EXPECT_GT(worst, 0);
  }
  EXPECT_LT(encode_feed(rounded).size(), encode_feed(exact).size() * 3 / 4);  // of white noise
  BoundaryFeed again = rounded;
  round_feed(again, precision);
  EXPECT_EQ(again.current, rounded.current);
}

TEST(BoundaryFeed, RefusesWhatDoesNotFit) {
  for (const auto& change : std::vector<std::function<void(BoundaryFeed&)>>{
           [](BoundaryFeed& f) { f.current.pop_back(); }, [](BoundaryFeed& f) { f.strips.push_back(0); },
           [](BoundaryFeed& f) { f.leads[1] += 1h; }, [](BoundaryFeed& f) { f.ring_width = 5; },
           [](BoundaryFeed& f) { f.step = Duration{0}; },
           [](BoundaryFeed& f) { f.grid = Grid::latlon(9, 11, true); }}) {
    BoundaryFeed feed = sample();
    change(feed);
    EXPECT_THROW(encode_feed(feed), Error);
  }
  BoundaryFeed feed = sample();
  feed.current[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(encode_feed(feed), Error);
}

TEST(BoundaryFeed, EveryDamagedByteIsSeen) {
  const std::string file = encode_feed(sample(1, 1));
  for (std::size_t i = 0; i < file.size(); ++i) {
    std::string damaged = file;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x20);
    ASSERT_NE(fault_of(damaged), "") << "byte " << i;
  }
  for (const std::size_t size : {0ul, 7ul, 12ul, 15ul, 100ul, file.size() - 1})
    EXPECT_NE(fault_of(std::string_view(file).substr(0, size)), "") << size;
  EXPECT_NE(fault_of(file + "x"), "");
}

TEST(BoundaryFeed, HostileHeadersAreRefusedBeforeMemoryIsGiven) {
  const std::string file = encode_feed(sample());
  const auto fault = [&](const std::function<void(nlohmann::json&)>& change) {
    return fault_of(with_header(file, change));
  };
  EXPECT_EQ(fault([](nlohmann::json&) {}), "");
  EXPECT_NE(fault([](auto& h) { h["grid"] = "regional 60..30x2000 350..30x2000"; }).find("not of its shape"),
            std::string::npos);
  EXPECT_NE(fault([](auto& h) { h["grid"] = "regional 60..30x9000 350..30x9000"; }).find("points"), std::string::npos);
  EXPECT_NE(fault([](auto& h) { h["grid"] = "gaussian 100000x4"; }).find("regional"), std::string::npos);
  EXPECT_NE(fault([](auto& h) { h["grid"] = "regional"; }), "");
  EXPECT_NE(fault([](auto& h) { h["channels"] = nlohmann::json::array(); }), "");
  EXPECT_NE(fault([](auto& h) { h["channels"][0] = "nonsense"; }), "");
  EXPECT_NE(fault([](auto& h) { h["leads"].push_back("24h"); }), "");
  EXPECT_NE(fault([](auto& h) { h["blocks"][0]["bytes"] = -1; }), "");
  EXPECT_NE(fault([](auto& h) { h["blocks"][0]["bytes"] = 1e300; }), "");
  EXPECT_NE(fault([](auto& h) { h["blocks"][0]["bytes"] = UINT64_MAX; }), "");
  EXPECT_NE(fault([](auto& h) { h["ring_width"] = 60000; }), "");
  EXPECT_NE(fault([](auto& h) { h["schema"] = "zonda.feed.9"; }).find("zonda.feed.1"), std::string::npos);
  EXPECT_NE(fault([](auto& h) { h.erase("step"); }).find("step"), std::string::npos);
}

}  // namespace
}  // namespace zonda::edge
