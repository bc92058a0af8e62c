#include "postproc/maps/canvas.hpp"

#include <cairo.h>

#include <cmath>
#include <string>

#include "core/atomic_file.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::postproc {
namespace {

void set_colour(cairo_t* context, const Colour& c) {
  cairo_set_source_rgba(context, c.red, c.green, c.blue, c.alpha);
}

void set_line(cairo_t* context, const LineStyle& style) {
  set_colour(context, style.colour);
  cairo_set_line_width(context, style.width);
  if (style.dash > 0) {
    const double dashes[] = {style.dash, style.dash * 0.7};
    cairo_set_dash(context, dashes, 2, 0);
  } else {
    cairo_set_dash(context, nullptr, 0, 0);
  }
}

void trace(cairo_t* context, std::span<const Point> points) {
  cairo_new_path(context);
  for (const Point& p : points) cairo_line_to(context, p.x, p.y);
}

}  // namespace

Canvas::Canvas(double width, double height, double scale) : width_(width), height_(height), scale_(scale) {
  surface_ = cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(std::lround(width * scale)),
                                        static_cast<int>(std::lround(height * scale)));
  context_ = cairo_create(surface_);
  if (cairo_status(context_) != CAIRO_STATUS_SUCCESS) {
    const std::string reason = cairo_status_to_string(cairo_status(context_));
    cairo_destroy(context_);
    cairo_surface_destroy(surface_);
    fail(ErrorKind::failure, "picture of {} x {} points: {}", width, height, reason);
  }
  cairo_scale(context_, scale, scale);
  cairo_set_line_join(context_, CAIRO_LINE_JOIN_ROUND);
  cairo_set_line_cap(context_, CAIRO_LINE_CAP_ROUND);
  // Glyphs are shaped without hints, so that text is as wide at every scale.
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(context_, options);
  cairo_font_options_destroy(options);
  set_colour(context_, palette::paper);
  cairo_paint(context_);
}

Canvas::~Canvas() {
  cairo_destroy(context_);
  cairo_surface_destroy(surface_);
}

void Canvas::fill(const Box& box, const Colour& colour) {
  set_colour(context_, colour);
  cairo_rectangle(context_, box.x, box.y, box.width, box.height);
  cairo_fill(context_);
}

void Canvas::fill(std::span<const Point> polygon, const Colour& colour) {
  trace(context_, polygon);
  cairo_close_path(context_);
  set_colour(context_, colour);
  cairo_fill(context_);
}

void Canvas::stroke(const Box& box, const LineStyle& style) {
  set_line(context_, style);
  cairo_rectangle(context_, box.x, box.y, box.width, box.height);
  cairo_stroke(context_);
}

void Canvas::stroke(std::span<const Point> line, const LineStyle& style, bool closed) {
  if (line.empty()) return;
  trace(context_, line);
  if (closed) cairo_close_path(context_);
  set_line(context_, style);
  cairo_stroke(context_);
}

void Canvas::stroke_circle(Point centre, double radius, const LineStyle& style) {
  cairo_new_path(context_);
  cairo_arc(context_, centre.x, centre.y, radius, 0, 2 * constants::pi);
  set_line(context_, style);
  cairo_stroke(context_);
}

void Canvas::fill_circle(Point centre, double radius, const Colour& colour) {
  cairo_new_path(context_);
  cairo_arc(context_, centre.x, centre.y, radius, 0, 2 * constants::pi);
  set_colour(context_, colour);
  cairo_fill(context_);
}

void Canvas::select_font(double size, bool bold) {
  cairo_select_font_face(context_, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                         bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(context_, size);
}

double Canvas::text_width(std::string_view text, double size, bool bold) {
  select_font(size, bold);
  cairo_text_extents_t extents;
  cairo_text_extents(context_, std::string(text).c_str(), &extents);
  return extents.x_advance;
}

void Canvas::text(Point baseline, std::string_view text, const TextStyle& style) {
  const std::string words(text);
  const double advance = text_width(words, style.size, style.bold);
  const double shift = style.align == Align::left ? 0 : style.align == Align::centre ? advance / 2 : advance;
  cairo_save(context_);
  cairo_translate(context_, baseline.x, baseline.y);
  cairo_rotate(context_, style.rotation);
  if (style.halo > 0) {
    cairo_move_to(context_, -shift, 0);
    cairo_text_path(context_, words.c_str());
    set_line(context_, {palette::paper.with_alpha(0.85), 2 * style.halo, 0});
    cairo_stroke(context_);
  }
  cairo_move_to(context_, -shift, 0);
  set_colour(context_, style.colour);
  cairo_show_text(context_, words.c_str());
  cairo_restore(context_);
}

void Canvas::push_clip(const Box& box) {
  cairo_save(context_);
  cairo_rectangle(context_, box.x, box.y, box.width, box.height);
  cairo_clip(context_);
}

void Canvas::pop_clip() {
  cairo_restore(context_);
}

void Canvas::image(const Box& box, std::span<const std::uint32_t> pixels, std::size_t columns, std::size_t rows) {
  cairo_surface_t* source =
      cairo_image_surface_create(CAIRO_FORMAT_ARGB32, static_cast<int>(columns), static_cast<int>(rows));
  const auto stride = static_cast<std::size_t>(cairo_image_surface_get_stride(source));
  cairo_surface_flush(source);
  unsigned char* data = cairo_image_surface_get_data(source);
  for (std::size_t row = 0; row < rows; ++row) {
    auto* line = reinterpret_cast<std::uint32_t*>(data + row * stride);
    for (std::size_t column = 0; column < columns; ++column) line[column] = pixels[row * columns + column];
  }
  cairo_surface_mark_dirty(source);
  cairo_save(context_);
  cairo_translate(context_, box.x, box.y);
  cairo_scale(context_, box.width / static_cast<double>(columns), box.height / static_cast<double>(rows));
  cairo_set_source_surface(context_, source, 0, 0);
  cairo_pattern_set_filter(cairo_get_source(context_), CAIRO_FILTER_NEAREST);
  cairo_paint(context_);
  cairo_restore(context_);
  cairo_surface_destroy(source);
}

void Canvas::write_png(const std::filesystem::path& path) const {
  AtomicFile file(path);
  cairo_surface_flush(surface_);
  const cairo_status_t status = cairo_surface_write_to_png(surface_, file.temporary().c_str());
  if (status != CAIRO_STATUS_SUCCESS)
    fail(ErrorKind::failure, "{}: cannot be written: {}", path.string(), cairo_status_to_string(status));
  file.commit();
}

}  // namespace zonda::postproc
