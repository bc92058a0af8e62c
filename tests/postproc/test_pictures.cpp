// Pictures decode, have the expected size, show something, and are the same bytes each time.
#include <cairo.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "postproc/maps/chart.hpp"
#include "postproc/maps/map.hpp"
#include "postproc/maps/scorecard.hpp"

namespace zonda::postproc {
namespace {

class Pictures : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("zonda-pictures-" + std::to_string(::getpid()));
};

struct Decoded {
  int width = 0, height = 0;
  std::vector<unsigned> pixels;
  std::size_t colours() const { return std::set<unsigned>(pixels.begin(), pixels.end()).size(); }
  unsigned at(double x, double y) const {
    return pixels[static_cast<std::size_t>(y * height) * static_cast<std::size_t>(width) +
                  static_cast<std::size_t>(x * width)] &
           0xffffffu;
  }
};

Decoded decode(const std::filesystem::path& png) {
  cairo_surface_t* surface = cairo_image_surface_create_from_png(png.c_str());
  EXPECT_EQ(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS) << png;
  Decoded image;
  image.width = cairo_image_surface_get_width(surface);
  image.height = cairo_image_surface_get_height(surface);
  const unsigned char* data = cairo_image_surface_get_data(surface);
  for (int row = 0; row < image.height; ++row) {
    const auto* line = reinterpret_cast<const unsigned*>(data + row * cairo_image_surface_get_stride(surface));
    image.pixels.insert(image.pixels.end(), line, line + image.width);
  }
  cairo_surface_destroy(surface);
  return image;
}

std::vector<float> waves(const Grid& grid) {
  std::vector<float> field(grid.size());
  for (std::size_t i = 0; i < field.size(); ++i)
    field[i] = static_cast<float>(54000 + 3000 * std::cos(2 * grid.latitudes()[i / grid.nlon()] * M_PI / 180) +
                                  900 * std::sin(4 * grid.longitudes()[i % grid.nlon()] * M_PI / 180));
  return field;
}

TEST_F(Pictures, AMapHasItsSizeAndIsNotBlank) {
  const Grid grid = Grid::latlon(32, 64, false);
  draw_map(grid, waves(grid), {"z", 500}, "valid 2020-01-01 00 UTC", folder_ / "map.png");
  const Decoded image = decode(folder_ / "map.png");
  EXPECT_EQ(image.width, static_cast<int>(std::lround((2 * 18 + 30 + 900) * 1.6)));
  EXPECT_GT(image.height, image.width / 2);
  EXPECT_GT(image.colours(), 100U);
  EXPECT_NE(image.at(0.5, 0.5), 0xffffffu);
  EXPECT_EQ(image.at(0.999, 0.999), 0xffffffu);
}

TEST_F(Pictures, TheSameDrawingGivesTheSameBytes) {
  const Grid grid = Grid::gaussian(16, 32);
  for (const char* name : {"a.png", "b.png"}) draw_map(grid, waves(grid), {"z", 500}, "", folder_ / name);
  EXPECT_EQ(read_file(folder_ / "a.png"), read_file(folder_ / "b.png"));
}

TEST_F(Pictures, WhereTheFieldIsMissingTheMapIsGrey) {
  const Grid grid = Grid::latlon(32, 64, false);
  std::vector<float> field(grid.size(), std::nanf(""));
  for (std::size_t i = 0; i < grid.size() / 4; ++i) field[i] = 280;
  MapPanel panel{"", "", grid, field, field_style({"2t", 0}), {}, {}, false};
  draw_maps({.title = "2t", .subtitle = ""}, {&panel, 1}, folder_ / "missing.png");
  const Decoded image = decode(folder_ / "missing.png");
  EXPECT_EQ(image.at(0.53, 0.62), 0xe8e8e8u);
}

TEST_F(Pictures, EveryProjectionDraws) {
  const Grid grid = Grid::latlon(32, 64, false);
  for (const char* name : {"orthographic", "north-polar", "south-polar"}) {
    const MapPanel panel{"panel", "note", grid, waves(grid), field_style({"z", 500}), {}, {}, true};
    const std::vector<MapPanel> panels{panel, panel};
    MapSheet sheet{.title = name, .subtitle = "two", .columns = 2, .panel_width = 200, .scale = 1};
    sheet.projection.name = name;
    draw_maps(sheet, panels, folder_ / "p.png");
    const Decoded image = decode(folder_ / "p.png");
    EXPECT_EQ(image.width, 2 * 18 + 2 * (30 + 200 + 26) - 26) << name;
    EXPECT_GT(image.colours(), 50U) << name;
  }
}

TEST_F(Pictures, AFieldThatDoesNotFitItsGridIsRefused) {
  const MapPanel panel{"t", "", Grid::latlon(4, 8, false), std::vector<float>(7), field_style({"2t", 0}), {}, {}, true};
  try {
    draw_maps({}, {&panel, 1}, folder_ / "x.png");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "map 't': 7 values do not fit the grid latlon 4x8 no-poles");
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x.png"));
}

TEST_F(Pictures, LevelsMustAscend) {
  const Grid grid = Grid::latlon(4, 8, false);
  for (const std::vector<double>& levels : {std::vector<double>{5}, {5, 5}, {6, 5}}) {
    const MapPanel panel{"t",    "", grid, std::vector<float>(grid.size(), 1.0F), field_style({"2t", 0}),
                         levels, {}, true};
    EXPECT_THROW(draw_maps({}, {&panel, 1}, folder_ / "x.png"), Error);
  }
}

TEST_F(Pictures, ChartsDrawLinesOnBothKindsOfAxis) {
  Chart linear{.title = "RMSE", .x = {.label = "lead (h)"}, .y = {.label = "m", .from_zero = true}, .lines = {}};
  linear.lines.push_back({"forecast", {{6, 10}, {12, 20}, {24, 40}}, palette::forecast, 2, 0, true});
  Chart logarithmic{.title = "spectrum",
                    .x = {.label = "k", .logarithmic = true},
                    .y = {.label = "S", .logarithmic = true},
                    .lines = {}};
  logarithmic.lines.push_back({"truth", {{0, 5}, {1, 1e6}, {10, 1e3}, {100, 1}}, palette::truth, 2, 0, false});
  Chart empty{.title = "nothing", .x = {}, .y = {}, .lines = {}};
  draw_charts({.title = "t", .columns = 3, .chart_width = 300, .chart_height = 200, .scale = 1},
              std::vector<Chart>{linear, logarithmic, empty}, folder_ / "c.png");
  const Decoded image = decode(folder_ / "c.png");
  EXPECT_EQ(image.width, 2 * 14 + 3 * 300 + 2 * 18);
  EXPECT_GT(std::count_if(image.pixels.begin(), image.pixels.end(),
                          [](unsigned p) { return (p & 255) > (p >> 16 & 255) + 90; }),
            300);
  EXPECT_EQ(lead_step(240), 24);
  EXPECT_EQ(lead_step(48), 6);
}

TEST_F(Pictures, AScorecardColoursBetterBlueAndWorseRed) {
  Scorecard card{
      "card", "against persistence", {"24 h", "48 h"}, {{"z500", {-40.0, 40.0}}, {"t850", {std::nullopt, 0.0}}}};
  draw_scorecard(card, folder_ / "s.png");
  const Decoded image = decode(folder_ / "s.png");
  std::size_t blue = 0, red = 0;
  for (const unsigned p : image.pixels) {
    const unsigned r = p >> 16 & 255, b = p & 255;
    blue += b > r + 90 ? 1 : 0;
    red += r > b + 90 ? 1 : 0;
  }
  EXPECT_GT(blue, 1000U);
  EXPECT_GT(red, 1000U);
  card.rows[0].values.pop_back();
  EXPECT_THROW(draw_scorecard(card, folder_ / "t.png"), Error);
}

}  // namespace
}  // namespace zonda::postproc
