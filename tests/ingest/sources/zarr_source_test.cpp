#include <blosc.h>
#include <gmock/gmock.h>
#include <lz4.h>
#include <zlib.h>
#include <zstd.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "ingest/sources/source.hpp"
#include "ingest/sources/zarr_dataset.hpp"
#include "ingest/sources/zarr_metadata.hpp"
#include "temporary_folder.hpp"

using namespace zonda;
using namespace zonda::ingest;
using nlohmann::json;
using testing::HasSubstr;
using zonda::test::error_of;
using zonda::test::put;

namespace {

template <class T>
std::string bytes_of(const std::vector<T>& values, bool swapped = false) {
  std::string text;
  for (const T value : values) {
    std::string item(sizeof(T), '\0');
    std::memcpy(item.data(), &value, sizeof(T));
    if (swapped) std::reverse(item.begin(), item.end());
    text += item;
  }
  return text;
}

class ZarrSource : public zonda::test::TemporaryFolder {
 protected:
  ZarrSource() {
    put(path("s/.zgroup"), R"({"zarr_format": 2})");
    array("latitude", {4}, {4}, "<f8", {{"_ARRAY_DIMENSIONS", {"latitude"}}, {"units", "degrees_north"}});
    put(path("s/latitude/0"), bytes_of<double>({-67.5, -22.5, 22.5, 67.5}));
    array("longitude", {6}, {6}, "<f8", {{"_ARRAY_DIMENSIONS", {"longitude"}}, {"units", "degrees_east"}});
    put(path("s/longitude/0"), bytes_of<double>({0, 60, 120, 180, 240, 300}));
    array("time", {3}, {2}, "<i8", {{"_ARRAY_DIMENSIONS", {"time"}}, {"units", "hours since 1959-01-01"}});
    put(path("s/time/0"), bytes_of<std::int64_t>({0, 6}));
    put(path("s/time/1"), bytes_of<std::int64_t>({12, 0}));
  }

  void array(const std::string& name, const json& shape, const json& chunks, const std::string& type,
             const json& attributes, const json& more = json::object()) {
    json zarray{{"zarr_format", 2},      {"shape", shape},     {"chunks", chunks},      {"dtype", type},
                {"compressor", nullptr}, {"filters", nullptr}, {"fill_value", nullptr}, {"order", "C"}};
    if (more.is_object()) zarray.update(more);
    put(path("s/" + name + "/.zarray"), zarray.dump());
    put(path("s/" + name + "/.zattrs"), attributes.dump());
  }

  /// 2m_temperature (time, latitude, longitude) in chunks (1, 4, 6): values 250 + index.
  void temperature(const json& more, const std::function<std::string(const std::string&)>& encode,
                   const std::string& separator = ".") {
    array("2m_temperature", {3, 4, 6}, {1, 4, 6}, "<f4",
          {{"_ARRAY_DIMENSIONS", {"time", "latitude", "longitude"}}, {"units", "K"}}, more);
    for (int t = 0; t < 3; ++t) {
      std::vector<float> values(24);
      for (int i = 0; i < 24; ++i) values[static_cast<std::size_t>(i)] = static_cast<float>(250 + 24 * t + i);
      put(path("s/2m_temperature/" + std::to_string(t) + separator + "0" + separator + "0"), encode(bytes_of(values)));
    }
  }

  void expect_temperature() {
    const auto source = open_source(path("s"));
    ASSERT_EQ(source->fields().size(), 3u);
    EXPECT_EQ(source->grid({"2t", 0}), Grid::latlon(4, 6, false));
    for (std::size_t t = 0; t < 3; ++t) {
      EXPECT_EQ(source->fields()[t].valid_time, parse_time("1959-01-01") + Duration(21600 * t));
      std::vector<float> values(24);
      source->read(source->fields()[t], values);
      for (std::size_t i = 0; i < 24; ++i) {
        const std::size_t file_row = 3 - i / 6;
        ASSERT_EQ(values[i], static_cast<float>(250 + 24 * t + file_row * 6 + i % 6));
      }
    }
  }
};

std::string plain(const std::string& bytes) {
  return bytes;
}

TEST_F(ZarrSource, WithoutCompression) {
  temperature({}, plain);
  expect_temperature();
}

TEST_F(ZarrSource, EveryBloscCodec) {
  for (const std::string codec : {"blosclz", "lz4", "lz4hc", "zlib", "zstd", "snappy"}) {
    if (blosc_compname_to_compcode(codec.c_str()) < 0) continue;
    for (const int shuffle : {0, 1, 2}) {
      temperature({{"compressor", {{"id", "blosc"}, {"cname", codec}, {"clevel", 5}, {"shuffle", shuffle}}}},
                  [&](const std::string& bytes) {
                    std::string out(bytes.size() + BLOSC_MAX_OVERHEAD, '\0');
                    const int n = blosc_compress_ctx(5, shuffle, 4, bytes.size(), bytes.data(), out.data(), out.size(),
                                                     codec.c_str(), 0, 1);
                    EXPECT_GT(n, 0);
                    return out.substr(0, static_cast<std::size_t>(n));
                  });
      expect_temperature();
    }
  }
}

std::string deflate_with(const std::string& bytes, int window) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(bytes.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd_with(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

TEST_F(ZarrSource, ZlibGzipZstdLz4) {
  temperature({{"compressor", {{"id", "zlib"}, {"level", 6}}}},
              [](const std::string& b) { return deflate_with(b, 15); });
  expect_temperature();
  temperature({{"compressor", {{"id", "gzip"}, {"level", 6}}}},
              [](const std::string& b) { return deflate_with(b, 31); });
  expect_temperature();
  temperature({{"compressor", {{"id", "zstd"}, {"level", 3}}}}, zstd_with);
  expect_temperature();
  temperature({{"compressor", {{"id", "lz4"}, {"acceleration", 1}}}}, [](const std::string& b) {
    std::string out(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(b.size()))), '\0');
    out.resize(static_cast<std::size_t>(
        LZ4_compress_default(b.data(), out.data(), static_cast<int>(b.size()), static_cast<int>(out.size()))));
    return bytes_of<std::uint32_t>({static_cast<std::uint32_t>(b.size())}) + out;
  });
  expect_temperature();
}

TEST_F(ZarrSource, NestedKeys) {
  temperature({{"dimension_separator", "/"}}, plain, "/");
  expect_temperature();
}

TEST_F(ZarrSource, ConsolidatedMetadataAloneAreEnough) {
  temperature({{"compressor", {{"id", "zstd"}, {"level", 3}}}}, zstd_with);
  json metadata = json::object();
  for (const std::string name : {"latitude", "longitude", "time", "2m_temperature"}) {
    for (const std::string file : {"/.zarray", "/.zattrs"}) {
      metadata[name + file] = json::parse(zonda::test::contents(path("s/" + name + file)));
      std::filesystem::remove(path("s/" + name + file));
    }
  }
  put(path("s/.zmetadata"), json{{"metadata", metadata}, {"zarr_consolidated_format", 1}}.dump());
  expect_temperature();
}

TEST_F(ZarrSource, ShuffleAndDeltaAndScaledFilters) {
  // int16 of 100 (value - 250): fixedscaleoffset, then delta, then shuffle, then zstd.
  const json filters = {
      {{"id", "fixedscaleoffset"}, {"scale", 100}, {"offset", 250}, {"dtype", "<f4"}, {"astype", "<i2"}},
      {{"id", "delta"}, {"dtype", "<i2"}, {"astype", "<i2"}},
      {{"id", "shuffle"}, {"elementsize", 2}}};
  temperature({{"compressor", {{"id", "zstd"}, {"level", 3}}}, {"filters", filters}}, [](const std::string& bytes) {
    std::vector<float> values(bytes.size() / 4);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    std::string low, high;
    std::int16_t before = 0;
    for (const float value : values) {
      const auto scaled = static_cast<std::int16_t>(std::lround(100 * (value - 250)));
      const auto difference = static_cast<std::int16_t>(scaled - before);
      before = scaled;
      low += static_cast<char>(difference & 0xFF);
      high += static_cast<char>(difference >> 8 & 0xFF);
    }
    return zstd_with(low + high);
  });
  expect_temperature();
}

TEST_F(ZarrSource, OrderFBigEndianAndPacking) {
  // (longitude, level, latitude, time), column-major, big-endian int16.
  array("level", {2}, {2}, "<i4", {{"_ARRAY_DIMENSIONS", {"level"}}});
  put(path("s/level/0"), bytes_of<std::int32_t>({500, 850}));
  array("temperature", {6, 2, 4, 3}, {4, 1, 3, 2}, ">i2",
        {{"_ARRAY_DIMENSIONS", {"longitude", "level", "latitude", "time"}},
         {"units", "degC"},
         {"scale_factor", 0.1},
         {"add_offset", -10}},
        {{"order", "F"}, {"fill_value", -999}});
  const auto stored = [](int x, int l, int y, int t) {
    return static_cast<std::int16_t>(x + 10 * y + 100 * t + 1000 * l);
  };
  for (int cx = 0; cx < 2; ++cx) {
    for (int cl = 0; cl < 2; ++cl) {
      for (int cy = 0; cy < 2; ++cy) {
        for (int ct = 0; ct < 2; ++ct) {
          if (cx == 1 && cl == 1 && cy == 1 && ct == 1) continue;  // a chunk that is not there
          std::vector<std::int16_t> chunk;
          for (int t = 0; t < 2; ++t) {
            for (int y = 0; y < 3; ++y) {
              for (int x = 0; x < 4; ++x) chunk.push_back(stored(4 * cx + x, cl, 3 * cy + y, 2 * ct + t));
            }
          }
          put(path("s/temperature/" + std::to_string(cx) + "." + std::to_string(cl) + "." + std::to_string(cy) + "." +
                   std::to_string(ct)),
              bytes_of(chunk, true));
        }
      }
    }
  }
  const auto source = open_source(path("s"));
  for (int t = 0; t < 3; ++t) {
    for (int l = 0; l < 2; ++l) {
      const FieldKey key{{"t", l == 0 ? 500 : 850},
                         parse_time("1959-01-01") + Duration(21600 * t),
                         std::nullopt,
                         std::nullopt,
                         Duration(0)};
      std::vector<float> values(24);
      source->read(key, values);
      for (int y = 0; y < 4; ++y) {
        for (int x = 0; x < 6; ++x) {
          const float value = values[static_cast<std::size_t>((3 - y) * 6 + x)];
          if (x >= 4 && l == 1 && y >= 3 && t >= 2) {
            EXPECT_TRUE(std::isnan(value));
          } else {
            EXPECT_FLOAT_EQ(value, static_cast<float>(0.1 * stored(x, l, y, t) - 10 + 273.15));
          }
        }
      }
    }
  }
}

TEST_F(ZarrSource, FillValuesInPythonsJson) {
  const json parsed =
      parse_zarr_json(R"({"fill_value": NaN, "a": [Infinity, -Infinity], "text": "NaN \" NaN"})", "here");
  EXPECT_EQ(parsed["fill_value"], "NaN");
  EXPECT_EQ(parsed["a"][1], "-Infinity");
  EXPECT_EQ(parsed["text"], "NaN \" NaN");
  temperature({{"fill_value", "NaN"}}, plain);
  std::filesystem::remove(path("s/2m_temperature/1.0.0"));
  const auto source = open_source(path("s"));
  std::vector<float> values(24);
  source->read(source->fields().at(1), values);
  for (const float value : values) EXPECT_TRUE(std::isnan(value));
  source->read(source->fields().at(2), values);
  EXPECT_EQ(values[23], 250.0f + 48 + 5);
}

TEST_F(ZarrSource, NumpyTimes) {
  array("time", {3}, {3}, "<M8[ns]", {{"_ARRAY_DIMENSIONS", {"time"}}});
  std::vector<std::int64_t> times;
  const auto origin = parse_time("1959-01-01").time_since_epoch().count();
  for (int t = 0; t < 3; ++t) times.push_back((origin + 21600 * t) * 1'000'000'000);
  put(path("s/time/0"), bytes_of(times));
  temperature({}, plain);
  expect_temperature();
}

TEST_F(ZarrSource, WhatCannotBeReadSaysSo) {
  temperature({{"compressor", {{"id", "zfpy"}}}}, plain);
  EXPECT_THAT(error_of([&] { open_source(path("s")); }),
              testing::AllOf(HasSubstr("unknown compressor or filter 'zfpy'"), HasSubstr("2m_temperature"),
                             HasSubstr("blosc")));
  temperature({{"compressor", {{"id", "zstd"}}}}, [](const std::string& b) { return zstd_with(b).substr(0, 20); });
  const auto source = open_source(path("s"));
  std::vector<float> values(24);
  EXPECT_THAT(
      error_of([&] { source->read(source->fields()[0], values); }),
      testing::AllOf(HasSubstr("s/2m_temperature/0.0.0"), HasSubstr("zstd"), HasSubstr("2t of 1959-01-01T00:00:00Z")));
  temperature({}, [](const std::string& b) { return b.substr(4); });
  EXPECT_THAT(error_of([&] { open_source(path("s"))->read(source->fields()[0], values); }),
              HasSubstr("92 bytes where the chunk's shape asks for 96"));
  put(path("s/2m_temperature/.zarray"), "{\"zarr_format\": 2,");
  EXPECT_THAT(error_of([&] { open_source(path("s")); }), HasSubstr("s/2m_temperature/.zarray: not JSON"));
  put(path("v3/zarr.json"), "{}");
  EXPECT_THAT(error_of([&] { open_source(path("v3")); }), HasSubstr("version 3"));
  std::filesystem::create_directories(path("nothing"));
  EXPECT_THAT(error_of([&] { open_source(path("nothing")); }), HasSubstr("neither NetCDF"));
}

TEST_F(ZarrSource, BrokenChunksNeverReadMoreThanTheirShape) {
  // A chunk that claims to unpack to 4 GiB.
  std::string bomb(200, '\0');
  bomb = bytes_of<std::uint32_t>({0xFFFFFFF0u}) + bomb;
  temperature({{"compressor", {{"id", "lz4"}}}}, [&](const std::string&) { return bomb; });
  const auto source = open_source(path("s"));
  std::vector<float> values(24);
  EXPECT_THAT(error_of([&] { source->read(source->fields()[0], values); }),
              HasSubstr("more values than the chunk has"));
  temperature({{"compressor", {{"id", "blosc"}}}}, [&](const std::string&) { return bomb; });
  EXPECT_THAT(error_of([&] { open_source(path("s"))->read(source->fields()[0], values); }),
              HasSubstr("blosc data are damaged"));
}

TEST_F(ZarrSource, ASmallCacheGivesTheSameValues) {
  temperature({{"compressor", {{"id", "zstd"}, {"level", 3}}}}, zstd_with);
  const auto small = open_zarr(path("s"), 1), large = open_zarr(path("s"));
  std::size_t index = 0;
  while (small->arrays()[index].name != "2m_temperature") ++index;
  EXPECT_EQ(read_all(*small, index), read_all(*large, index));
}

}  // namespace
