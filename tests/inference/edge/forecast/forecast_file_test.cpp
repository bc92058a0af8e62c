#include "inference/edge/forecast/forecast_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <limits>

#include "analytic_forecast.hpp"
#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::edge {
namespace {

class ForecastFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("zonda_forecast_file_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    path_ = folder_ / "run.zfc";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string refusal(const std::string& bytes) {
    try {
      const auto owner = std::make_shared<const std::string>(bytes);
      // Aligned as a mapping is.
      auto memory = std::make_shared<std::vector<float>>(bytes.size() / sizeof(float) + 1);
      std::memcpy(memory->data(), bytes.data(), bytes.size());
      parse_forecast(std::as_bytes(std::span(*memory)).first(bytes.size()), memory, "run.zfc");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "";
  }
  /// The file with its header changed and its checksum made to fit.
  std::string with_header(const std::string& from, const std::string& to) {
    const std::string bytes = read_file(path_);
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data() + 8, 4);
    std::string header = bytes.substr(16, length);
    const auto at = header.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    header.replace(at, from.size(), to);
    const auto size = static_cast<std::uint32_t>(header.size());
    const std::uint32_t checksum = crc32c(std::as_bytes(std::span(header)));
    std::string changed = bytes.substr(0, 8);
    changed.append(reinterpret_cast<const char*>(&size), 4).append(reinterpret_cast<const char*>(&checksum), 4);
    changed += header;
    const auto align = [](std::size_t n) { return (n + 4095) / 4096 * 4096; };
    changed.resize(align(changed.size()), '\0');
    return changed + bytes.substr(align(16 + length));
  }
  std::filesystem::path folder_, path_;
};

TEST_F(ForecastFile, ReadsBackWhatWasWritten) {
  const RegionalForecast written = test::analytic_forecast();
  write_forecast(written, path_);
  const RegionalForecast read = open_forecast(path_);
  EXPECT_EQ(read.grid, written.grid);
  EXPECT_EQ(read.channels, written.channels);
  EXPECT_EQ(read.initial, written.initial);
  EXPECT_EQ(read.leads, written.leads);
  EXPECT_EQ(read.model, written.model);
  EXPECT_EQ(read.feed, written.feed);
  EXPECT_EQ(read.level, written.level);
  EXPECT_EQ(read.level_skill, written.level_skill);
  EXPECT_EQ(read.computed, written.computed);
  EXPECT_TRUE(std::ranges::equal(read.values.span(), written.values.span()));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(read.values.span().data()) % 4096, 0u);
}

TEST_F(ForecastFile, StaysReadableWhenReplaced) {
  write_forecast(test::analytic_forecast(), path_);
  const RegionalForecast first = open_forecast(path_);
  const float value = first.values.span()[7];
  write_forecast(test::analytic_forecast({"2t"}), path_);
  EXPECT_EQ(first.values.span()[7], value);
  EXPECT_EQ(open_forecast(path_).channels.size(), 1u);
  std::filesystem::remove(path_);
  EXPECT_EQ(first.values.span()[7], value);
}

TEST_F(ForecastFile, EveryChangedByteIsSeen) {
  write_forecast(test::analytic_forecast({"2t"}, Grid::regional(50, 49, 2, 0, 1, 2), 2), path_);
  const std::string whole = read_file(path_);
  for (std::size_t at = 0; at < whole.size(); at = at < 900 || at >= 4090 ? at + 1 : at + 97) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_NE(refusal(damaged), "") << "byte " << at;
  }
  for (const std::size_t length : {std::size_t{0}, std::size_t{5}, std::size_t{16}, std::size_t{100}, whole.size() - 1})
    EXPECT_NE(refusal(whole.substr(0, length)), "") << length;
  EXPECT_NE(refusal(whole + '\0'), "");
}

TEST_F(ForecastFile, ForgedHeadersAreRefusedWithTheReason) {
  write_forecast(test::analytic_forecast({"2t"}, Grid::regional(50, 49, 2, 0, 1, 2), 2), path_);
  const struct {
    std::string from, to, says;
  } cases[] = {
      {R"("leads_s":[0,21600])", R"("leads_s":[21600,0])", "do not ascend"},
      {R"("leads_s":[0,21600])", R"("leads_s":[0,21600,43200])", "expected 48 for 3 leads"},
      {R"("leads_s":[0,21600])", R"("leads_s":[])", "expected 0"},
      {R"("leads_s":[0,21600])", R"("leads_s":[-1,21600])", "from 0 to 34560000"},
      {R"(["2t"])", R"(["3t"])", "channel"},
      {R"(["2t"])", R"(["2t","2t"])", "expected 64"},
      {R"("level":1)", R"("level":-1)", "from 0 to 1000"},
      {R"("level":1)", R"("level":18446744073709551615)", "from 0 to 1000"},
      {R"("level":1)", R"("level":1,"more":2)", "unknown member 'more'"},
      {R"("latitudes":[50.0,49.0])", R"("latitudes":[49.0,50.0])", "northernmost first"},
      {R"("latitudes":[50.0,49.0])", R"("latitudes":[50.0,50.0])", "monotone"},
      {R"("latitudes":[50.0,49.0])", R"("latitudes":["x",49.0])", "numbers"},
      {R"("initial":"2026-01-10T06:00:00Z")", R"("initial":"soon")", "initial"},
      {R"("model":"europe 3")", R"("model":3)", "text"},
      {R"("type":"float32")", R"("type":"float64")", "float32"},
      {R"("format":)", R"("shape":)", "unknown member 'shape'"},
  };
  for (const auto& c : cases)
    EXPECT_NE(refusal(with_header(c.from, c.to)).find(c.says), std::string::npos)
        << c.to << ": " << refusal(with_header(c.from, c.to));
}

TEST_F(ForecastFile, ValuesThatAreNotFiniteAreNotWritten) {
  RegionalForecast forecast = test::analytic_forecast({"2t", "msl"});
  std::vector<float> values(forecast.values.span().begin(), forecast.values.span().end());
  values[forecast.grid.size() + 3] = std::numeric_limits<float>::quiet_NaN();
  forecast.values = ForecastValues(values);
  try {
    write_forecast(forecast, path_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerical);
    EXPECT_NE(std::string(error.what()).find("msl at lead 0h"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ForecastFile, MissingFileAndFolderAreData) {
  EXPECT_THROW(open_forecast(folder_ / "none.zfc"), Error);
  EXPECT_THROW(open_forecast(folder_), Error);
}

}  // namespace
}  // namespace zonda::edge
