// The checks of layout_checks.cpp on one rank alone and on threads, and what needs no ranks at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "layout/layout_checks.hpp"
#include "parallel/layout/mesh.hpp"
#include "parallel/layout/redistribute.hpp"

namespace zonda::parallel {
namespace {

using testing::HasSubstr;

class Layouts : public testing::TestWithParam<std::tuple<int, std::size_t>> {};

TEST_P(Layouts, hold) {
  const auto [ranks, index] = GetParam();
  if (ranks == 0)
    layout_checks()[index].run(Communicator::self());
  else
    run_on_threads(ranks, layout_checks()[index].run);
}

INSTANTIATE_TEST_SUITE_P(parallel, Layouts,
                         testing::Combine(testing::Values(0, 2, 3, 4, 8),
                                          testing::Range(std::size_t{0}, layout_checks().size())),
                         [](const auto& test) {
                           const int ranks = std::get<0>(test.param);
                           return (ranks == 0 ? std::string("self") : std::to_string(ranks) + "_threads") + "_" +
                                  layout_checks()[std::get<1>(test.param)].name;
                         });

std::string complaint(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "no error";
}

TEST(MeshShape, is_read_and_printed) {
  const MeshShape shape = parse_mesh("spatial=4,data=2");
  EXPECT_EQ(shape[Axis::data], 2);
  EXPECT_EQ(shape[Axis::pipeline], 1);
  EXPECT_EQ(shape[Axis::spatial], 4);
  EXPECT_EQ(shape.ranks(), 8);
  EXPECT_EQ(to_string(shape), "data=2,spatial=4");
  EXPECT_EQ(parse_mesh(to_string(shape)), shape);
  EXPECT_EQ(to_string(parse_mesh("")), "data=1");
  // The data axis takes what is left.
  EXPECT_EQ(parse_mesh("tensor=2", 8)[Axis::data], 4);
  EXPECT_EQ(parse_mesh("", 3)[Axis::data], 3);
}

TEST(MeshShape, has_tensor_innermost) {
  const MeshShape shape = parse_mesh("data=2,pipeline=2,spatial=3,tensor=2");
  EXPECT_EQ(shape.coordinates(1), (std::array<int, 4>{0, 0, 0, 1}));
  EXPECT_EQ(shape.coordinates(2), (std::array<int, 4>{0, 0, 1, 0}));
  for (int rank = 0; rank < shape.ranks(); ++rank) EXPECT_EQ(shape.rank(shape.coordinates(rank)), rank);
}

TEST(MeshShape, names_what_is_wrong_with_it) {
  EXPECT_THAT(complaint([] { parse_mesh("spacial=2"); }), HasSubstr("did you mean 'spatial'"));
  EXPECT_THAT(complaint([] { parse_mesh("data=2,data=2"); }), HasSubstr("data is given twice"));
  EXPECT_THAT(complaint([] { parse_mesh("data=0"); }), HasSubstr("data=0"));
  EXPECT_THAT(complaint([] { parse_mesh("data=2x"); }), HasSubstr("data=2x"));
  EXPECT_THAT(complaint([] { parse_mesh("data"); }), HasSubstr("AXIS=RANKS"));
  EXPECT_THAT(complaint([] { parse_mesh("data=2000000,spatial=2000000"); }), HasSubstr("2^31"));
  EXPECT_THAT(complaint([] { parse_mesh("spatial=3", 8); }), HasSubstr("the program runs on 8"));
  EXPECT_THAT(complaint([] { parse_mesh("data=2", 8); }), HasSubstr("of 2 ranks"));
}

TEST(Layout, prints_itself_and_refuses_two_axes_on_one_dimension) {
  const Layout layout = Layout(3).with(Axis::spatial, sharded(1)).with(Axis::tensor, partial);
  EXPECT_EQ(layout.to_string(), "[-, spatial, -] partial over tensor");
  EXPECT_EQ(layout.dual().to_string(), "[-, spatial, -] partial over data, pipeline");
  EXPECT_EQ(layout.dual().dual(), layout);
  EXPECT_THROW(layout.with(Axis::data, sharded(1)), Error);
  EXPECT_THROW(layout.with(Axis::data, sharded(3)), Error);
}

TEST(Redistribution, makes_tensors_smaller_first) {
  const Layout from = Layout(2).with(Axis::spatial, sharded(0)).with(Axis::tensor, partial);
  const Layout to = Layout(2).with(Axis::tensor, sharded(1));
  const auto steps = plan_redistribution(from, to);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(movement(steps[0].from, steps[0].to), Movement::reduce_scatter);
  EXPECT_EQ(movement(steps[1].from, steps[1].to), Movement::all_gather);
}

TEST(Redistribution, lets_one_axis_give_way_where_two_swap) {
  const Layout from = Layout(2).with(Axis::data, sharded(0)).with(Axis::spatial, sharded(1));
  const Layout to = Layout(2).with(Axis::data, sharded(1)).with(Axis::spatial, sharded(0));
  std::vector<Movement> movements;
  for (const auto& step : plan_redistribution(from, to)) movements.push_back(movement(step.from, step.to));
  EXPECT_EQ(movements, (std::vector{Movement::all_gather, Movement::all_to_all, Movement::slice}));
}

TEST(Redistribution, is_closed_under_adjoints) {
  using Pair = std::pair<Movement, Movement>;
  for (const auto& [there, back] :
       {Pair{Movement::slice, Movement::pad}, Pair{Movement::all_gather, Movement::reduce_scatter},
        Pair{Movement::all_reduce, Movement::all_reduce}, Pair{Movement::keep_first, Movement::keep_first},
        Pair{Movement::all_to_all, Movement::all_to_all}}) {
    bool found = false;
    for (const Placement from : {replicated, partial, sharded(0), sharded(1)})
      for (const Placement to : {replicated, partial, sharded(0), sharded(1)}) {
        if (movement(from, to) != there) continue;
        found = true;
        const Layout first = Layout(2).with(Axis::data, from), second = Layout(2).with(Axis::data, to);
        EXPECT_EQ(movement(second.dual()[Axis::data], first.dual()[Axis::data]), back) << name_of(there);
      }
    EXPECT_TRUE(found);
  }
}

}  // namespace
}  // namespace zonda::parallel
