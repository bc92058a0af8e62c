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

Grid grid_of(const Grid& global, const Grid::Window& window, const RegionConfig& region, int width) {
  const auto least = static_cast<std::size_t>(2 * width + 1);
  if (window.rows < least || window.columns < least)
    fail(ErrorKind::usage,
         "distill.region: {} holds {} x {} cells in whole patches of the grid {}; a ring of {} cells and an interior "
         "need at least {} in each direction",
         text_of(region), window.rows, window.columns, global.to_string(), width, least);
  if (window.columns >= global.nlon())
    fail(ErrorKind::usage, "distill.region: {} goes around the globe, and has no lateral boundary", text_of(region));
  return global.sub_grid(window);
}

}  // namespace

RegionalCrop::RegionalCrop(const Grid& global, const RegionConfig& region, int patch, int width)
    : global_(global),
      grid_(grid_of(global, whole_patches(global, region, static_cast<std::size_t>(patch)), region, width)),
      window_(whole_patches(global, region, static_cast<std::size_t>(patch))),
      width_(width) {
  const auto p = static_cast<std::size_t>(patch);
  const std::size_t columns = global.nlon() / p;
  for (std::size_t i = 0; i < window_.rows / p; ++i)
    for (std::size_t j = 0; j < window_.columns / p; ++j)
      tokens_.push_back((window_.first_row / p + i) * columns + (window_.first_column / p + j) % columns);
}

void RegionalCrop::fields(std::span<const float> global, std::span<float> regional) const {
  const std::size_t channels = global.size() / global_.size(), nlon = global_.nlon();
  auto out = regional.begin();
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t y = 0; y < window_.rows; ++y) {
      const auto row = global.subspan(c * global_.size() + (window_.first_row + y) * nlon, nlon);
      for (std::size_t x = 0; x < window_.columns; ++x) *out++ = row[(window_.first_column + x) % nlon];
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
