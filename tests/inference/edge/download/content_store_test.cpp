#include "inference/edge/download/content_store.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda::edge {
namespace {

namespace fs = std::filesystem;

struct ContentStoreTest : testing::Test {
  fs::path folder =
      fs::path(testing::TempDir()) / "content_store" / testing::UnitTest::GetInstance()->current_test_info()->name();
  std::string hash = sha256("abc"), other = sha256("other");
  void SetUp() override { fs::remove_all(folder); }
};

TEST_F(ContentStoreTest, RefusesNamesThatAreNoHashes) {
  const ContentStore store(folder);
  for (const std::string& name : {std::string("../../etc/passwd"), std::string(64, 'G'), std::string(63, 'a'),
                                  std::string(64, 'A'), std::string()})
    EXPECT_THROW(store.path(name), Error) << name;
}

TEST_F(ContentStoreTest, PutsOnlyWhatTheNameSays) {
  ContentStore store(folder);
  EXPECT_THROW(store.put(hash, "abd"), Error);
  EXPECT_FALSE(store.has(hash));
  store.put(hash, "abc");
  EXPECT_TRUE(store.has(hash));
  EXPECT_TRUE(store.verify(hash));
}

TEST_F(ContentStoreTest, FindsDamageAndRemovesIt) {
  ContentStore store(folder);
  store.put(hash, "abc");
  fs::permissions(store.path(hash), fs::perms::owner_all);
  std::ofstream(store.path(hash)) << "abX";
  EXPECT_FALSE(store.verify(hash));
  EXPECT_FALSE(store.has(hash));
}

TEST_F(ContentStoreTest, LinksShareTheFile) {
  ContentStore store(folder);
  store.put(hash, "abc");
  store.link(hash, folder / "bundle" / "weights.bin");
  struct stat a = {}, b = {};
  ASSERT_EQ(::stat(store.path(hash).c_str(), &a), 0);
  ASSERT_EQ(::stat((folder / "bundle" / "weights.bin").c_str(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
}

TEST_F(ContentStoreTest, CollectsWhatNothingRefersTo) {
  ContentStore store(folder);
  store.put(hash, "abc");
  store.put(other, "other");
  {
    PartialFile coming(store, sha256("x"), 10);
    coming.append(std::as_bytes(std::span("0123", 4)));
  }
  EXPECT_EQ(store.collect_garbage({hash}), 9U);
  EXPECT_TRUE(store.has(hash));
  EXPECT_FALSE(store.has(other));
  EXPECT_EQ(store.partial_bytes(sha256("x")), 0U);
}

TEST_F(ContentStoreTest, APartGoesOnAndIsHashedAsAWhole) {
  ContentStore store(folder);
  {
    PartialFile file(store, hash, 10);
    file.append(std::as_bytes(std::span("ab", 2)));
  }
  PartialFile file(store, hash, 10);
  EXPECT_EQ(file.bytes(), 2U);
  EXPECT_THROW(file.commit(), Error);
  EXPECT_EQ(file.bytes(), 0U) << "what did not fit is forgotten";
  file.append(std::as_bytes(std::span("abc", 3)));
  file.commit();
  EXPECT_EQ(read_file(store.path(hash)), "abc");
}

}  // namespace
}  // namespace zonda::edge
