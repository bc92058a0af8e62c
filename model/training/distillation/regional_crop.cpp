#include "model/training/distillation/regional_crop.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::model {
namespace {

std::string text_of(const RegionConfig& r) {
  return fmt::format("{} to {} degrees north, {} to {} degrees east", r.south, r.north, r.west, r.east);
}

/// Whole patches within the cells of the region.
Grid::Window whole_patches(const Grid& global, const RegionConfig& region, std::size_t patch) {
  Grid::Window window = global.window(region.north, region.south, region.west, region.east);
  const auto shrink = [patch](std::size_t& first, std::size_t& count) {
    const std::size_t begin = (first + patch - 1) / patch * patch, end = (first + count) / patch * patch;
    first = begin;
    count = end > begin ? end - begin : 0;
  };
  shrink(window.first_row, window.rows);
  shrink(window.first_column, window.columns);
  return window;
}

void require_interior(std::size_t rows, std::size_t columns, const std::string& where, int width) {
  const auto least = static_cast<std::size_t>(2 * width + 1);
  if (rows < least || columns < least)
    fail(ErrorKind::usage,
         "distill.region: {} holds {} x {} cells in whole patches; a ring of {} cells and an interior need at least {} "
         "in each direction",
         where, rows, columns, width, least);
}

/// Whole patches around the middle.
Grid projected_grid(const RegionConfig& r, std::size_t patch, int width) {
  const auto cells = [&](double length) {
    return static_cast<std::size_t>(std::max(0.0, std::floor(length / r.spacing + 1e-9))) / patch * patch;
  };
  const std::size_t rows = cells(r.height), columns = cells(r.width);
  require_interior(rows, columns, fmt::format("{} x {} m of {}", r.height, r.width, *r.projection), width);
  const double up = 0.5 * r.spacing * static_cast<double>(rows - 1),
               right = 0.5 * r.spacing * static_cast<double>(columns - 1);
  return Grid::projected(MapProjection::parse(*r.projection), r.centre_y + up, r.centre_y - up, rows,
                         r.centre_x - right, r.centre_x + right, columns);
}

Grid grid_of(const Grid& global, const RegionConfig& region, std::size_t patch, int width) {
  if (region.projection) return projected_grid(region, patch, width);
  const Grid::Window window = whole_patches(global, region, patch);
  require_interior(window.rows, window.columns, text_of(region) + " of the grid " + global.to_string(), width);
  if (window.columns >= global.nlon())
    fail(ErrorKind::usage, "distill.region: {} goes around the globe, and has no lateral boundary", text_of(region));
  return global.sub_grid(window);
}

/// A channel of a normalised state, SI.
std::vector<float> restored(const Normalisation& normalisation, std::size_t channel, std::span<const float> field) {
  std::vector<float> values(field.size());
  for (std::size_t i = 0; i < field.size(); ++i)
    values[i] =
        static_cast<float>(static_cast<double>(field[i]) * normalisation.stddev[channel] + normalisation.mean[channel]);
  return values;
}

void put_normalised(const Normalisation& normalisation, std::size_t channel, std::span<const float> values,
                    std::span<float> field) {
  for (std::size_t i = 0; i < field.size(); ++i)
    field[i] = static_cast<float>((static_cast<double>(values[i]) - normalisation.mean[channel]) /
                                  normalisation.stddev[channel]);
}

}  // namespace

RegionalCrop::RegionalCrop(const Grid& global, const RegionConfig& region, int patch, int width)
    : global_(global),
      grid_(grid_of(global, region, static_cast<std::size_t>(patch), width)),
      width_(width),
      regridder_(global_, grid_, "distill.region") {
  const auto p = static_cast<std::size_t>(patch);
  const std::size_t columns = global.nlon() / p, rows = global.nlat() / p;
  for (std::size_t i = 0; i < grid_.nlat() / p; ++i)
    for (std::size_t j = 0; j < grid_.nlon() / p; ++j) {
      std::size_t cell = regridder_.shares(i * p * grid_.nlon() + j * p)[0].cell;  // of a part of the global grid
      if (grid_.projection()) {
        const double half = 0.5 * static_cast<double>(p - 1);
        const GeographicPoint centre =
            grid_.projection()->inverse({grid_.x()[j * p] + half * (grid_.x()[1] - grid_.x()[0]),
                                         grid_.y()[i * p] + half * (grid_.y()[1] - grid_.y()[0])});
        const auto at = global.place(centre);
        const auto row =
            static_cast<std::size_t>(std::clamp(std::round(at->row), 0.0, static_cast<double>(global.nlat() - 1)));
        cell = row * global.nlon() + static_cast<std::size_t>(std::llround(at->column)) % global.nlon();
      }
      tokens_.push_back(std::min(cell / global.nlon() / p, rows - 1) * columns + cell % global.nlon() / p);
    }
}

void RegionalCrop::fields(std::span<const float> global, std::span<float> regional) const {
  regridder_.state({}, global, regional);
}

void RegionalCrop::state(const ForecastLayout& teacher, std::span<const float> global,
                         std::span<float> regional) const {
  fields(global, regional);
  if (!grid_.projection()) return;
  const Normalisation& normalisation = teacher.normalisation;
  std::vector<float> u(points()), v(points());
  for (const WindPair& pair : wind_pairs(teacher.channels)) {
    const auto of_host = [&](std::size_t channel) {
      return restored(normalisation, channel, global.subspan(channel * global_.size(), global_.size()));
    };
    regridder_.wind(of_host(pair.eastward), of_host(pair.northward), u, v);
    for (std::size_t cell = 0; cell < points(); ++cell)
      turn_to_axes(grid_, std::span(&cell, 1), std::span(u).subspan(cell, 1), std::span(v).subspan(cell, 1));
    put_normalised(normalisation, pair.eastward, u, regional.subspan(pair.eastward * points(), points()));
    put_normalised(normalisation, pair.northward, v, regional.subspan(pair.northward * points(), points()));
  }
}

void RegionalCrop::token_rows(std::span<const float> global, std::size_t n, std::span<float> regional) const {
  for (std::size_t t = 0; t < tokens_.size(); ++t)
    std::copy_n(global.begin() + static_cast<std::ptrdiff_t>(tokens_[t] * n), n,
                regional.begin() + static_cast<std::ptrdiff_t>(t * n));
}

ForecastLayout RegionalCrop::student_layout(const ForecastLayout& teacher, std::vector<Duration> steps) const {
  ForecastLayout layout = teacher;
  layout.grid = grid_;
  layout.boundary = LateralBoundary{width_};
  std::sort(steps.begin(), steps.end());
  for (const Duration step : steps)
    if (std::find(teacher.steps.begin(), teacher.steps.end(), step) == teacher.steps.end())
      fail(ErrorKind::usage, "distill.between: {} is no step of the teacher's", to_string(step));
  if (!steps.empty()) layout.steps = std::move(steps);
  std::erase_if(layout.normalisation.tendency_stddev, [&](const auto& entry) {
    return std::find(layout.steps.begin(), layout.steps.end(), entry.first) == layout.steps.end();
  });
  layout.static_fields.assign(layout.static_channels.size() * grid_.size(), 0);
  fields(teacher.static_fields, layout.static_fields);
  layout.static_mean.clear();
  layout.static_stddev.clear();
  const auto points = static_cast<double>(teacher.points());
  for (std::size_t s = 0; s < teacher.static_channels.size(); ++s) {
    const auto field = std::span(teacher.static_fields).subspan(s * teacher.points(), teacher.points());
    double sum = 0, squares = 0;
    for (const float x : field) sum += x;
    const double mean = sum / points;
    for (const float x : field) squares += (x - mean) * (x - mean);
    layout.static_mean.push_back(mean);
    layout.static_stddev.push_back(std::sqrt(squares / points));
  }
  return layout;
}

}  // namespace zonda::model
