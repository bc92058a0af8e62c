// Grids as text.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "core/error.hpp"
#include "core/grid_tables.hpp"

namespace zonda {
namespace {

std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<std::size_t> take_count(std::string_view& text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take_word(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

/// A number up to a mark that could be taken for a part of it: `60` of `60..25`.
std::optional<double> take_number_before(std::string_view& text, std::string_view mark) {
  const std::size_t end = text.find(mark);
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view figures = text.substr(0, end);
  const auto value = take_number(figures);
  if (!value || !figures.empty()) return std::nullopt;
  text.remove_prefix(end + mark.size());
  return value;
}

/// Rows are equally spaced as far as a grid's text can tell.
bool equally_spaced(const std::vector<double>& latitudes) {
  const std::size_t n = latitudes.size();
  for (std::size_t i = 0; i < n; ++i) {
    const double expected =
        latitudes[0] + (latitudes[n - 1] - latitudes[0]) * static_cast<double>(i) / static_cast<double>(n - 1);
    if (std::abs(latitudes[i] - expected) > 1e-7) return false;
  }
  return n > 1;
}

}  // namespace

Grid Grid::parse(std::string_view text) {
  std::string_view rest = text;
  const auto bad = [&]() -> Grid {
    fail(ErrorKind::usage,
         "'{}' is not a grid; expected e.g. 'latlon 181x360', 'latlon 32x64 no-poles', 'gaussian 48x96', "
         "'regional 60..25x71 350..40x101' or 'projected 9e5..-9e5x19 -1e6..1e6x21 +proj=lcc +lat_1=35 +lat_2=65'",
         text);
  };
  if (take_word(rest, "regional ")) {
    // Rows: `60..25x71`, or each one where their steps differ: `60/58.2/55`.
    std::vector<double> rows;
    const std::size_t space = rest.find(' ');
    if (space == std::string_view::npos) return bad();
    if (rest.substr(0, space).find("..") != std::string_view::npos) {
      const auto north = take_number_before(rest, "..");
      const auto south = north ? take_number_before(rest, "x") : std::nullopt;
      const auto nlat = south ? take_count(rest) : std::nullopt;
      if (!nlat || !take_word(rest, " ")) return bad();
      check_grid_size(*nlat, 2);
      rows = regional(*north, *south, *nlat, 0, 1, 2).tables_->latitudes;
    } else {
      while (rest.substr(0, rest.find(' ')).find('/') != std::string_view::npos) {
        const auto row = take_number_before(rest, "/");
        if (!row) return bad();
        rows.push_back(*row);
      }
      const auto row = take_number_before(rest, " ");
      if (!row) return bad();
      rows.push_back(*row);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (std::abs(rows[i]) > 90 || (i > 0 && rows[i] >= rows[i - 1])) return bad();
      }
    }
    const auto west = take_number_before(rest, "..");
    const auto east = west ? take_number_before(rest, "x") : std::nullopt;
    const auto nlon = east ? take_count(rest) : std::nullopt;
    const bool periodic = nlon && take_word(rest, " periodic");
    if (!nlon || !rest.empty()) return bad();
    auto t = std::make_shared<Tables>(*regional(1, 0, 2, *west, *east, *nlon).tables_);
    t->periodic = periodic;
    if (periodic) t->step = 360.0 / static_cast<double>(*nlon);
    t->latitudes = std::move(rows);
    t->bounds = regional_bounds(t->latitudes, t->step);
    derive_grid(t->longitudes, t->first_longitude, t->step, *nlon, t->bounds, t->areas, t->weights);
    return Grid(std::move(t));
  }
  if (take_word(rest, "projected ")) {
    const auto y_first = take_number_before(rest, "..");
    const auto y_last = y_first ? take_number_before(rest, "x") : std::nullopt;
    const auto nlat = y_last ? take_count(rest) : std::nullopt;
    if (!nlat || !take_word(rest, " ")) return bad();
    const auto x_first = take_number_before(rest, "..");
    const auto x_last = x_first ? take_number_before(rest, "x") : std::nullopt;
    const auto nlon = x_last ? take_count(rest) : std::nullopt;
    if (!nlon || !take_word(rest, " ")) return bad();
    return projected(MapProjection::parse(rest), *y_first, *y_last, *nlat, *x_first, *x_last, *nlon);
  }
  const bool is_gaussian = take_word(rest, "gaussian ");
  if (!is_gaussian && !take_word(rest, "latlon ")) return bad();
  const auto nlat = take_count(rest);
  if (!nlat || !take_word(rest, "x")) return bad();
  const auto nlon = take_count(rest);
  if (!nlon) return bad();
  const bool without_poles = !is_gaussian && take_word(rest, " no-poles");
  double first = 0;
  if (take_word(rest, " from ")) {
    const auto value = take_number(rest);
    if (!value) return bad();
    first = *value;
  }
  if (!rest.empty()) return bad();
  return is_gaussian ? gaussian(*nlat, *nlon, first) : latlon(*nlat, *nlon, !without_poles, first);
}

std::string Grid::to_string() const {
  const Tables& t = *tables_;
  const std::string from = t.first_longitude != 0 ? fmt::format(" from {}", t.first_longitude) : "";
  switch (t.kind) {
    case GridKind::latlon:
      return fmt::format("latlon {}x{}{}{}", nlat(), nlon(), t.poles ? "" : " no-poles", from);
    case GridKind::gaussian:
      return fmt::format("gaussian {}x{}{}", nlat(), nlon(), from);
    case GridKind::projected:
      return fmt::format("projected {}..{}x{} {}..{}x{} {}", t.y.front(), t.y.back(), nlat(), t.x.front(), t.x.back(),
                         nlon(), t.projection->to_string());
    case GridKind::regional:
      break;
  }
  std::string rows;
  if (equally_spaced(t.latitudes)) {
    rows = fmt::format("{}..{}x{}", t.latitudes.front(), t.latitudes.back(), nlat());
  } else {
    for (const double latitude : t.latitudes) rows += fmt::format("{}{}", rows.empty() ? "" : "/", latitude);
  }
  return fmt::format("regional {} {}..{}x{}{}", rows, t.longitudes.front(), t.longitudes.back(), nlon(),
                     t.periodic ? " periodic" : "");
}

}  // namespace zonda
