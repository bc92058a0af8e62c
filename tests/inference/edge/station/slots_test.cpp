#include "inference/edge/station/slots.hpp"

#include <gtest/gtest.h>

#include "tests/inference/edge/station/small_world.hpp"

namespace zonda::edge {
namespace {

struct SlotsTest : testing::Test {
  fs::path folder =
      fs::path(testing::TempDir()) / "slots_test" / testing::UnitTest::GetInstance()->current_test_info()->name();
  MemoryTransport transport;
  Release release = SmallHub::make_release("1", "good", 1000, transport);
  void SetUp() override { fs::remove_all(folder); }
  void bring(ContentStore& store) {
    for (const auto& file : release.files) store.put(file.content.sha256, transport.files.at(file.content.url));
  }
};

TEST_F(SlotsTest, FillsServesAndReadsBack) {
  ContentStore store(folder / "content");
  bring(store);
  Slots slots(folder / "models");
  EXPECT_FALSE(slots.serving());
  EXPECT_EQ(slots.spare(), Slot::a);
  slots.fill(Slot::a, release, store);
  slots.serve(Slot::a);
  const Slots again(folder / "models");
  ASSERT_EQ(again.serving(), Slot::a);
  EXPECT_EQ(again.release(Slot::a)->identity(), release.identity());
  EXPECT_EQ(again.spare(), Slot::b);
  EXPECT_EQ(read_file(folder / "models/serving/manifest.json"), transport.files.at("hub:/1/manifest.json"));
}

TEST_F(SlotsTest, ASlotWithoutItsRecordOrWithAFileMissingIsEmpty) {
  ContentStore store(folder / "content");
  bring(store);
  Slots slots(folder / "models");
  slots.fill(Slot::a, release, store);
  slots.serve(Slot::a);
  fs::remove(slots.path(Slot::a) / "weights.bin");
  EXPECT_FALSE(slots.serving());
  slots.fill(Slot::a, release, store);
  EXPECT_TRUE(slots.serving());
  fs::remove(slots.record(Slot::a));
  EXPECT_FALSE(slots.serving());
}

TEST_F(SlotsTest, TheServingSlotIsNeitherFilledNorEmptied) {
  ContentStore store(folder / "content");
  bring(store);
  Slots slots(folder / "models");
  slots.fill(Slot::a, release, store);
  slots.serve(Slot::a);
  EXPECT_THROW(slots.fill(Slot::a, release, store), Error);
  EXPECT_THROW(slots.empty(Slot::a), Error);
  EXPECT_TRUE(slots.serving());
}

TEST_F(SlotsTest, NamesFromTheNetworkStayInTheFolder) {
  const ContentStore store(folder / "content");
  Slots slots(folder / "models");
  for (const std::string name : {"../x", "/etc/passwd", "", ".hidden", "a/b", "a b"}) {
    release.files[0].name = name;
    EXPECT_THROW(slots.fill(Slot::a, release, store), Error) << name;
  }
}

}  // namespace
}  // namespace zonda::edge
