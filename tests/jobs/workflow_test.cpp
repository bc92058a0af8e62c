#include "jobs/workflow.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"

namespace zonda::jobs {
namespace {

TEST(Workflow, OrdersStagesAfterWhatTheyWaitFor) {
  Workflow workflow;
  workflow.add({"verify", {"forecast"}, "", {}, {}});
  workflow.add({"train", {"ingest"}, "", {}, {}});
  workflow.add({"ingest", {}, "", {}, {}});
  workflow.add({"forecast", {"train", "ingest"}, "", {}, {}});
  EXPECT_THAT(workflow.order(), testing::ElementsAre(2, 1, 3, 0));
}

TEST(Workflow, KeepsTheOrderOfAddingWhereFree) {
  Workflow workflow;
  for (const char* name : {"b", "a", "c"}) workflow.add({name, {}, "", {}, {}});
  EXPECT_THAT(workflow.order(), testing::ElementsAre(0, 1, 2));
}

TEST(Workflow, NamesACycle) {
  Workflow workflow;
  workflow.add({"free", {}, "", {}, {}});
  workflow.add({"a", {"b"}, "", {}, {}});
  workflow.add({"b", {"a"}, "", {}, {}});
  try {
    workflow.order();
    FAIL() << "a cycle was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), testing::HasSubstr("a, b"));
  }
}

TEST(Workflow, ProposesTheNearestStageForAnUnknownOne) {
  Workflow workflow;
  workflow.add({"ingest", {}, "", {}, {}});
  workflow.add({"train", {"ingset"}, "", {}, {}});
  try {
    workflow.order();
    FAIL() << "an unknown stage was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("did you mean 'ingest'"));
  }
}

TEST(Workflow, RefusesANameTwice) {
  Workflow workflow;
  workflow.add({"train", {}, "", {}, {}});
  EXPECT_THROW(workflow.add({"train", {}, "", {}, {}}), Error);
}

}  // namespace
}  // namespace zonda::jobs
