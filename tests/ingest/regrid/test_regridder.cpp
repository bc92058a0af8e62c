// Scalars between grids: what must hold exactly, and the orders of convergence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "ingest/regrid/regridder.hpp"
#include "smooth_fields.hpp"

namespace {

using namespace zonda;
using namespace zonda::regrid_test;
using ingest::Regridder;
using ingest::RegridMethod;
using ingest::Rows;

constexpr RegridMethod all_methods[] = {RegridMethod::nearest, RegridMethod::bilinear, RegridMethod::conservative,
                                        RegridMethod::conservative2};

/// Pairs that differ in every way: poles, none, Gaussian, another first longitude, finer, coarser, not commensurate.
std::vector<std::pair<Grid, Grid>> global_pairs() {
  return {{Grid::latlon(37, 72, true), Grid::latlon(19, 36, true)},
          {Grid::latlon(19, 36, true), Grid::latlon(37, 72, true)},
          {Grid::latlon(36, 72, false), Grid::gaussian(32, 64)},
          {Grid::gaussian(48, 96), Grid::latlon(24, 50, false, 180)},
          {Grid::latlon(33, 64, true, 1.25), Grid::gaussian(20, 41, 359)},
          {Grid::gaussian(16, 31, 100), Grid::latlon(91, 180, true, 0.7)}};
}

std::vector<double> random_field(const Grid& grid, const char* name) {
  const Philox random(7, name);
  std::vector<double> values(grid.size());
  for (std::size_t k = 0; k < values.size(); ++k) values[k] = random.normal(k);
  return values;
}

std::vector<double> regridded(const Regridder& regridder, const std::vector<double>& in) {
  std::vector<double> out(regridder.target().size());
  regridder.apply(in, out);
  return out;
}

TEST(Regridder, KeepsAConstant) {
  for (const auto& [source, target] : global_pairs()) {
    for (const RegridMethod method : all_methods) {
      const auto out = regridded(Regridder(source, target, method), std::vector<double>(source.size(), 1.0));
      double worst = 0;
      for (const double x : out) worst = std::max(worst, std::abs(x - 1));
      EXPECT_LE(worst, 1e-13) << source.to_string() << " -> " << target.to_string() << " " << to_string(method);
    }
  }
}

TEST(Regridder, ConservativeMethodsKeepTheIntegral) {
  for (const auto& [source, target] : global_pairs()) {
    for (const RegridMethod method : {RegridMethod::conservative, RegridMethod::conservative2}) {
      auto in = random_field(source, "integral");
      for (double& x : in) x += 3;
      const auto out = regridded(Regridder(source, target, method), in);
      EXPECT_NEAR(integral(target, out) / integral(source, in), 1, 1e-13)
          << source.to_string() << " -> " << target.to_string() << " " << to_string(method);
    }
  }
}

TEST(Regridder, NoNewExtremesExceptInSecondOrder) {
  for (const auto& [source, target] : global_pairs()) {
    const auto in = random_field(source, "extremes");
    const auto [low, high] = std::minmax_element(in.begin(), in.end());
    for (const RegridMethod method : {RegridMethod::nearest, RegridMethod::bilinear, RegridMethod::conservative}) {
      for (const double x : regridded(Regridder(source, target, method), in)) {
        ASSERT_GE(x, *low - 1e-12) << to_string(method);
        ASSERT_LE(x, *high + 1e-12) << to_string(method);
      }
    }
  }
}

// First order means: where one field lies above another everywhere, so do the results.
TEST(Regridder, FirstOrderIsMonotone) {
  for (const auto& [source, target] : global_pairs()) {
    const auto lower = random_field(source, "lower");
    auto upper = lower;
    const Philox random(3, "above");
    for (std::size_t k = 0; k < upper.size(); ++k) upper[k] += random.uniform(k);
    const Regridder regridder(source, target, RegridMethod::conservative);
    const auto a = regridded(regridder, lower), b = regridded(regridder, upper);
    for (std::size_t k = 0; k < a.size(); ++k) ASSERT_LT(a[k], b[k]);
  }
}

TEST(Regridder, TheAdjointIsTheTranspose) {
  for (const auto& [source, target] : global_pairs()) {
    for (const RegridMethod method : all_methods) {
      const Regridder regridder(source, target, method);
      const auto x = random_field(source, "x"), y = random_field(target, "y");
      const auto forward = regridded(regridder, x);
      std::vector<double> backward(source.size());
      regridder.apply_adjoint(y, backward);
      double left = 0, right = 0, size = 0;
      for (std::size_t k = 0; k < y.size(); ++k) left += forward[k] * y[k];
      for (std::size_t k = 0; k < x.size(); ++k) right += x[k] * backward[k];
      for (std::size_t k = 0; k < y.size(); ++k) size += std::abs(forward[k] * y[k]);
      EXPECT_NEAR(left, right, 1e-13 * size)
          << source.to_string() << " -> " << target.to_string() << " " << to_string(method);
    }
  }
}

TEST(Regridder, TheSameGridGivesTheSameField) {
  for (const Grid& grid :
       {Grid::latlon(19, 36, true), Grid::gaussian(16, 32, 90), Grid::regional(60, 25, 8, 350, 40, 11)}) {
    for (const RegridMethod method : all_methods) {
      const auto in = random_field(grid, "same");
      const auto out = regridded(Regridder(grid, grid, method), in);
      for (std::size_t k = 0; k < in.size(); ++k) ASSERT_NEAR(out[k], in[k], 1e-12) << to_string(method) << k;
    }
  }
}

/// Root-mean-square error (area-weighted) of regridding the vortex from n x 2n to a target that does not fit.
double vortex_error(RegridMethod method, std::size_t n) {
  const Grid source = Grid::latlon(n, 2 * n, false), target = Grid::gaussian(2 * (n / 3), 4 * (n / 3) + 1, 13);
  const bool means = method == RegridMethod::conservative || method == RegridMethod::conservative2;
  const auto in = means ? cell_means(source, vortex) : sampled(source, vortex);
  const auto wanted = means ? cell_means(target, vortex) : sampled(target, vortex);
  auto out = regridded(Regridder(source, target, method), in);
  for (std::size_t k = 0; k < out.size(); ++k) out[k] = std::pow(out[k] - wanted[k], 2);
  return std::sqrt(integral(target, out) / integral(target, std::vector<double>(target.size(), 1.0)));
}

TEST(Regridder, ConvergesAtItsOrderOnTheVortex) {
  const auto order = [](RegridMethod method) {
    const double coarse = vortex_error(method, 90), fine = vortex_error(method, 360);
    const double value = std::log2(coarse / fine) / 2;
    testing::Test::RecordProperty(std::string(to_string(method)), std::to_string(value));
    std::printf("%-14s error 2 deg %.3e, 0.5 deg %.3e, order %.2f\n", std::string(to_string(method)).c_str(), coarse,
                fine, value);
    return value;
  };
  EXPECT_NEAR(order(RegridMethod::nearest), 1, 0.15);
  EXPECT_NEAR(order(RegridMethod::bilinear), 2, 0.15);
  EXPECT_NEAR(order(RegridMethod::conservative), 1, 0.15);
  EXPECT_NEAR(order(RegridMethod::conservative2), 2, 0.15);
}

TEST(Regridder, NearestTakesTheValueOfTheNearestRowAndColumn) {
  const Grid source = Grid::latlon(19, 36, true), target = Grid::regional(54, 46, 3, 351, 14, 24);
  const auto in = sampled(source, [](double latitude, double longitude) { return 1000 * latitude + longitude; });
  const auto out = regridded(Regridder(source, target, RegridMethod::nearest), in);
  // 54 -> 50, 50 -> 50, 46 -> 50; 351 -> 350, 354 -> 350, 355 -> 0 (ties go east), 4 -> 0, 14 -> 10.
  EXPECT_EQ(out[0], 50350);
  EXPECT_EQ(out[3], 50350);
  EXPECT_EQ(out[4], 50000);
  EXPECT_EQ(out[13], 50000);
  EXPECT_EQ(out[2 * 24 + 23], 50010);
}

TEST(Regridder, BilinearBeyondTheLastRowUsesThePolarMean) {
  const Grid source = Grid::latlon(18, 36, false), target = Grid::latlon(37, 72, true);
  const auto in = random_field(source, "polar");
  const auto out = regridded(Regridder(source, target, RegridMethod::bilinear), in);
  double mean = 0;
  for (std::size_t j = 0; j < 36; ++j) mean += in[j] / 36;
  for (std::size_t j = 0; j < 72; ++j) EXPECT_NEAR(out[j], mean, 1e-12);
  // 85 N is the source's first row; its columns lie on every second target column.
  EXPECT_NEAR(out[72], in[0], 1e-12);
}

TEST(Regridder, CrossesThePrimeMeridian) {
  const Grid source = Grid::regional(60, 20, 9, 340, 30, 11), target = Grid::regional(50, 30, 5, 355, 10, 7);
  // Linear in both coordinates, with longitude counted from 180 W: bilinear is exact.
  const auto line = [](double latitude, double longitude) { return 2 * latitude + std::remainder(longitude, 360); };
  const auto out = regridded(Regridder(source, target, RegridMethod::bilinear), sampled(source, line));
  const auto wanted = sampled(target, line);
  for (std::size_t k = 0; k < out.size(); ++k) EXPECT_NEAR(out[k], wanted[k], 1e-11);
}

TEST(Regridder, RegionsCoarsenConservatively) {
  const Grid source = Grid::regional(59.5, 20.5, 40, 340.5, 29.5, 50),
             target = Grid::regional(58, 22, 10, 342.5, 27.5, 10);
  const auto in = random_field(source, "region");
  const auto out = regridded(Regridder(source, target, RegridMethod::conservative), in);
  EXPECT_NEAR(integral(source, in), integral(target, out),
              1e-13 * integral(source, std::vector<double>(in.size(), 1.0)));
}

TEST(Regridder, ATargetOutsideARegionalSourceIsAnError) {
  const Grid source = Grid::regional(60, 20, 9, 340, 30, 11);
  const auto message = [&](const Grid& target, RegridMethod method) -> std::string {
    try {
      Regridder(source, target, method);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "(no error)";
  };
  for (const RegridMethod method : all_methods) {
    EXPECT_THAT(message(Grid::latlon(19, 36, true), method),
                testing::HasSubstr("of the target lies outside the source"));
    EXPECT_THAT(message(Grid::regional(50, 30, 5, 10, 40, 7), method), testing::HasSubstr("longitude"));
    EXPECT_THAT(message(Grid::regional(50, 10, 5, 0, 10, 7), method), testing::HasSubstr("latitude"));
    EXPECT_EQ(message(Grid::regional(50, 30, 5, 350, 20, 7), method), "(no error)");
  }
}

TEST(Regridder, MissingValuesAreRenormalised) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Grid source = Grid::latlon(36, 72, false), target = Grid::latlon(18, 36, false, 2.5);
  auto in = random_field(source, "missing");
  // Target (4, 6) covers the source rows 8, 9 and columns 12, 13; (5, 6) rows 10, 11.
  in[8 * 72 + 12] = nan;
  in[10 * 72 + 12] = in[10 * 72 + 13] = in[11 * 72 + 12] = nan;
  const auto out = regridded(Regridder(source, target, RegridMethod::conservative), in);
  EXPECT_EQ(std::count_if(out.begin(), out.end(), [](double x) { return std::isnan(x); }), 1);
  EXPECT_TRUE(std::isnan(out[5 * 36 + 6])) << "a quarter is below one half";
  const double upper = source.cell_area(8), lower = source.cell_area(9);
  const double wanted = (upper * in[8 * 72 + 13] + lower * (in[9 * 72 + 12] + in[9 * 72 + 13])) / (upper + 2 * lower);
  EXPECT_NEAR(out[4 * 36 + 6], wanted, 1e-12);
  const auto lenient = regridded(Regridder(source, target, RegridMethod::conservative, 0.2), in);
  EXPECT_NEAR(lenient[5 * 36 + 6], in[11 * 72 + 13], 1e-12);
}

TEST(Regridder, AMissingNeighbourOfNoWeightDoesNotMatter) {
  const Grid source = Grid::latlon(19, 36, true), target = Grid::regional(60, 40, 3, 0, 20, 3);
  auto in = random_field(source, "neighbour");
  in[6 * 36 + 3] = std::numeric_limits<double>::quiet_NaN();  // 30 N, 30 E: next to the target's corner, not in it
  const auto out = regridded(Regridder(source, target, RegridMethod::bilinear), in);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(out[i * 3 + j], in[(3 + i) * 36 + j]);
  }
}

TEST(Regridder, MissingValuesAtThePoleToo) {
  const Grid source = Grid::latlon(18, 36, false), target = Grid::latlon(19, 36, true);
  std::vector<double> in(source.size(), 2.0);
  for (std::size_t j = 0; j < 18; ++j) in[j] = std::numeric_limits<double>::quiet_NaN();
  const auto half = regridded(Regridder(source, target, RegridMethod::bilinear), in);
  EXPECT_EQ(half[0], 2);
  in[18] = std::numeric_limits<double>::quiet_NaN();
  const auto less = regridded(Regridder(source, target, RegridMethod::bilinear), in);
  EXPECT_TRUE(std::isnan(less[0]));
}

TEST(Regridder, TheSameBitsOnAnyNumberOfThreadsAndCutIntoRows) {
  const Grid source = Grid::latlon(91, 180, true), target = Grid::gaussian(48, 96);
  const std::size_t fields = 3;
  const Philox random(1, "threads");
  std::vector<float> in(fields * source.size());
  for (std::size_t k = 0; k < in.size(); ++k) in[k] = static_cast<float>(random.normal(k));
  in[1234] = std::numeric_limits<float>::quiet_NaN();
  for (const RegridMethod method : all_methods) {
    const Regridder regridder(source, target, method);
    std::vector<float> one(fields * target.size()), many(one.size()), slabs(target.size());
    regridder.apply(in, one);
    for (const int threads : {2, 3, 7}) {
      regridder.apply(in, many, threads);
      EXPECT_EQ(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)), 0) << to_string(method) << threads;
    }
    for (std::size_t cut = 0; cut < target.nlat(); cut += 7) {
      const Rows rows{cut, std::min(cut + 7, target.nlat())};
      const Rows needed = regridder.source_rows(rows);
      EXPECT_LT(needed.size(), 24U);
      regridder.apply_rows(rows, std::span<const float>(in).subspan(needed.begin * 180, needed.size() * 180),
                           std::span(slabs).subspan(rows.begin * 96, rows.size() * 96));
    }
    EXPECT_EQ(std::memcmp(one.data(), slabs.data(), slabs.size() * sizeof(float)), 0) << to_string(method);
  }
}

TEST(Regridder, FieldsThatDoNotFitAreAnError) {
  const Regridder regridder(Grid::latlon(19, 36, true), Grid::latlon(7, 12, true), RegridMethod::bilinear);
  std::vector<float> in(2 * 19 * 36), out(7 * 12);
  EXPECT_THROW(regridder.apply(in, out), Error);
  EXPECT_THROW(regridder.source_rows({5, 8}), Error);
  EXPECT_THROW(Regridder(Grid::latlon(19, 36, true), Grid::latlon(7, 12, true), RegridMethod::bilinear, 0), Error);
}

TEST(Regridder, MethodsHaveNames) {
  for (const RegridMethod method : all_methods) EXPECT_EQ(ingest::parse_regrid_method(to_string(method)), method);
  try {
    ingest::parse_regrid_method("bilinaer");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), testing::HasSubstr("did you mean 'bilinear'"));
  }
}

TEST(Regridder, TheCacheTellsGridsAndMethodsApart) {
  const Grid a = Grid::latlon(19, 36, true), b = Grid::latlon(18, 36, false), c = Grid::latlon(19, 36, true, 5);
  const auto field = random_field(a, "cache");
  const Regridder first = ingest::cached_regridder(a, b, RegridMethod::bilinear);
  EXPECT_EQ(regridded(first, field), regridded(Regridder(a, b, RegridMethod::bilinear), field));
  EXPECT_EQ(ingest::cached_regridder(b, a, RegridMethod::bilinear).target(), a);
  EXPECT_EQ(ingest::cached_regridder(a, b, RegridMethod::nearest).method(), RegridMethod::nearest);
  EXPECT_EQ(ingest::cached_regridder(c, b, RegridMethod::bilinear).source(), c);
  EXPECT_EQ(ingest::cached_regridder(a, b, RegridMethod::bilinear, 0.9).minimum_valid(), 0.9);
  // Grids that differ by less than files round their coordinates are equal, but their weights are not.
  const Grid near = Grid::latlon(19, 36, true, 1e-7);
  ASSERT_EQ(near, a);
  EXPECT_EQ(ingest::cached_regridder(near, b, RegridMethod::bilinear).source().longitudes()[0], 1e-7);
  for (int turn = 0; turn < 2; ++turn) {
    for (std::size_t n = 4; n < 30; ++n) {  // more than the cache keeps
      const Regridder regridder = ingest::cached_regridder(a, Grid::latlon(n, 2 * n, false), RegridMethod::bilinear);
      EXPECT_EQ(regridder.target().nlat(), n);
    }
  }
}

}  // namespace
