#include "inference/edge/station/journal.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "core/atomic_file.hpp"

namespace zonda::edge {
namespace {

namespace fs = std::filesystem;

struct JournalTest : testing::Test {
  fs::path file = fs::path(testing::TempDir()) / "journal_test" /
                  testing::UnitTest::GetInstance()->current_test_info()->name() / "journal";
  void SetUp() override { fs::remove_all(file.parent_path()); }
};

TEST_F(JournalTest, ReadsBackWhatWasWritten) {
  {
    Journal journal(file);
    EXPECT_FALSE(journal.last());
    journal.append({{"to", "polling"}});
    journal.append({{"to", "idle"}});
  }
  EXPECT_EQ(Journal(file).last()->at("to"), "idle");
  EXPECT_EQ(Journal::read(file).size(), 2U);
}

TEST_F(JournalTest, ALineTornAnywhereIsDropped) {
  {
    Journal journal(file);
    journal.append({{"n", 1}});
    journal.append({{"n", 2}});
  }
  const std::string whole = read_file(file);
  const std::size_t first_line = whole.find('\n') + 1;
  for (std::size_t length = first_line; length < whole.size(); ++length) {
    write_file(file, whole.substr(0, length));
    Journal journal(file);
    EXPECT_EQ(journal.last()->at("n"), 1) << length;
    journal.append({{"n", 3}});
    EXPECT_EQ(Journal::read(file).size(), 2U) << length;
    EXPECT_EQ(Journal(file).last()->at("n"), 3);
  }
}

TEST_F(JournalTest, ADamagedLineEndsWhatIsBelieved) {
  {
    Journal journal(file);
    journal.append({{"n", 1}});
    journal.append({{"n", 2}});
  }
  std::string text = read_file(file);
  text[text.size() - 3] ^= 1;
  write_file(file, text);
  EXPECT_EQ(Journal(file).last()->at("n"), 1);
}

TEST_F(JournalTest, StaysShort) {
  Journal journal(file, 2000);
  for (int n = 0; n < 300; ++n) journal.append({{"n", n}});
  EXPECT_LT(fs::file_size(file), 2100U);
  EXPECT_EQ(Journal::read(file).back().at("n"), 299);
}

}  // namespace
}  // namespace zonda::edge
