#include "core/checksum.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda {
namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Crc32c, gives_the_published_numbers) {
  // RFC 3720, appendix B.4, and the catalogue's check value.
  EXPECT_EQ(crc32c(bytes("123456789")), 0xE3069283U);
  std::vector<std::byte> data(32);
  EXPECT_EQ(crc32c(data), 0x8A9136AAU);
  std::fill(data.begin(), data.end(), std::byte{0xff});
  EXPECT_EQ(crc32c(data), 0x62A8AB43U);
  for (std::size_t i = 0; i < 32; ++i) data[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(data), 0x46DD794EU);
  for (std::size_t i = 0; i < 32; ++i) data[i] = static_cast<std::byte>(31 - i);
  EXPECT_EQ(crc32c(data), 0x113FDB5CU);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, continues) {
  std::vector<std::byte> data(1001);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 37);
  for (const std::size_t cut : {0, 1, 7, 8, 500, 1001})
    EXPECT_EQ(crc32c(std::span(data).subspan(cut), crc32c(std::span(data).first(cut))), crc32c(data)) << cut;
}

TEST(Sha256, gives_the_published_numbers) {
  // FIPS 180-4 examples.
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, of_files_and_folders) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "zonda_sha256";
  std::filesystem::remove_all(folder);
  write_file(folder / "b", "abc");
  write_file(folder / "deep" / "a", "");
  EXPECT_EQ(sha256_file(folder / "b"), sha256("abc"));
  const std::string before = sha256_file(folder);
  EXPECT_EQ(sha256_file(folder), before);
  std::filesystem::rename(folder / "b", folder / "c");
  EXPECT_NE(sha256_file(folder), before) << "names count";
  try {
    sha256_file(folder / "none");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
  }
  std::filesystem::remove_all(folder);
}

TEST(Checksum, JoinsTheChecksumsOfPieces) {
  std::vector<std::byte> data(100'003);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 37 >> 3);
  const std::span<const std::byte> all(data);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{77'777}, data.size()})
    EXPECT_EQ(crc32c_joined(crc32c(all.first(cut)), crc32c(all.subspan(cut)), data.size() - cut), crc32c(all)) << cut;
}

}  // namespace
}  // namespace zonda
