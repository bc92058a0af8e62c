#pragma once
// A drawing surface that becomes a PNG. Coordinates are points from the top left; `scale` pixels a point.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "postproc/maps/colour_table.hpp"

struct _cairo;
struct _cairo_surface;

namespace zonda::postproc {

struct Point {
  double x, y;
};

struct Box {
  double x, y, width, height;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
};

enum class Align { left, centre, right };

struct TextStyle {
  double size = 12;
  Colour colour = palette::ink;
  Align align = Align::left;
  bool bold = false;
  double rotation = 0;  ///< radians, clockwise, about the anchor
  double halo = 0;      ///< width of a white rim, points
};

struct LineStyle {
  Colour colour = palette::ink;
  double width = 1;
  double dash = 0;  ///< length of dashes, 0 = solid
};

class Canvas {
 public:
  /// White. Throws Error(failure) if the surface cannot be made.
  Canvas(double width, double height, double scale = 2);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  double width() const { return width_; }
  double height() const { return height_; }
  double scale() const { return scale_; }

  void fill(const Box& box, const Colour& colour);
  void fill(std::span<const Point> polygon, const Colour& colour);
  void stroke(const Box& box, const LineStyle& style);
  void stroke(std::span<const Point> line, const LineStyle& style, bool closed = false);
  void stroke_circle(Point centre, double radius, const LineStyle& style);
  void fill_circle(Point centre, double radius, const Colour& colour);
  /// `baseline` is the anchor on the base line.
  void text(Point baseline, std::string_view text, const TextStyle& style = {});
  double text_width(std::string_view text, double size, bool bold = false);
  /// Everything drawn until pop_clip() stays within the box.
  void push_clip(const Box& box);
  void pop_clip();
  /// Pixels 0xAARRGGBB (alpha premultiplied), row by row from the top, stretched over `box`.
  void image(const Box& box, std::span<const std::uint32_t> pixels, std::size_t columns, std::size_t rows);

  /// Atomically. The same drawing gives the same bytes. Throws Error(failure).
  void write_png(const std::filesystem::path& path) const;

 private:
  void select_font(double size, bool bold);
  double width_, height_, scale_;
  _cairo_surface* surface_;
  _cairo* context_;
};

}  // namespace zonda::postproc
