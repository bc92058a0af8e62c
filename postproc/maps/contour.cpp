#include "postproc/maps/contour.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace zonda::postproc {

std::vector<std::vector<Point>> contour_lines(std::span<const double> values, std::size_t rows, std::size_t columns,
                                              double level) {
  // An edge between two points is named by its first point and its direction; a line is a chain of edges.
  using Edge = std::size_t;
  const auto at = [&](std::size_t r, std::size_t c) { return values[r * columns + c]; };
  const auto across = [&](std::size_t r, std::size_t c) -> Edge { return 2 * (r * columns + c); };
  const auto down = [&](std::size_t r, std::size_t c) -> Edge { return 2 * (r * columns + c) + 1; };
  std::map<Edge, std::vector<Edge>> neighbours;
  const auto join = [&](Edge a, Edge b) {
    neighbours[a].push_back(b);
    neighbours[b].push_back(a);
  };
  for (std::size_t r = 0; r + 1 < rows; ++r)
    for (std::size_t c = 0; c + 1 < columns; ++c) {
      const double a = at(r, c), b = at(r, c + 1), d = at(r + 1, c), e = at(r + 1, c + 1);
      if (!std::isfinite(a + b + d + e)) continue;
      const int corners = (a >= level ? 1 : 0) | (b >= level ? 2 : 0) | (e >= level ? 4 : 0) | (d >= level ? 8 : 0);
      const Edge top = across(r, c), bottom = across(r + 1, c), left = down(r, c), right = down(r, c + 1);
      const bool high_centre = (a + b + d + e) / 4 >= level;
      switch (corners) {
        case 1:
        case 14:
          join(top, left);
          break;
        case 2:
        case 13:
          join(top, right);
          break;
        case 3:
        case 12:
          join(left, right);
          break;
        case 4:
        case 11:
          join(right, bottom);
          break;
        case 6:
        case 9:
          join(top, bottom);
          break;
        case 7:
        case 8:
          join(left, bottom);
          break;
        case 5:
          join(top, high_centre ? right : left);
          join(bottom, high_centre ? left : right);
          break;
        case 10:
          join(top, high_centre ? left : right);
          join(bottom, high_centre ? right : left);
          break;
        default:
          break;
      }
    }
  const auto place = [&](Edge edge) {
    const std::size_t point = edge / 2, r = point / columns, c = point % columns;
    const bool vertical = edge % 2 == 1;
    const double first = at(r, c), second = vertical ? at(r + 1, c) : at(r, c + 1);
    const double f = (level - first) / (second - first);
    const auto x = static_cast<double>(c), y = static_cast<double>(r);
    return vertical ? Point{x, y + f} : Point{x + f, y};
  };
  std::vector<std::vector<Point>> lines;
  const auto follow = [&](Edge start) {
    std::vector<Point> line{place(start)};
    Edge here = start;
    while (true) {
      auto& next = neighbours[here];
      if (next.empty()) break;
      const Edge there = next.back();
      next.pop_back();
      auto& back = neighbours[there];
      back.erase(std::find(back.begin(), back.end(), here));
      line.push_back(place(there));
      here = there;
    }
    lines.push_back(std::move(line));
  };
  // Open lines first, from their ends; what is left are closed ones.
  for (auto& [edge, next] : neighbours)
    if (next.size() == 1) follow(edge);
  for (auto& [edge, next] : neighbours)
    if (!next.empty()) follow(edge);
  return lines;
}

}  // namespace zonda::postproc
