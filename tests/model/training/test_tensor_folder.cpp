#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "model/forecast_state/tensor_folder.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

std::vector<float> numbers(std::size_t n) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i) * 0.5F - 3;
  return values;
}

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    return error.what();
  }
  return {};
}

struct TensorFolderTest : testing::Test {
  TemporaryFolder folder;
  std::vector<float> a = numbers(3000 * 1000), b = numbers(7), c = numbers(1);
  void write() const {
    const std::vector<NamedTensor> tensors{{"a", {3000, 1000}, a}, {"b", {7}, b}, {"scalar", {}, c}};
    write_tensor_folder(folder / "x", {{"step", 5}}, tensors);
  }
};

TEST_F(TensorFolderTest, ReadsBackWhatWasWritten) {
  write();
  const TensorFolder read(folder / "x");
  EXPECT_EQ(read.header().at("step"), 5);
  EXPECT_EQ(read.names(), (std::vector<std::string>{"a", "b", "scalar"}));
  std::vector<float> values(a.size());
  read.read("a", values);
  EXPECT_EQ(values, a);
  // Rows across the border of two chunks.
  std::vector<float> rows(300 * 1000);
  read.read_rows("a", 950, 1250, rows);
  EXPECT_TRUE(std::equal(rows.begin(), rows.end(), a.begin() + 950 * 1000));
  EXPECT_FALSE(std::filesystem::exists(folder / "x.tmp"));
}

TEST_F(TensorFolderTest, TheSameContentsGiveTheSameBytes) {
  write();
  const std::string manifest = read_file(folder / "x" / "manifest.json"), data = read_file(folder / "x" / "rank-0.bin");
  write();  // replaces
  EXPECT_EQ(read_file(folder / "x" / "manifest.json"), manifest);
  EXPECT_EQ(read_file(folder / "x" / "rank-0.bin"), data);
  EXPECT_FALSE(std::filesystem::exists(folder / "x.old.tmp"));
}

TEST_F(TensorFolderTest, ADamagedByteIsNamed) {
  write();
  const std::filesystem::path file = folder / "x" / "rank-0.bin";
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(5'000'000);
    stream.put('\x5a');
  }
  const TensorFolder read(folder / "x");
  const std::string message = message_of([&] { read.verify(); });
  EXPECT_NE(message.find("tensor a, chunk 1"), std::string::npos) << message;
  EXPECT_NE(message.find("damaged"), std::string::npos) << message;
  std::vector<float> rest(b.size());
  read.read("b", rest);  // what is whole can be read
  EXPECT_EQ(rest, b);
}

TEST_F(TensorFolderTest, AnyFlippedByteOfTheManifestIsRefused) {
  write();
  const std::filesystem::path file = folder / "x" / "manifest.json";
  const std::string original = read_file(file);
  for (std::size_t i = 0; i < original.size(); i += 7) {
    if (std::isspace(static_cast<unsigned char>(original[i]))) continue;
    std::string damaged = original;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x04);
    write_file(file, damaged);
    EXPECT_FALSE(message_of([&] { TensorFolder(folder / "x").verify(); }).empty()) << "byte " << i;
  }
}

TEST_F(TensorFolderTest, ATruncatedFileIsRefused) {
  write();
  std::filesystem::resize_file(folder / "x" / "rank-0.bin", 1'000'000);
  EXPECT_NE(message_of([&] { TensorFolder(folder / "x"); }).find("truncated"), std::string::npos);
}

TEST_F(TensorFolderTest, AbsentThingsAreNamed) {
  EXPECT_NE(message_of([&] { TensorFolder(folder / "none"); }).find("no such folder"), std::string::npos);
  write();
  const TensorFolder read(folder / "x");
  EXPECT_NE(message_of([&] { read.shape("c"); }).find("no tensor 'c'"), std::string::npos);
  std::vector<float> wrong(3);
  EXPECT_NE(message_of([&] { read.read("b", wrong); }).find("7 values"), std::string::npos);
}

TEST_F(TensorFolderTest, SeveralRanksWriteOneFolder) {
  write();
  const std::string hash = TensorFolder(folder / "x").hash();
  const std::vector<TensorShape> shapes{{"a", {3000, 1000}}, {"b", {7}}, {"scalar", {}}};
  const auto part = [](const std::vector<float>& values, std::size_t first, std::size_t end) {
    return std::span<const float>(values).subspan(first, end - first);
  };
  const auto write_parts = [&](std::size_t end_of_a) {
    begin_tensor_folder(folder / "y");
    std::vector<nlohmann::json> tables;
    for (int rank = 0; rank < 2; ++rank) {
      TensorPartsWriter file(folder / "y", rank);
      if (rank == 0) {
        file.write(0, 1'234'567, part(a, 1'234'567, end_of_a));
        file.write(1, 0, part(b, 0, 3));
      } else {
        file.write(1, 3, part(b, 3, 7));
        file.write(2, 0, c);
        file.write(0, 0, part(a, 0, 1'234'567));
      }
      tables.push_back(file.close());
    }
    commit_tensor_folder(folder / "y", {{"step", 5}}, shapes, tables);
  };
  write_parts(a.size());
  const TensorFolder read(folder / "y");
  EXPECT_EQ(read.hash(), hash) << "of the numbers, whoever wrote them";
  read.verify();
  std::vector<float> values(a.size()), some(2'000'001);
  read.read("a", values);
  EXPECT_EQ(values, a);
  read.read_range("a", 500'000, some);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), a.begin() + 500'000));
  try {
    write_parts(a.size() - 1);
    ADD_FAILURE() << "a missing number was not seen";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("2999999 of 3000000 numbers"), std::string::npos) << error.what();
  }
  abandon_tensor_folder(folder / "y");
  EXPECT_FALSE(std::filesystem::exists(folder / "y.tmp"));
  TensorFolder(folder / "y").verify();
}

TEST_F(TensorFolderTest, ReadsTheFormatBefore) {
  const std::vector<float> matrix = numbers(6);
  const std::vector<NamedTensor> tensors{{"matrix", {3, 2}, matrix}, {"b", {7}, b}};
  write_tensor_folder(folder / "x", {{"step", 5}}, tensors);
  const std::filesystem::path file = folder / "x" / "manifest.json";
  nlohmann::json manifest = nlohmann::json::parse(read_file(file));
  manifest["version"] = 1;
  manifest.erase("hash");
  for (nlohmann::json& tensor : manifest["tensors"]) {
    tensor.erase("crc32c");
    tensor["chunks"][0]["offset"] = std::vector<int>(tensor["shape"].size(), 0);
    tensor["chunks"][0]["extent"] = tensor["shape"];
  }
  const std::string text = manifest["header"].dump() + manifest["tensors"].dump();
  manifest["crc32c"] = fmt::format("{:08x}", crc32c(std::as_bytes(std::span(text))));
  const std::string hash = TensorFolder(folder / "x").hash();
  write_file(file, manifest.dump());
  const TensorFolder read(folder / "x");
  EXPECT_EQ(read.hash(), hash);
  std::vector<float> values(6);
  read.read("matrix", values);
  EXPECT_EQ(values, matrix);
}

}  // namespace
}  // namespace zonda::model
