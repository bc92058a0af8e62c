#include "model/training/distillation/regional_crop.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "model/network/token_grid.hpp"
#include "tests/model/forecast_state/regional_layout.hpp"

namespace zonda::model {
namespace {

const Grid global = Grid::gaussian(24, 48);  // 7.5 degrees
const RegionConfig europe{.north = 80, .south = 18, .west = 320, .east = 60};

TEST(RegionalCrop, TakesWholePatchesAcrossTheMeridian) {
  const RegionalCrop crop(global, europe, 2, 2);
  EXPECT_EQ(crop.grid().nlat() % 2, 0U);
  EXPECT_EQ(crop.tokens() * 4, crop.points());
  std::vector<float> whole(2 * global.size()), part(2 * crop.points());
  for (std::size_t c = 0; c < 2; ++c)
    for (std::size_t y = 0; y < 24; ++y)
      for (std::size_t x = 0; x < 48; ++x)
        whole[(c * 24 + y) * 48 + x] =
            static_cast<float>(global.latitudes()[y] * 1000 + global.longitudes()[x]) + (c == 1 ? 0.25F : 0.0F);
  crop.fields(whole, part);
  const std::size_t columns = crop.grid().nlon();
  for (std::size_t y = 0; y < crop.grid().nlat(); ++y)
    for (std::size_t x = 0; x < columns; ++x)
      EXPECT_EQ(part[crop.points() + y * columns + x],
                static_cast<float>(crop.grid().latitudes()[y] * 1000 + crop.grid().longitudes()[x]) + 0.25F);
  for (const double latitude : crop.grid().latitudes()) {
    EXPECT_LE(latitude, europe.north);
    EXPECT_GE(latitude, europe.south);
  }
}

TEST(RegionalCrop, ItsTokensAreWhereTheTeachersAre) {
  const RegionalCrop crop(global, europe, 2, 2);
  const TokenGrid whole(global, 2), part(crop.grid(), 2);
  const std::vector<double> features = whole.position_features(), expected = part.position_features();
  const std::vector<float> narrow(features.begin(), features.end());
  std::vector<float> taken(crop.tokens() * TokenGrid::feature_count);
  crop.token_rows(narrow, TokenGrid::feature_count, taken);
  for (std::size_t i = 0; i < taken.size(); ++i) ASSERT_NEAR(taken[i], expected[i], 1e-5) << i;
}

TEST(RegionalCrop, GivesTheStudentTheTeachersNormalisationAndABoundary) {
  ForecastLayout teacher = regional_layout();
  teacher.boundary.reset();
  teacher.grid = global;
  teacher.static_channels = {{"lsm", 0}};
  for (std::size_t i = 0; i < global.size(); ++i) teacher.static_fields.push_back(i % 3 == 0 ? 1.0F : 0.0F);
  const RegionalCrop crop(global, europe, 2, 2);
  const ForecastLayout student = crop.student_layout(teacher, {Duration{6 * 3600}});
  EXPECT_EQ(student.boundary->width, 2);
  EXPECT_EQ(student.steps, std::vector<Duration>{Duration{6 * 3600}});
  EXPECT_EQ(student.normalisation.mean, teacher.normalisation.mean);
  EXPECT_EQ(student.normalisation.tendency_stddev.size(), 1U);
  const ForecastStep whole(teacher), part(student);
  std::vector<float> expected(crop.points());
  crop.fields(whole.statics(), expected);
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(part.statics()[i], expected[i], 1e-6);
  EXPECT_THROW(crop.student_layout(teacher, {Duration{18 * 3600}}), Error);
}

TEST(RegionalCrop, ARegionThatIsTooSmallIsRefused) {
  EXPECT_THROW(RegionalCrop(global, {.north = 50, .south = 40, .west = 0, .east = 30}, 2, 2), Error);
  EXPECT_THROW(RegionalCrop(global, europe, 2, 8), Error);
}

}  // namespace
}  // namespace zonda::model
