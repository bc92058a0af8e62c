#include "postproc/maps/map.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "postproc/maps/contour.hpp"
#include "postproc/maps/field_sampler.hpp"

namespace zonda::postproc {
namespace {

constexpr double margin = 18, gap = 26, label_space = 30, title_space = 20, axis_space = 16, bar_space = 42;
const Colour missing = Colour::hex(0xe8e8e8);

/// Which colour a value has: bin k holds levels[k - 1] <= value < levels[k].
class Shading {
 public:
  /// Open at both ends, so that panels which share levels share their colours, whatever the range of each; closed where
  /// nothing can lie beyond (below 0 for speeds and amounts).
  Shading(const FieldStyle& style, std::vector<double> levels) : levels_(std::move(levels)) {
    under_ = levels_.front() != 0 || !(style.from_zero || !style.levels.empty());
    over_ = true;
    const std::size_t first = under_ ? 0 : 1, last = over_ ? levels_.size() : levels_.size() - 1;
    const ColourTable& table = colour_table(style.colours);
    colours_.resize(levels_.size() + 1);
    for (std::size_t k = 0; k < colours_.size(); ++k) {
      const double place = static_cast<double>(std::clamp(k, first, last) - first);
      colours_[k] = table.at(last > first ? place / static_cast<double>(last - first) : 0.5);
    }
  }
  std::size_t bin_of(double value) const {
    return static_cast<std::size_t>(std::upper_bound(levels_.begin(), levels_.end(), value) - levels_.begin());
  }
  const std::vector<double>& levels() const { return levels_; }
  const Colour& bin(std::size_t k) const { return colours_[k]; }
  bool under() const { return under_; }
  bool over() const { return over_; }

 private:
  std::vector<double> levels_;
  std::vector<Colour> colours_;
  bool under_, over_;
};

/// A pixel takes its colour from its centre; where its neighbours have another, from nine places, so that edges are
/// smooth.
void paint(Canvas& canvas, const Box& box, const Projection& projection, const FieldSampler& sampler,
           const Shading& shading) {
  const auto columns = static_cast<std::size_t>(std::lround(box.width * canvas.scale()));
  const auto rows = static_cast<std::size_t>(std::lround(box.height * canvas.scale()));
  /// The colour's bin, or -1 for a missing value, -2 off the map.
  const auto bin_at = [&](double column, double row) {
    const auto where = projection.inverse({column / static_cast<double>(columns), row / static_cast<double>(rows)});
    if (!where) return -2;
    const auto value = sampler.at(where->latitude, where->longitude);
    return value ? static_cast<int>(shading.bin_of(*value)) : -1;
  };
  std::vector<int> bins(columns * rows);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t column = 0; column < columns; ++column)
      bins[row * columns + column] = bin_at(static_cast<double>(column) + 0.5, static_cast<double>(row) + 0.5);
  const auto pixel = [&](std::span<const int> samples) {
    Colour sum{0, 0, 0, 0};
    for (const int bin : samples) {
      if (bin == -2) continue;
      const Colour& colour = bin == -1 ? missing : shading.bin(static_cast<std::size_t>(bin));
      sum = {sum.red + colour.red, sum.green + colour.green, sum.blue + colour.blue, sum.alpha + 1};
    }
    const auto byte = [&](double total) {
      return static_cast<std::uint32_t>(std::lround(255 * total / static_cast<double>(samples.size())));
    };
    return byte(sum.alpha) << 24 | byte(sum.red) << 16 | byte(sum.green) << 8 | byte(sum.blue);
  };
  std::vector<std::uint32_t> pixels(columns * rows);
  constexpr int fine = 3;
  std::vector<int> samples(fine * fine);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t column = 0; column < columns; ++column) {
      const std::size_t here = row * columns + column;
      const auto differs = [&](bool inside, std::size_t other) { return inside && bins[other] != bins[here]; };
      if (!differs(column > 0, here - 1) && !differs(column + 1 < columns, here + 1) &&
          !differs(row > 0, here - columns) && !differs(row + 1 < rows, here + columns)) {
        pixels[here] = pixel({&bins[here], 1});
        continue;
      }
      for (int k = 0; k < fine * fine; ++k)
        samples[static_cast<std::size_t>(k)] = bin_at(static_cast<double>(column) + (k % fine + 0.5) / fine,
                                                      static_cast<double>(row) + (k / fine + 0.5) / fine);
      pixels[here] = pixel(samples);
    }
  canvas.image(box, pixels, columns, rows);
}

/// A line of places, cut where the map has no place for it or jumps from one edge to the other.
void draw_places(Canvas& canvas, const Box& box, const Projection& projection, std::span<const GeoPoint> places,
                 const LineStyle& style) {
  std::vector<Point> line;
  const auto flush = [&] {
    if (line.size() > 1) canvas.stroke(line, style);
    line.clear();
  };
  for (const GeoPoint& place : places) {
    const auto point = projection.forward(place.latitude, place.longitude);
    if (!point) {
      flush();
      continue;
    }
    const Point here{box.x + point->x * box.width, box.y + point->y * box.height};
    if (!line.empty() && std::hypot(here.x - line.back().x, here.y - line.back().y) > 0.4 * box.width) flush();
    line.push_back(here);
  }
  flush();
}

std::string degrees_text(double value, char positive, char negative) {
  if (std::abs(value) < 1e-9) return "0°";
  return fmt::format("{:g}°{}", std::abs(value), value > 0 ? positive : negative);
}

void draw_graticule(Canvas& canvas, const Box& box, const Projection& projection, const Grid& grid) {
  const double lat_span = grid.latitude_bounds().front() - grid.latitude_bounds().back();
  const double lon_span = grid.periodic() ? 360 : static_cast<double>(grid.nlon()) * grid.longitude_step();
  const auto step_for = [](double span) {
    return span > 150 ? 30.0 : span > 60 ? 15.0 : span > 30 ? 10.0 : span > 12 ? 5.0 : span > 4 ? 2.0 : 1.0;
  };
  const double lat_step = step_for(lat_span), lon_step = projection.round() ? 30
                                                         : lon_span > 300   ? 60
                                                                            : step_for(lon_span);
  const LineStyle style{palette::ink.with_alpha(0.22), 0.5, 0};
  const TextStyle label{.size = 8.5, .colour = palette::muted};
  canvas.push_clip(box);
  for (double longitude = -180; longitude < 180; longitude += lon_step) {
    std::vector<GeoPoint> line;
    for (double latitude = -90; latitude <= 90; latitude += 1) line.push_back({latitude, longitude});
    draw_places(canvas, box, projection, line, style);
  }
  for (double latitude = -90 + lat_step; latitude < 90; latitude += lat_step) {
    std::vector<GeoPoint> line;
    for (double longitude = -180; longitude <= 180; longitude += 1) line.push_back({latitude, longitude});
    draw_places(canvas, box, projection, line, style);
  }
  canvas.pop_clip();
  if (projection.round()) return;
  for (double longitude = -180; longitude <= 180; longitude += lon_step) {
    const auto point =
        projection.forward(0.5 * (grid.latitude_bounds().front() + grid.latitude_bounds().back()), longitude);
    if (!point || point->x < -1e-6 || point->x > 1 + 1e-6) continue;
    TextStyle style_here = label;
    style_here.align = Align::centre;
    const std::string words = std::abs(std::abs(longitude) - 180) < 1e-9 ? "180°" : degrees_text(longitude, 'E', 'W');
    canvas.text({box.x + point->x * box.width, box.bottom() + 11}, words, style_here);
  }
  for (double latitude = -90 + lat_step; latitude < 90; latitude += lat_step) {
    const auto middle = projection.inverse({0.5, 0.5});
    const auto point = projection.forward(latitude, middle->longitude);
    if (!point || point->y < 0.01 || point->y > 0.99) continue;
    TextStyle style_here = label;
    style_here.align = Align::right;
    canvas.text({box.x - 4, box.y + point->y * box.height + 3}, degrees_text(latitude, 'N', 'S'), style_here);
  }
}

/// Writes the level on the line's straightest stretch that keeps clear of the labels already `taken`.
void label_line(Canvas& canvas, const Box& box, std::span<const Point> line, const std::string& words, double size,
                std::vector<Point>& taken) {
  constexpr std::size_t reach = 6;
  const double needed = canvas.text_width(words, size) + 6;
  double length = 0;
  for (std::size_t i = 1; i < line.size(); ++i)
    length += std::hypot(line[i].x - line[i - 1].x, line[i].y - line[i - 1].y);
  if (length < 4 * needed || line.size() < 2 * reach + 1) return;
  double best = 0;
  std::size_t chosen = 0;
  for (std::size_t i = reach; i + reach < line.size(); ++i) {
    const Point &a = line[i - reach], &b = line[i + reach];
    double path = 0;
    for (std::size_t k = i - reach; k < i + reach; ++k)
      path += std::hypot(line[k + 1].x - line[k].x, line[k + 1].y - line[k].y);
    const double straight = std::hypot(b.x - a.x, b.y - a.y) / path;
    const double level_ness = std::abs(b.x - a.x) / (std::hypot(b.x - a.x, b.y - a.y) + 1e-9);
    const bool inside = line[i].x > box.x + needed && line[i].x < box.right() - needed && line[i].y > box.y + 8 &&
                        line[i].y < box.bottom() - 8;
    const bool clear = std::none_of(taken.begin(), taken.end(), [&](const Point& other) {
      return std::abs(other.x - line[i].x) < 1.3 * needed && std::abs(other.y - line[i].y) < 1.6 * size;
    });
    const double merit = straight + 0.3 * level_ness;
    if (inside && clear && merit > best) {
      best = merit;
      chosen = i;
    }
  }
  if (chosen == 0) return;
  taken.push_back(line[chosen]);
  const Point &a = line[chosen - reach], &b = line[chosen + reach];
  double angle = std::atan2(b.y - a.y, b.x - a.x);
  if (angle > constants::pi / 2) angle -= constants::pi;
  if (angle < -constants::pi / 2) angle += constants::pi;
  const double drop = 0.35 * size;
  canvas.text({line[chosen].x - drop * std::sin(angle), line[chosen].y + drop * std::cos(angle)}, words,
              {.size = size, .colour = palette::ink, .align = Align::centre, .rotation = angle, .halo = 1.6});
}

void draw_isolines(Canvas& canvas, const Box& box, const Projection& projection, const FieldSampler& sampler,
                   double interval) {
  constexpr double mesh = 2.5;  // points
  const auto columns = static_cast<std::size_t>(box.width / mesh) + 1,
             rows = static_cast<std::size_t>(box.height / mesh) + 1;
  std::vector<double> values(rows * columns);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t column = 0; column < columns; ++column) {
      const auto where = projection.inverse({static_cast<double>(column) / static_cast<double>(columns - 1),
                                             static_cast<double>(row) / static_cast<double>(rows - 1)});
      const auto value = where ? sampler.at(where->latitude, where->longitude) : std::nullopt;
      values[row * columns + column] = value.value_or(std::nan(""));
    }
  const Range range = value_range(values);
  double step = interval;
  while ((range.maximum - range.minimum) / step > 28) step *= 2;
  canvas.push_clip(box);
  std::vector<std::pair<std::vector<Point>, double>> drawn;
  for (const double level : ticks_within(range.minimum, range.maximum, step))
    for (auto& line : contour_lines(values, rows, columns, level)) {
      for (Point& p : line) {
        p.x = box.x + p.x * box.width / static_cast<double>(columns - 1);
        p.y = box.y + p.y * box.height / static_cast<double>(rows - 1);
      }
      canvas.stroke(line, {palette::ink.with_alpha(0.75), 0.7, 0});
      drawn.emplace_back(std::move(line), level);
    }
  // Labels on top of all lines, on every second level.
  std::vector<Point> taken;
  for (const auto& [line, level] : drawn)
    if (std::lround(level / step) % 2 == 0) label_line(canvas, box, line, tick_text(level), 8, taken);
  canvas.pop_clip();
}

void draw_bar(Canvas& canvas, const Box& box, const Shading& shading, const std::string& unit) {
  const double thickness = 10, tip = 10;
  const double unit_width = unit.empty() ? 0 : canvas.text_width(unit, 10) + 8;
  const double left = box.x + tip, right = box.right() - tip - unit_width;
  const auto& levels = shading.levels();
  const double width = (right - left) / static_cast<double>(levels.size() - 1);
  const double middle = box.y + thickness / 2;
  for (std::size_t k = 1; k < levels.size(); ++k)
    // A hair wider than its share, lest the paper shines through between two bins.
    canvas.fill(
        Box{left + static_cast<double>(k - 1) * width, box.y, width + (k + 1 < levels.size() ? 0.4 : 0), thickness},
        shading.bin(k));
  std::vector<Point> outline{{left, box.y}, {right, box.y}};
  if (shading.over()) {
    canvas.fill(std::vector<Point>{{right, box.y}, {right + tip, middle}, {right, box.y + thickness}},
                shading.bin(levels.size()));
    outline.push_back({right + tip, middle});
  }
  outline.insert(outline.end(), {{right, box.y + thickness}, {left, box.y + thickness}});
  if (shading.under()) {
    canvas.fill(std::vector<Point>{{left, box.y}, {left - tip, middle}, {left, box.y + thickness}}, shading.bin(0));
    outline.push_back({left - tip, middle});
  }
  canvas.stroke(outline, {palette::muted, 0.6, 0}, true);
  double widest = 0;
  for (const double level : levels) widest = std::max(widest, canvas.text_width(tick_text(level), 9));
  const auto every = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil((widest + 6) / width)));
  // Equally spaced levels are counted from zero, so that the labelled ones are round and symmetric; others from the
  // first.
  const double step = levels.size() > 1 ? levels[1] - levels[0] : 1;
  const bool regular = std::all_of(levels.begin(), levels.end(), [&](double level) {
    return std::abs(level / step - std::round(level / step)) < 1e-6;
  });
  for (std::size_t k = 0; k < levels.size(); ++k) {
    const long number = regular ? std::lround(levels[k] / step) : static_cast<long>(k);
    if (number % static_cast<long>(every) != 0) continue;
    const double x = left + static_cast<double>(k) * width;
    canvas.stroke(std::vector<Point>{{x, box.y + thickness}, {x, box.y + thickness + 3}}, {palette::muted, 0.6, 0});
    canvas.text({x, box.y + thickness + 13}, tick_text(levels[k]),
                {.size = 9, .colour = palette::ink, .align = Align::centre});
  }
  if (!unit.empty()) canvas.text({box.right() - unit_width + 8, box.y + thickness - 1}, unit, {.size = 10});
}

void draw_panel(Canvas& canvas, const Box& box, const Projection& projection, const MapPanel& panel) {
  const FieldSampler sampler(panel.grid, panel.field, panel.style.scale, panel.style.offset, panel.style.smooth);
  const Shading shading(panel.style, panel.levels.empty()
                                         ? shading_levels(panel.style, value_range(sampler.values(), 0.001))
                                         : panel.levels);
  canvas.text({box.x, box.y - 6}, panel.title, {.size = 12, .bold = true});
  canvas.text({box.right(), box.y - 6}, panel.note, {.size = 10, .colour = palette::muted, .align = Align::right});
  paint(canvas, box, projection, sampler, shading);
  draw_graticule(canvas, box, projection, panel.grid);
  if (panel.coastlines) {
    canvas.push_clip(box);
    for (const auto& line : coastlines())
      draw_places(canvas, box, projection, line, {palette::ink.with_alpha(0.8), 0.65, 0});
    canvas.pop_clip();
  }
  if (panel.style.contour_interval > 0) {
    if (panel.isolines.empty()) {
      draw_isolines(canvas, box, projection, sampler, panel.style.contour_interval);
    } else {
      draw_isolines(canvas, box, projection,
                    FieldSampler(panel.grid, panel.isolines, panel.style.scale, panel.style.offset),
                    panel.style.contour_interval);
    }
  }
  const LineStyle frame{palette::ink, 0.8, 0};
  if (projection.round()) {
    canvas.stroke_circle({box.x + box.width / 2, box.y + box.height / 2}, box.width / 2, frame);
  } else {
    canvas.stroke(box, frame);
  }
  draw_bar(canvas, {box.x, box.bottom() + axis_space + 4, box.width, bar_space}, shading, panel.style.unit);
}

}  // namespace

std::string title_time(Time time) {
  const std::string text = to_string(time);  // 2018-10-11T18:00:00Z
  const bool whole = text.substr(14, 2) == "00";
  return text.substr(0, 10) + " " + text.substr(11, whole ? 2 : 5) + " UTC";
}

std::vector<double> shared_levels(const FieldStyle& style, std::span<const std::span<const float>> fields) {
  Range range{0, 0};
  bool first = true;
  for (const auto& field : fields) {
    std::vector<double> shown;
    for (const float value : field) shown.push_back(value * style.scale + style.offset);
    const Range own = value_range(shown, 0.001);
    range = first ? own : Range{std::min(range.minimum, own.minimum), std::max(range.maximum, own.maximum)};
    first = false;
  }
  return shading_levels(style, range);
}

void draw_maps(const MapSheet& sheet, std::span<const MapPanel> panels, const std::filesystem::path& png) {
  if (panels.empty()) fail(ErrorKind::usage, "{}: a sheet of maps needs at least one field", png.string());
  std::vector<std::unique_ptr<Projection>> projections;
  double tallest = 0;
  for (const MapPanel& panel : panels) {
    if (panel.field.size() != panel.grid.size())
      fail(ErrorKind::usage, "map '{}': {} values do not fit the grid {}", panel.title, panel.field.size(),
           panel.grid.to_string());
    if (!panel.levels.empty() &&
        (panel.levels.size() < 2 ||
         std::adjacent_find(panel.levels.begin(), panel.levels.end(), std::greater_equal<>()) != panel.levels.end()))
      fail(ErrorKind::usage, "map '{}': shading needs two levels or more, in ascending order", panel.title);
    projections.push_back(make_projection(sheet.projection, panel.grid));
    tallest = std::max(tallest, sheet.panel_width / projections.back()->aspect());
  }
  const std::size_t columns = std::clamp<std::size_t>(sheet.columns, 1, panels.size());
  const std::size_t rows = (panels.size() + columns - 1) / columns;
  const double cell_width = label_space + sheet.panel_width + gap;
  const bool titled = std::any_of(panels.begin(), panels.end(),
                                  [](const MapPanel& panel) { return !panel.title.empty() || !panel.note.empty(); });
  const double above = titled ? title_space : 0;
  const double cell_height = above + tallest + axis_space + bar_space + 6;
  const double header = sheet.title.empty() ? 10 : 58, footer = sheet.footer.empty() ? 6 : 22;
  Canvas canvas(2 * margin + static_cast<double>(columns) * cell_width - gap,
                header + static_cast<double>(rows) * cell_height + footer, sheet.scale);
  canvas.text({margin + label_space, 28}, sheet.title, {.size = 17, .bold = true});
  canvas.text({margin + label_space, 46}, sheet.subtitle, {.size = 11, .colour = palette::muted});
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const Box box{margin + label_space + static_cast<double>(i % columns) * cell_width,
                  header + above + static_cast<double>(i / columns) * cell_height, sheet.panel_width,
                  sheet.panel_width / projections[i]->aspect()};
    draw_panel(canvas, box, *projections[i], panels[i]);
  }
  canvas.text({margin + label_space, canvas.height() - 9}, sheet.footer, {.size = 9, .colour = palette::muted});
  canvas.write_png(png);
}

void draw_map(const Grid& grid, std::span<const float> field, const Channel& channel, const std::string& subtitle,
              const std::filesystem::path& png) {
  const FieldStyle style = field_style(channel);
  const MapPanel panel{"", "", grid, {field.begin(), field.end()}, style, {}, {}, true};
  draw_maps({.title = style.title, .subtitle = subtitle, .panel_width = 900}, {&panel, 1}, png);
}

}  // namespace zonda::postproc
