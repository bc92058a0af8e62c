#include "postproc/report/station_map.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "postproc/maps/canvas.hpp"
#include "postproc/maps/coastlines.hpp"
#include "postproc/maps/nice_scale.hpp"

namespace zonda::postproc {
namespace {

constexpr double margin = 24, header = 62, width = 720, height = width / 2, footer = 52;

Point place(double latitude, double longitude) {
  const double turned = longitude > 180 ? longitude - 360 : longitude;
  return {margin + (turned + 180) / 360 * width, header + (90 - latitude) / 180 * height};
}

}  // namespace

void draw_station_map(const std::string& title, const std::string& subtitle, const std::string& unit,
                      const std::vector<StationMark>& marks, bool coast, const std::filesystem::path& png,
                      StationScale scale) {
  Canvas canvas(width + 2 * margin, header + height + footer, 1.6);
  canvas.text({margin, 28}, title, {.size = 16, .bold = true});
  canvas.text({margin, 46}, subtitle, {.size = 11, .colour = palette::muted});
  const Box map{margin, header, width, height};
  canvas.push_clip(map);
  for (int degrees = -120; degrees <= 120; degrees += 60) {
    const std::vector<Point> meridian{place(90, degrees), place(-90, degrees)};
    canvas.stroke(meridian, {.colour = palette::line, .width = 0.7});
    if (degrees % 60 != 0 || std::abs(degrees) > 60) continue;
    const std::vector<Point> parallel{place(degrees, -180), place(degrees, 180)};
    canvas.stroke(parallel, {.colour = palette::line, .width = 0.7});
  }
  if (coast)
    for (const auto& line : coastlines()) {
      std::vector<Point> points;
      for (const GeoPoint& point : line) points.push_back(place(point.latitude, point.longitude));
      canvas.stroke(points, {.colour = palette::muted, .width = 0.6});
    }
  const bool signs = scale == StationScale::about_zero;
  std::vector<double> values;
  for (const StationMark& mark : marks) values.push_back(signs ? std::abs(mark.value) : mark.value);
  // The highest few may lie beyond the end of the scale.
  const double range = std::max(value_range(values, 0.02).maximum, 1e-12), step = nice_step(range, 6),
               last = covering_levels(0, range, step).back(), first = signs ? -last : 0;
  const ColourTable colours =
      signs ? ColourTable({Colour::hex(0xb3401f), Colour::hex(0xf2c9a5), Colour::hex(0xf7f5ef), Colour::hex(0x9fc3d9),
                           Colour::hex(0x1f5f99)})
            : ColourTable({Colour::hex(0xf2e3b3), Colour::hex(0xf2a65a), Colour::hex(0xb3401f), Colour::hex(0x5b2a86)});
  const auto part = [&](double value) { return (value - first) / (last - first); };
  for (const StationMark& mark : marks) {
    canvas.fill_circle(place(mark.latitude, mark.longitude), 3.4, colours.at(part(mark.value)));
    canvas.stroke_circle(place(mark.latitude, mark.longitude), 3.4, {.colour = palette::ink, .width = 0.3});
  }
  canvas.pop_clip();
  canvas.stroke(map, {.colour = palette::ink, .width = 0.8});
  constexpr int cells = 120;
  const double top = header + height + 14;
  for (int i = 0; i < cells; ++i)
    canvas.fill({margin + i * width / cells, top, width / cells + 0.5, 9}, colours.at((i + 0.5) / cells));
  for (const double tick : ticks_within(first, last, step))
    canvas.text({margin + part(tick) * width, top + 24}, tick_text(tick),
                {.size = 10, .colour = palette::muted, .align = Align::centre});
  canvas.text({margin + width, top + 36}, unit, {.size = 10, .colour = palette::muted, .align = Align::right});
  canvas.write_png(png);
}

}  // namespace zonda::postproc
