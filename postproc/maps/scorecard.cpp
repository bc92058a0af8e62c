#include "postproc/maps/scorecard.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "postproc/maps/canvas.hpp"

namespace zonda::postproc {
namespace {

/// Deepest at 100 %, by the square root, so that a few percent can be told from none.
Colour cell_colour(double percent) {
  const double depth = std::sqrt(std::min(std::abs(percent), 100.0) / 100);
  // The ends of the table are too dark to be read as a shade of good or bad.
  return colour_table("diverging").at(0.5 + 0.4 * (percent < 0 ? -depth : depth));
}

std::string percent_text(double percent) {
  const long whole = std::lround(percent);
  if (whole == 0) return "0";
  return (whole > 0 ? "+" : "\u2212") + std::to_string(std::labs(whole));
}

}  // namespace

void draw_scorecard(const Scorecard& card, const std::filesystem::path& png) {
  if (card.rows.empty() || card.columns.empty())
    fail(ErrorKind::usage, "{}: a scorecard needs rows and columns", png.string());
  for (const auto& row : card.rows)
    if (row.values.size() != card.columns.size())
      fail(ErrorKind::usage, "scorecard: row '{}' has {} values for {} columns", row.label, row.values.size(),
           card.columns.size());
  const double margin = 24, header = 64, row_height = 22;
  const double label_width = 110, cell_width = std::clamp(840.0 / static_cast<double>(card.columns.size()), 30.0, 64.0);
  const auto columns = static_cast<double>(card.columns.size()), rows = static_cast<double>(card.rows.size());
  Canvas canvas(std::max(560.0, 2 * margin + label_width + columns * cell_width), header + 24 + rows * row_height + 46,
                1.6);
  canvas.text({margin, 28}, card.title, {.size = 16, .bold = true});
  canvas.text({margin, 46}, card.subtitle, {.size = 11, .colour = palette::muted});
  const double left = margin + label_width, top = header + 24;
  for (std::size_t c = 0; c < card.columns.size(); ++c)
    canvas.text({left + (static_cast<double>(c) + 0.5) * cell_width, top - 8}, card.columns[c],
                {.size = 10, .colour = palette::muted, .align = Align::centre});
  for (std::size_t r = 0; r < card.rows.size(); ++r) {
    const double y = top + static_cast<double>(r) * row_height;
    canvas.text({left - 10, y + row_height / 2 + 4}, card.rows[r].label, {.size = 11, .align = Align::right});
    for (std::size_t c = 0; c < card.columns.size(); ++c) {
      const Box cell{left + static_cast<double>(c) * cell_width + 1, y + 1, cell_width - 2, row_height - 2};
      const auto& value = card.rows[r].values[c];
      const Colour colour = value ? cell_colour(*value) : Colour::hex(0xf1f2f4);
      canvas.fill(cell, colour);
      if (value)
        canvas.text(
            {cell.x + cell.width / 2, y + row_height / 2 + 3.5}, percent_text(*value),
            {.size = 9.5, .colour = colour.luminance() < 0.35 ? palette::paper : palette::ink, .align = Align::centre});
    }
  }
  // The key.
  const double y = top + rows * row_height + 16, width = 26;
  double x = left;
  for (const double percent : {-100.0, -50.0, -25.0, -10.0, 0.0, 10.0, 25.0, 50.0, 100.0}) {
    canvas.fill(Box{x, y, width, 10}, cell_colour(percent));
    canvas.text({x + width / 2, y + 21}, percent_text(percent),
                {.size = 8.5, .colour = palette::muted, .align = Align::centre});
    x += width;
  }
  canvas.text({x + 8, y + 9}, "% (blue: better)", {.size = 9.5, .colour = palette::muted});
  canvas.write_png(png);
}

}  // namespace zonda::postproc
