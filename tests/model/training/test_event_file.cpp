// Event files, read back byte by byte as their formats are defined.
#include "model/training/event_file.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

template <class T>
T number(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::uint32_t checksum(std::string_view bytes) {
  const std::uint32_t crc = crc32c(std::as_bytes(std::span(bytes)));
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

/// Payloads of all records; their frames are checked.
std::vector<std::string> records(std::string_view file) {
  std::vector<std::string> found;
  while (!file.empty()) {
    const auto size = number<std::uint64_t>(file);
    EXPECT_EQ(number<std::uint32_t>(file.substr(8)), checksum(file.substr(0, 8)));
    EXPECT_EQ(number<std::uint32_t>(file.substr(12 + size)), checksum(file.substr(12, size)));
    found.emplace_back(file.substr(12, size));
    file.remove_prefix(16 + size);
  }
  return found;
}

std::uint64_t take_varint(std::string_view& in) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= std::uint64_t{byte & 127u} << shift;
    if (byte < 128) return value;
  }
}

/// (field number, contents) of a message: fixed-width fields and varints as their bytes.
std::vector<std::pair<int, std::string>> fields(std::string_view message) {
  std::vector<std::pair<int, std::string>> found;
  while (!message.empty()) {
    const std::uint64_t key = take_varint(message);
    std::string contents;
    if ((key & 7) == 0) {
      const std::uint64_t value = take_varint(message);
      contents.assign(reinterpret_cast<const char*>(&value), sizeof value);
    } else {
      const std::size_t size = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : take_varint(message);
      contents = message.substr(0, size);
      message.remove_prefix(size);
    }
    found.emplace_back(static_cast<int>(key >> 3), contents);
  }
  return found;
}

TEST(EventFile, HoldsStepsTagsAndValues) {
  const TemporaryFolder folder;
  {
    EventFile events(folder / "events", 0);
    events.write({{"step", 300}, {"loss", 0.25}, {"phase", "single steps"}});
    events.write({{"step", 300},
                  {"validation", {{"rmse", {{"z500", 12.5}}}}},
                  {"curve", {{{"lead_hours", 24.0}, {"rmse", {{"t850", 2}}}}}}});
    events.write({{"step", 301}, {"phase", "no numbers"}});
  }
  const std::vector<std::string> all = records(read_file(folder / "events"));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(fields(all[0])[1], (std::pair<int, std::string>{3, "brain.Event:2"}));
  std::map<std::string, float> values;
  for (std::size_t i = 1; i < 3; ++i) {
    const auto event = fields(all[i]);
    ASSERT_EQ(event.size(), 3U);
    EXPECT_EQ(event[0].first, 1);
    EXPECT_GT(number<double>(event[0].second), 1.5e9);  // seconds since 1970
    EXPECT_EQ(event[1].first, 2);
    EXPECT_EQ(number<std::uint64_t>(event[1].second), 300U);
    for (const auto& [field, value] : fields(event[2].second)) {
      EXPECT_EQ(field, 1);
      const auto pair = fields(value);
      values[pair.at(0).second] = number<float>(pair.at(1).second);
    }
  }
  EXPECT_EQ(values, (std::map<std::string, float>{
                        {"loss", 0.25F}, {"validation/rmse/z500", 12.5F}, {"curve/24h/rmse/t850", 2}}));
}

TEST(EventFile, IsCutBackToTheCheckpoint) {
  const TemporaryFolder folder;
  std::uint64_t length = 0;
  {
    EventFile events(folder / "events", 0);
    events.write({{"step", 1}, {"loss", 1}});
    length = events.sync();
    events.write({{"step", 2}, {"loss", 2}});
  }
  {
    EventFile events(folder / "events", length);
    events.write({{"step", 2}, {"loss", 3}});
  }
  const std::vector<std::string> all = records(read_file(folder / "events"));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[2].substr(9), event_message(0, 2, std::vector{std::pair{std::string("loss"), 3.0F}}).substr(9));
  EXPECT_THROW(EventFile(folder / "events", 100'000), Error);
}

}  // namespace
}  // namespace zonda::model
