#include "assimilation/quality_control/quality_control.hpp"

#include "core/config/table.hpp"

namespace zonda::assimilation {

void describe(config::Table& table, BackgroundErrorRule& c) {
  table.key("variable", c.variable, "Short name").required();
  table.key("error", c.error, "Standard deviation of the background's error, SI").required().range(0, 1e7);
}

void describe(config::Table& table, ThinningConfig& c) {
  std::vector<std::string> kinds;
  for (const ingest::ReportKind kind : ingest::report_kinds()) kinds.emplace_back(name(kind));
  table.key("kind", c.kind, "Kind of report").required().one_of(kinds);
  table.key("spacing", c.spacing, "Side of a box, m").range(1e3, 1e7);
  table.key("depth", c.depth, "Height of a box in ln p").range(1e-3, 10);
  table.key("duration", c.duration, "Duration of a box, s").range(1, 1e6);
  table.key("superob", c.superob, "Means in place of single observations");
}

void describe(config::Table& table, QualityControlConfig& c) {
  table.key("area", c.area, "North, west, south, east, degrees; default: everywhere");
  table.key("blacklist", c.blacklist, "File with lines STATION [VARIABLE [FIRST [LAST]]]");
  table.list("limits", c.limits, "Limits in place of the standard ones");
  table.key("fastest_aircraft", c.fastest_aircraft, "Greatest speed over ground, m/s").range(10, 1e4);
  table.key("fastest_ship", c.fastest_ship, "Greatest speed over ground, m/s").range(1, 1e3);
  table.section("observation_errors", c.errors, "Errors of observations");
  table.list("background_errors", c.background_errors, "Errors of the background in observed variables");
  table.key("background_error_fraction", c.background_error_fraction, "Of the observation error, for other variables")
      .range(0, 100);
  table.key("background_limit", c.background_limit, "Departures are rejected beyond this many standard deviations")
      .range(0, 100);
  table.key("buddy_limit", c.buddy_limit, "The same of departures against those of the neighbours").range(0, 100);
  table.key("buddy_length", c.buddy_length, "Length over which departures are related, m").range(1e3, 1e7);
  table.list("thinning", c.thinning, "Kinds of reports that are thinned");
  table.check("area", [&c] { return c.area.empty() || c.area.size() == 4 ? "" : "expected north, west, south, east"; });
}

void check_observations(ingest::ObservationTable& table, const QualityControlConfig& config, Time first, Time last) {
  check_window(table, first, last);
  if (config.area.size() == 4) check_area(table, config.area[0], config.area[2], config.area[1], config.area[3]);
  if (!config.blacklist.empty()) apply_blacklist(table, read_blacklist(config.blacklist));
  check_limits(table, config.limits);
  check_duplicates(table);
  check_tracks(table, ingest::ReportKind::aircraft, config.fastest_aircraft);
  check_tracks(table, ingest::ReportKind::ship, config.fastest_ship);
  assign_errors(table, config.errors);
}

void check_departures(ingest::ObservationTable& table, const QualityControlConfig& config, ConstView background_error) {
  const Vector configured = background_error.empty()
                                ? background_errors(table, config.background_errors, config.background_error_fraction)
                                : Vector(background_error.begin(), background_error.end());
  if (config.background_limit > 0) check_background(table, configured, config.background_limit);
  if (config.buddy_limit > 0)
    check_buddies(table, configured, {.length = config.buddy_length, .limit = config.buddy_limit});
  for (const ThinningConfig& rule : config.thinning) {
    const ThinningBoxes boxes{rule.spacing, rule.depth, rule.duration};
    if (rule.superob) {
      superob(table, ingest::parse_report_kind(rule.kind), boxes);
    } else {
      thin(table, ingest::parse_report_kind(rule.kind), boxes);
    }
  }
}

}  // namespace zonda::assimilation
