#include "inference/edge/hub/feed_maker.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "core/state.hpp"
#include "ingest/cf/cf_writer.hpp"
#include "tests/inference/edge/hub_folder.hpp"

namespace zonda::edge {
namespace {

using namespace std::chrono_literals;

const Time cycle = parse_time("2019-03-04T06");
const std::vector<Channel> channels{parse_channel("z500"), parse_channel("t850"), parse_channel("t500")};

/// A number that says where and when it is.
float number(std::size_t channel, std::size_t cell, Duration lead) {
  return static_cast<float>(200 + 20 * static_cast<double>(channel) + 0.01 * static_cast<double>(cell) +
                            static_cast<double>(lead.count()) / 86400);
}

class FeedMaker : public ::testing::Test {
 protected:
  testing::Folder folder{"feed_maker"};
  Grid host = Grid::latlon(24, 48, false);
  /// Rows 2 to 10 and columns 44 to 5, over the meridian.
  Grid::Window window = host.window(host.latitudes()[2] + 0.1, host.latitudes()[10] - 0.1, 329.9, 37.6);
  FeedDemand demand{"europe", host.sub_grid(window), {channels[1], channels[0]}, 2, Duration(6h)};

  void write(const std::string& name, std::optional<Time> reference, std::initializer_list<Duration> leads) {
    ingest::CfOptions options;
    options.reference_time = reference;
    ingest::CfWriter writer(folder.path / name, host, channels, options);
    for (const Duration lead : leads) {
      State state(host, channels, cycle + lead);
      for (std::size_t c = 0; c < channels.size(); ++c)
        for (std::size_t i = 0; i < host.size(); ++i) state.field(c)[i] = number(c, i, lead);
      writer.write(state);
    }
    writer.close();
  }
  std::string fault(const FeedDemand& wanted) {
    try {
      make_feed(folder.path / "forecast.nc", folder.path / "states.nc", wanted, 0);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "";
  }
};

TEST_F(FeedMaker, CutsTheRegionOutOfAForecastAndItsInitialStates) {
  ASSERT_EQ(window.columns, 10u);
  write("states.nc", std::nullopt, {Duration(-12h), Duration(-6h), Duration(0h)});
  write("forecast.nc", cycle, {Duration(6h), Duration(12h), Duration(18h)});
  const BoundaryFeed feed = make_feed(folder.path / "forecast.nc", folder.path / "states.nc", demand, 0);
  EXPECT_EQ(feed.cycle, cycle);
  EXPECT_EQ(feed.leads, (std::vector<Duration>{Duration(6h), Duration(12h), Duration(18h)}));
  EXPECT_EQ(to_string(feed.reach()), "2019-03-05T00:00:00Z");
  const auto cells = ring_cells(demand.grid.nlat(), demand.grid.nlon(), 2);
  const auto host_cell = [&](std::size_t cell) {
    const std::size_t row = cell / window.columns, column = cell % window.columns;
    return (window.first_row + row) * host.nlon() + (window.first_column + column) % host.nlon();
  };
  for (std::size_t c = 0; c < 2; ++c) {
    const std::size_t of_host = c == 0 ? 1 : 0;
    for (std::size_t cell = 0; cell < demand.grid.size(); ++cell) {
      ASSERT_EQ(feed.previous[c * demand.grid.size() + cell], number(of_host, host_cell(cell), Duration(-6h)));
      ASSERT_EQ(feed.current[c * demand.grid.size() + cell], number(of_host, host_cell(cell), Duration(0h)));
    }
    for (std::size_t lead = 0; lead < 3; ++lead)
      for (std::size_t i = 0; i < cells.size(); ++i)
        ASSERT_EQ(feed.strip(lead)[c * cells.size() + i], number(of_host, host_cell(cells[i]), feed.leads[lead]));
  }
  write_feed(folder.path / "a.feed", feed);
  EXPECT_EQ(read_feed(folder.path / "a.feed").strips, feed.strips);
}

TEST_F(FeedMaker, NamesWhatIsMissing) {
  write("states.nc", std::nullopt, {Duration(0h)});
  write("forecast.nc", cycle, {Duration(6h), Duration(18h)});
  EXPECT_NE(fault(demand).find("2019-03-04T00:00:00Z"), std::string::npos);
  write("states.nc", std::nullopt, {Duration(-6h), Duration(0h)});
  EXPECT_NE(fault(demand).find("lead 12h is missing"), std::string::npos);
  FeedDemand other = demand;
  other.channels.push_back(parse_channel("2t"));
  EXPECT_NE(fault(other).find("2t"), std::string::npos);
  other = demand;
  other.grid = Grid::regional(60, 40, 9, 350, 20, 9);
  EXPECT_NE(fault(other).find("not a part of its grid"), std::string::npos);
}

}  // namespace
}  // namespace zonda::edge
