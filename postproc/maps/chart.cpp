#include "postproc/maps/chart.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "postproc/maps/nice_scale.hpp"

namespace zonda::postproc {
namespace {

/// From a value to a place between two ends.
class Scale {
 public:
  Scale(const ChartAxis& axis, Range range, double begin, double end)
      : logarithmic_(axis.logarithmic), begin_(begin), end_(end) {
    if (logarithmic_) {
      minimum_ = std::log10(axis.minimum.value_or(range.minimum));
      maximum_ = std::log10(axis.maximum.value_or(range.maximum));
      if (maximum_ - minimum_ < 0.3) {
        minimum_ -= 0.15;
        maximum_ += 0.15;
      }
      for (int decade = static_cast<int>(std::floor(minimum_)); decade <= static_cast<int>(std::ceil(maximum_));
           ++decade)
        for (const int factor : {1, 2, 5}) {
          const double tick = factor * std::pow(10.0, decade);
          const bool shown = factor == 1 || maximum_ - minimum_ < 2.2;
          if (shown && std::log10(tick) >= minimum_ - 1e-9 && std::log10(tick) <= maximum_ + 1e-9)
            ticks_.push_back(tick);
        }
      const std::size_t most = 9;
      if (ticks_.size() > most) {
        std::vector<double> fewer;
        const std::size_t every = (ticks_.size() + most - 1) / most;
        for (std::size_t i = 0; i < ticks_.size(); i += every) fewer.push_back(ticks_[i]);
        ticks_ = fewer;
      }
      return;
    }
    minimum_ = axis.minimum.value_or(axis.from_zero ? std::min(0.0, range.minimum) : range.minimum);
    maximum_ = axis.maximum.value_or(range.maximum);
    if (!(maximum_ > minimum_)) maximum_ = minimum_ + std::max(1e-12, std::abs(minimum_) * 0.1);
    const double step = axis.step > 0 ? axis.step : nice_step(maximum_ - minimum_, 5);
    if (!axis.maximum && axis.step <= 0)
      maximum_ = covering_levels(minimum_, maximum_ + 0.02 * (maximum_ - minimum_), step).back();
    if (!axis.minimum && axis.step <= 0) minimum_ = covering_levels(minimum_, maximum_, step).front();
    ticks_ = ticks_within(minimum_, maximum_, step);
  }
  double place(double value) const {
    const double v = logarithmic_ ? std::log10(value) : value;
    return begin_ + (v - minimum_) / (maximum_ - minimum_) * (end_ - begin_);
  }
  const std::vector<double>& ticks() const { return ticks_; }
  std::string text(double tick) const { return logarithmic_ ? power_text(tick) : tick_text(tick); }

 private:
  bool logarithmic_;
  double begin_, end_, minimum_ = 0, maximum_ = 1;
  std::vector<double> ticks_;
};

bool can_show(const Chart& chart, const std::pair<double, double>& p) {
  return std::isfinite(p.first) && std::isfinite(p.second) && (!chart.x.logarithmic || p.first > 0) &&
         (!chart.y.logarithmic || p.second > 0);
}

void draw_legend(Canvas& canvas, const Chart& chart, const Box& plot) {
  double x = plot.x;
  for (const ChartLine& line : chart.lines) {
    if (line.label.empty()) continue;
    const double y = plot.y - 10;
    canvas.stroke(std::vector<Point>{{x, y}, {x + 18, y}}, {line.colour, line.width, line.dash});
    if (line.markers) canvas.fill_circle({x + 9, y}, 2.6, line.colour);
    canvas.text({x + 23, y + 3.5}, line.label, {.size = 10});
    x += 23 + canvas.text_width(line.label, 10) + 16;
  }
}

void draw_chart(Canvas& canvas, const Box& box, const Chart& chart) {
  const bool titled = !chart.title.empty();
  Box plot{box.x + 52, box.y + (titled ? 44 : 26), box.width - 62, box.height - (titled ? 44 : 26) - 40};
  std::vector<double> xs, ys;
  for (const ChartLine& line : chart.lines)
    for (const auto& p : line.points)
      if (can_show(chart, p)) {
        xs.push_back(p.first);
        ys.push_back(p.second);
      }
  const Scale y(chart.y, value_range(ys), plot.bottom(), plot.y);
  // Room for the widest number, and for the axis' name beyond it.
  double widest = 0;
  for (const double tick : y.ticks()) widest = std::max(widest, canvas.text_width(y.text(tick), 9.5));
  const double left = 24 + std::max(widest, 24.0);
  plot = {box.x + left, plot.y, box.width - left - 12, plot.height};
  if (titled) canvas.text({plot.x, box.y + 16}, chart.title, {.size = 12, .bold = true});
  draw_legend(canvas, chart, plot);
  if (xs.empty()) {
    canvas.stroke(plot, {palette::line, 1, 0});
    canvas.text({plot.x + plot.width / 2, plot.y + plot.height / 2}, "no values",
                {.size = 11, .colour = palette::muted, .align = Align::centre});
    return;
  }
  const Scale x(chart.x, value_range(xs), plot.x, plot.right());
  for (const double tick : y.ticks()) {
    const double at = y.place(tick);
    canvas.stroke(std::vector<Point>{{plot.x, at}, {plot.right(), at}}, {palette::line, 0.8, 0});
    canvas.text({plot.x - 6, at + 3.5}, y.text(tick), {.size = 9.5, .colour = palette::muted, .align = Align::right});
  }
  for (const double tick : x.ticks()) {
    const double at = x.place(tick);
    canvas.stroke(std::vector<Point>{{at, plot.bottom()}, {at, plot.bottom() + 4}}, {palette::muted, 0.8, 0});
    canvas.text({at, plot.bottom() + 15}, x.text(tick),
                {.size = 9.5, .colour = palette::muted, .align = Align::centre});
  }
  canvas.push_clip({plot.x - 4, plot.y - 4, plot.width + 8, plot.height + 8});
  for (const ChartLine& line : chart.lines) {
    std::vector<Point> points;
    for (const auto& p : line.points)
      if (can_show(chart, p)) points.push_back({x.place(p.first), y.place(p.second)});
    canvas.stroke(points, {line.colour, line.width, line.dash});
    if (line.markers)
      for (const Point& p : points) canvas.fill_circle(p, 2.6, line.colour);
  }
  canvas.pop_clip();
  canvas.stroke(std::vector<Point>{{plot.x, plot.bottom()}, {plot.right(), plot.bottom()}}, {palette::muted, 1, 0});
  canvas.text({plot.x + plot.width / 2, plot.bottom() + 32}, chart.x.label,
              {.size = 10.5, .colour = palette::ink, .align = Align::centre});
  canvas.text({box.x + 8, plot.y + plot.height / 2}, chart.y.label,
              {.size = 10.5, .colour = palette::ink, .align = Align::centre, .rotation = -constants::pi / 2});
}

}  // namespace

double lead_step(double last_hours) {
  for (const double step : {1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 72.0, 120.0, 240.0})
    if (last_hours / step <= 10) return step;
  return nice_step(last_hours, 10);
}

void draw_charts(const ChartSheet& sheet, std::span<const Chart> charts, const std::filesystem::path& png) {
  if (charts.empty()) fail(ErrorKind::usage, "{}: a sheet needs at least one chart", png.string());
  const std::size_t columns = std::clamp<std::size_t>(sheet.columns, 1, charts.size());
  const std::size_t rows = (charts.size() + columns - 1) / columns;
  constexpr double margin = 14, gap = 18;
  const double header = sheet.title.empty() ? 4 : sheet.subtitle.empty() ? 40 : 56;
  Canvas canvas(2 * margin + static_cast<double>(columns) * (sheet.chart_width + gap) - gap,
                header + static_cast<double>(rows) * (sheet.chart_height + gap), sheet.scale);
  canvas.text({margin + 10, 26}, sheet.title, {.size = 16, .bold = true});
  canvas.text({margin + 10, 44}, sheet.subtitle, {.size = 11, .colour = palette::muted});
  for (std::size_t i = 0; i < charts.size(); ++i)
    draw_chart(
        canvas,
        {margin + static_cast<double>(i % columns) * (sheet.chart_width + gap),
         header + static_cast<double>(i / columns) * (sheet.chart_height + gap), sheet.chart_width, sheet.chart_height},
        charts[i]);
  canvas.write_png(png);
}

}  // namespace zonda::postproc
