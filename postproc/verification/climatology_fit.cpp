#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "postproc/verification/climatology.hpp"
#include "postproc/verification/field_series.hpp"

namespace zonda::postproc {
namespace {

constexpr std::size_t memory_budget = std::size_t{256} << 20;  // bytes of accumulators a rank

std::vector<std::size_t> times_of(const FieldSeries& series, const ClimatologyDefinition& definition) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < series.times().size(); ++i)
    if (series.times()[i] >= definition.first && series.times()[i] <= definition.last) indices.push_back(i);
  return indices;
}

[[noreturn]] void missing_value(const FieldSeries& series, std::size_t channel, std::size_t time) {
  fail(ErrorKind::data, "climatology: {} has a missing value at {}", series.channels()[channel].name(),
       to_string(series.times()[time]));
}

/// Normal equations: the matrix depends on the times alone, so it is factored once; the right side is one sum a point.
void fit_harmonics(const FieldSeries& series, const ClimatologyDefinition& definition, std::size_t row_begin,
                   std::size_t row_end, ClimatologyFile& file) {
  const std::vector<std::size_t> times = times_of(series, definition);
  const std::size_t terms = definition.fields(), channels = series.channels().size(), nlon = series.grid().nlon();
  const auto size = static_cast<Eigen::Index>(terms);
  std::vector<Eigen::VectorXd> basis;
  Eigen::MatrixXd normal = Eigen::MatrixXd::Zero(size, size);
  for (const std::size_t time : times) {
    Eigen::VectorXd row(size);
    for (const auto& [field, weight] : definition.combination(series.times()[time]))
      row[static_cast<Eigen::Index>(field)] = weight;
    normal += row * row.transpose();
    basis.push_back(std::move(row));
  }
  const Eigen::LLT<Eigen::MatrixXd> factor(normal);
  if (factor.info() != Eigen::Success || factor.rcond() < 1e-10)
    fail(ErrorKind::data, "climatology: {} times from {} to {} cannot tell {} harmonics apart", times.size(),
         to_string(definition.first), to_string(definition.last), (terms - 1) / 2);

  const std::size_t row_bytes = (terms + 2) * channels * nlon * sizeof(double);
  const std::size_t block = std::clamp<std::size_t>(memory_budget / row_bytes, 1, row_end - row_begin);
  for (std::size_t begin = row_begin; begin < row_end; begin += block) {
    const std::size_t end = std::min(begin + block, row_end), points = channels * (end - begin) * nlon;
    std::vector<float> values(points), origin(points);
    std::vector<double> right(terms * points, 0.0);
    for (std::size_t n = 0; n < times.size(); ++n) {
      series.read(times[n], begin, end, values);
      if (n == 0) origin = values;
      for (std::size_t i = 0; i < points; ++i)
        if (!std::isfinite(values[i])) missing_value(series, i / ((end - begin) * nlon), times[n]);
      for (std::size_t k = 0; k < terms; ++k) {
        const double weight = basis[n][static_cast<Eigen::Index>(k)];
        double* sums = right.data() + k * points;
        // The first time's field is subtracted: sums of large numbers would lose the small differences.
        for (std::size_t i = 0; i < points; ++i)
          sums[i] += weight * (static_cast<double>(values[i]) - static_cast<double>(origin[i]));
      }
    }
    Eigen::VectorXd side(size);
    std::vector<double> fitted(terms * points);
    for (std::size_t i = 0; i < points; ++i) {
      for (std::size_t k = 0; k < terms; ++k) side[static_cast<Eigen::Index>(k)] = right[k * points + i];
      const Eigen::VectorXd solution = factor.solve(side);
      for (std::size_t k = 0; k < terms; ++k)
        fitted[k * points + i] =
            solution[static_cast<Eigen::Index>(k)] + (k == 0 ? static_cast<double>(origin[i]) : 0.0);
    }
    const std::size_t slab = (end - begin) * nlon;
    for (std::size_t channel = 0; channel < channels; ++channel)
      for (std::size_t k = 0; k < terms; ++k)
        file.write(channel, k, begin, std::span(fitted).subspan(k * points + channel * slab, slab));
  }
}

/// WeatherBench 2: per hour, the years' values of each day of the year (day 366 of common years repeats day 365),
/// weighted over a window of 61 days with weights 0, 1/30, ... 1, ... 0, wrapped over the year's end.
void fit_window(const FieldSeries& series, const ClimatologyDefinition& definition, std::size_t row_begin,
                std::size_t row_end, ClimatologyFile& file) {
  constexpr std::size_t days = ClimatologyDefinition::days, slots = ClimatologyDefinition::slots;
  constexpr int half = static_cast<int>(ClimatologyDefinition::window / 2);
  struct Use {
    std::size_t time, day, slot;
    bool repeats;  ///< stands for day 366 as well
  };
  std::vector<Use> uses;
  std::vector<double> count(days * slots, 0.0);
  for (const std::size_t time : times_of(series, definition)) {
    const Time t = series.times()[time];
    const auto seconds = static_cast<long>(second_of_day(t));
    if (seconds % (86400 / static_cast<long>(slots)) != 0) continue;
    const auto day = static_cast<std::size_t>(day_of_year(t));
    const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(t));
    const Use use{time, day, static_cast<std::size_t>(seconds) * slots / 86400, day == 364 && !date.year().is_leap()};
    count[use.day * slots + use.slot] += 1;
    if (use.repeats) count[365 * slots + use.slot] += 1;
    uses.push_back(use);
  }
  const std::size_t nlon = series.grid().nlon();
  const std::size_t block =
      std::clamp<std::size_t>(memory_budget / (days * slots * nlon * sizeof(double)), 1, row_end - row_begin);
  Progress progress("climatology", static_cast<std::int64_t>(series.channels().size()), "channel");
  for (std::size_t channel = 0; channel < series.channels().size(); ++channel) {
    for (std::size_t begin = row_begin; begin < row_end; begin += block) {
      const std::size_t end = std::min(begin + block, row_end), points = (end - begin) * nlon;
      std::vector<double> sums(days * slots * points, 0.0);
      std::vector<float> values(points);
      std::vector<double> fitted(points);
      for (const Use& use : uses) {
        series.read_channel(use.time, channel, begin, end, values);
        for (std::size_t i = 0; i < points; ++i)
          if (!std::isfinite(values[i])) missing_value(series, channel, use.time);
        const auto add = [&](std::size_t day) {
          double* sum = sums.data() + (day * slots + use.slot) * points;
          for (std::size_t i = 0; i < points; ++i) sum[i] += values[i];
        };
        add(use.day);
        if (use.repeats) add(365);
      }
      std::vector<double> total(points);
      for (std::size_t slot = 0; slot < slots; ++slot) {
        for (std::size_t day = 0; day < days; ++day) {
          std::fill(total.begin(), total.end(), 0.0);
          double weights = 0;
          for (int offset = -half; offset <= half; ++offset) {
            const double weight = 1.0 - std::abs(offset) / static_cast<double>(half);
            const std::size_t other =
                (static_cast<std::size_t>(static_cast<int>(day + days) + offset) % days) * slots + slot;
            weights += weight * count[other];
            const double* sum = sums.data() + other * points;
            for (std::size_t i = 0; i < points; ++i) total[i] += weight * sum[i];
          }
          // An hour the archive never has is never asked for either; its fields stay empty.
          if (weights <= 0) continue;
          for (std::size_t i = 0; i < points; ++i) fitted[i] = total[i] / weights;
          file.write(channel, day * slots + slot, begin, fitted);
        }
      }
    }
    progress.update(static_cast<std::int64_t>(channel) + 1);
  }
  progress.finish();
}

}  // namespace

void fit_climatology_rows(const FieldSeries& series, const ClimatologyDefinition& definition, std::size_t row_begin,
                          std::size_t row_end, ClimatologyFile& file) {
  if (definition.windowed) {
    fit_window(series, definition, row_begin, row_end, file);
  } else {
    fit_harmonics(series, definition, row_begin, row_end, file);
  }
}

}  // namespace zonda::postproc
