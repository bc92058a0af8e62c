// A region in the plane of a projection, from a teacher to a station: distilled, exported, fed and run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "core/state.hpp"
#include "core/wind_axes.hpp"
#include "inference/bundle/bundle.hpp"
#include "inference/edge/forecast/forecast_file.hpp"
#include "inference/edge/forecast/point_interpolation.hpp"
#include "inference/edge/hub/feed_maker.hpp"
#include "inference/edge/runtime/regional_model.hpp"
#include "inference/export/export_bundle.hpp"
#include "ingest/cf/cf_writer.hpp"
#include "tests/model/distillation/small_distillation.hpp"

namespace zonda::edge {
namespace {

const TurningWaves waves{
    .grid = Grid::latlon(16, 32, false), .channels = {{"z", 500}, {"t", 850}, {"u", 850}, {"v", 850}}, .times = 60};
constexpr Duration step{6 * 3600};

struct Lambert {
  static constexpr const char* projection = "+proj=lcc +lat_1=35 +lat_2=65 +lat_0=50 +lon_0=10";
  static constexpr const char* in_wkt = "Lambert Conic Conformal (2SP)";
  static constexpr const char* in_grid = "+proj=lcc +lat_1=35 +lat_2=65";
  static constexpr const char* another = "+proj=lcc +lat_1=36 +lat_2=65 +lat_0=50 +lon_0=10";
};
struct RotatedPole {
  static constexpr const char* projection = "+proj=ob_tran +o_proj=eqc +o_lat_p=40 +lon_0=10";
  static constexpr const char* in_wkt = "ob_tran o_proj=eqc";
  static constexpr const char* in_grid = "+proj=ob_tran +o_proj=eqc +o_lat_p=40 +o_lon_p=0 +lon_0=10";
  static constexpr const char* another = "+proj=ob_tran +o_proj=eqc +o_lat_p=41 +lon_0=10";
};

model::DistillConfig on_plane(const char* projection) {
  model::DistillConfig config = small_distillation(40);
  config.region = {.projection = projection, .spacing = 600'000, .width = 7'200'000, .height = 6'000'000};
  config.losses.features = 0.1;
  return config;
}

template <class Plane>
class ProjectedStation : public ::testing::Test {
 protected:
  static TemporaryFolder* folder;
  static nlohmann::json* acceptance;
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    waves.write(*folder / "archive");
    const auto teacher = train_teacher(*folder / "archive", *folder / ".", 60);
    const auto summary = model::run_distill(on_plane(Plane::projection), parallel::Communicator::self(), teacher,
                                            *folder / "archive", *folder / "student", false);
    acceptance = new nlohmann::json(summary.acceptance);
    inference::export_bundle({.model = summary.model, .to = *folder / "bundle", .name = "europe", .precision = "fp32"});
    write_states("states.nc", std::nullopt, {-step, Duration{0}});
    write_states("forecast.nc", cycle(), {step, 2 * step, 3 * step});
  }
  static void TearDownTestSuite() {
    delete acceptance;
    delete folder;
  }
  static Time cycle() { return waves.first + 50 * step; }
  static State host_state(Duration lead) {
    State state(waves.grid, waves.channels, cycle() + lead);
    const std::vector<float> fields = waves.fields(static_cast<std::size_t>(50 + lead / step));
    for (std::size_t c = 0; c < waves.channels.size(); ++c)
      std::copy_n(fields.begin() + static_cast<std::ptrdiff_t>(c * waves.grid.size()), waves.grid.size(),
                  state.field(c).begin());
    return state;
  }
  static void write_states(const std::string& name, std::optional<Time> reference, const std::vector<Duration>& leads) {
    ingest::CfOptions options;
    options.reference_time = reference;
    ingest::CfWriter writer(*folder / name, waves.grid, waves.channels, options);
    for (const Duration lead : leads) writer.write(host_state(lead));
    writer.close();
  }
  static BoundaryFeed feed() {
    return make_feed(*folder / "forecast.nc", *folder / "states.nc",
                     FeedDemand::of_bundle(*folder / "bundle", "europe"), 0);
  }
};
template <class Plane>
TemporaryFolder* ProjectedStation<Plane>::folder = nullptr;
template <class Plane>
nlohmann::json* ProjectedStation<Plane>::acceptance = nullptr;
using Planes = ::testing::Types<Lambert, RotatedPole>;
TYPED_TEST_SUITE(ProjectedStation, Planes);

TYPED_TEST(ProjectedStation, StudentIsJudgedOnItsOwnGrid) {
  const nlohmann::json judged = *TestFixture::acceptance;
  EXPECT_THAT(judged.at("grid").get<std::string>(), ::testing::StartsWith("projected 2700000..-2700000x10 "));
  for (const auto& rmse : judged.at("rmse"))
    for (const auto& variable : rmse.at("variables")) {
      EXPECT_GT(variable.at("student_rmse").get<double>(), 0);
      EXPECT_LT(variable.at("student_rmse").get<double>(), 2 * variable.at("stddev").get<double>());
    }
}

TYPED_TEST(ProjectedStation, BundleNamesItsReferenceSystemAndHoldsItsCells) {
  const auto bundle = inference::Bundle::open(*this->folder / "bundle");
  const inference::Region& region = bundle.manifest().region;
  EXPECT_THAT(region.crs_wkt, ::testing::HasSubstr(TypeParam::in_wkt));
  EXPECT_THAT(region.grid, ::testing::HasSubstr(TypeParam::in_grid));
  const Grid grid = Grid::parse(region.grid);
  EXPECT_EQ(bundle.entry("static/latitude").shape, (std::vector<std::int64_t>{10, 12}));
  EXPECT_GT(region.west, region.east) << "across the prime meridian";
  EXPECT_GT(region.north, 70);
  const auto again = inference::BundleManifest::parse(bundle.manifest().to_text(), "again");
  EXPECT_EQ(again.region, region);
}

TYPED_TEST(ProjectedStation, EdgeIsTheHostsAtEachStepAndWindsAreTrueOnes) {
  const auto model = RegionalModel::open(*this->folder / "bundle");
  const BoundaryFeed given = this->feed();
  const RegionalForecast forecast = model->run(given);
  ASSERT_EQ(forecast.leads.size(), 4U);
  const ingest::RegionRegridder regridder(waves.grid, given.grid, "host");
  EXPECT_EQ(regridder.method(), ingest::RegionRegridder::Method::bilinear);
  const auto pairs = wind_pairs(waves.channels);
  for (std::size_t lead = 0; lead < 4; ++lead) {
    const std::vector<float> host = waves.fields(50 + lead);
    std::vector<float> expected(waves.channels.size() * given.grid.size());
    regridder.state(pairs, host, expected);
    double inside = 0;
    for (std::size_t c = 0; c < waves.channels.size(); ++c)
      for (std::size_t cell = 0; cell < given.grid.size(); ++cell) {
        const std::size_t row = cell / 12, column = cell % 12;
        const double off = forecast.field(lead, c)[cell] - expected[c * given.grid.size() + cell],
                     size = model->layout().normalisation.stddev[c];
        if (row == 0 || row == 9 || column == 0 || column == 11 || lead == 0) {
          ASSERT_NEAR(off / size, 0, 3e-5) << forecast.channels[c].name() << " cell " << cell << " lead " << lead;
        } else {
          inside = std::max(inside, std::abs(off) / size);
        }
      }
    if (lead > 0) {
      EXPECT_GT(inside, 1e-3) << "the interior is the model's own";
    }
  }
}

TYPED_TEST(ProjectedStation, PointsAndFilesKnowTheProjection) {
  const auto model = RegionalModel::open(*this->folder / "bundle");
  const RegionalForecast forecast = model->run(this->feed());
  write_forecast(forecast, *this->folder / "forecast.zfc");
  const RegionalForecast again = open_forecast(*this->folder / "forecast.zfc");
  EXPECT_EQ(again.grid, forecast.grid);
  EXPECT_TRUE(std::equal(again.values.span().begin(), again.values.span().end(), forecast.values.span().begin()));
  const std::size_t cell = 4 * 12 + 7;
  const GeographicPoint at = forecast.grid.centre(cell);
  const auto weights = bilinear_weights(again.grid, at.latitude, at.longitude);
  ASSERT_TRUE(weights);
  EXPECT_NEAR(weights->at(again.field(2, 1)), forecast.field(2, 1)[cell], 1e-3);
  // Halfway between two centres in the plane, their mean.
  const MapProjection& plane = *forecast.grid.projection();
  const GeographicPoint between =
      plane.inverse({0.5 * (forecast.grid.x()[7] + forecast.grid.x()[8]), forecast.grid.y()[4]});
  const auto halves = bilinear_weights(again.grid, between.latitude, between.longitude);
  ASSERT_TRUE(halves);
  EXPECT_NEAR(halves->at(again.field(1, 0)), 0.5 * (forecast.field(1, 0)[cell] + forecast.field(1, 0)[cell + 1]), 0.1);
  EXPECT_FALSE(bilinear_weights(again.grid, 0, 10));
  EXPECT_FALSE(bilinear_weights(again.grid, -60, 200));
}

TYPED_TEST(ProjectedStation, AFeedOfAnotherPlaneIsRefused) {
  const auto model = RegionalModel::open(*this->folder / "bundle");
  BoundaryFeed other = this->feed();
  other.grid = Grid::parse(std::string("projected 2700000..-2700000x10 -3300000..3300000x12 ") + TypeParam::another);
  EXPECT_THROW(model->run(other), Error);
  const std::string bytes = encode_feed(this->feed());
  EXPECT_EQ(decode_feed(bytes, "feed").grid, this->feed().grid);
}

}  // namespace
}  // namespace zonda::edge
