#include "inference/edge/serving/point_forecast.hpp"

#include <algorithm>
#include <cmath>

#include "inference/edge/serving/json_text.hpp"

namespace zonda::edge {
namespace {

/// One column of numbers: a quantity, or what the correction makes of it.
struct Column {
  std::string name, title, unit, standard_name;
  std::span<const double> values;
};

std::vector<Column> columns_of(const PointForecast& point) {
  std::vector<Column> columns;
  for (std::size_t i = 0; i < point.quantities.size(); ++i) {
    const Quantity& q = point.quantities[i];
    columns.push_back({q.name, q.title, q.unit, q.standard_name, point.series[i]});
    for (const CorrectedSeries* corrected : point.corrected) {
      if (corrected->quantity != q.name) continue;
      const std::string stem = corrected->observed == q.name ? q.name : q.name + "_as_" + corrected->observed;
      columns.push_back({stem + "_corrected", q.title + ", corrected by the station's sensor", q.unit, q.standard_name,
                         corrected->corrected});
      columns.push_back({stem + "_uncertainty", q.title + ", standard deviation of what remains", q.unit,
                         q.standard_name, corrected->uncertainty});
    }
  }
  return columns;
}

std::string times_json(const RegionalForecast& run) {
  std::string out = "[";
  for (std::size_t k = 0; k < run.leads.size(); ++k)
    out += fmt::format("{}\"{}\"", k > 0 ? "," : "", to_string(run.valid(k)));
  return out + "]";
}

std::string condition_json(const Condition& condition) {
  return fmt::format(R"({{"state":"{}","reasons":{}}})", name_of(condition.freshness), list_of(condition.reasons));
}

std::string demand_json(const DemandReply& reply) {
  std::string out = fmt::format(R"({{"deadline":"{}","member":{},"computed":{},"in_time":{},"milliseconds":{:.4g})",
                                reply.deadline, reply.member, reply.computed, reply.in_time, reply.milliseconds);
  if (!reply.reason.empty()) out += ",\"reason\":" + json_string(reply.reason);
  return out + "}";
}

}  // namespace

std::string ucum(const std::string& unit) {
  if (unit == "degree") return "deg";
  std::string out = unit;
  std::replace(out.begin(), out.end(), ' ', '.');
  return out;
}

std::string run_json(const RegionalForecast& run) {
  return fmt::format(
      R"({{"initial":"{}","end":"{}","computed":"{}","model":{},"feed":{},"level":{},"level_skill":{:.7g}}})",
      to_string(run.initial), to_string(run.end()), to_string(run.computed), json_string(run.model),
      json_string(run.feed), run.level, run.level_skill);
}

std::string to_coverage_json(const PointForecast& point) {
  const RegionalForecast& run = *point.state.forecast;
  const std::vector<Column> columns = columns_of(point);
  std::string out =
      R"({"type":"Coverage","domain":{"type":"Domain","domainType":"PointSeries","axes":{"x":{"values":[)";
  append_number(out, point.longitude);
  out += "]},\"y\":{\"values\":[";
  append_number(out, point.latitude);
  out += "]},\"t\":{\"values\":" + times_json(run) + "}},\"referencing\":[";
  out +=
      R"({"coordinates":["x","y"],"system":{"type":"GeographicCRS","id":"http://www.opengis.net/def/crs/OGC/1.3/CRS84"}},)";
  out += R"({"coordinates":["t"],"system":{"type":"TemporalRS","calendar":"Gregorian"}}]},"parameters":{)";
  for (const Column& c : columns) {
    out += fmt::format(
        R"({}{}:{{"type":"Parameter","description":{{"en":{}}},"unit":{{"symbol":{{"value":{},"type":"http://www.opengis.net/def/uom/UCUM/"}}}},)"
        R"("observedProperty":{{"id":"http://vocab.nerc.ac.uk/standard_name/{}/","label":{{"en":{}}}}}}})",
        out.ends_with('{') ? "" : ",", json_string(c.name), json_string(c.title), json_string(ucum(c.unit)),
        c.standard_name, json_string(c.title));
  }
  out += "},\"ranges\":{";
  for (const Column& c : columns) {
    out += fmt::format(R"({}{}:{{"type":"NdArray","dataType":"float","axisNames":["t"],"shape":[{}],"values":)",
                       out.ends_with('{') ? "" : ",", json_string(c.name), c.values.size());
    append_numbers(out, c.values);
    out += "}";
  }
  return out + "},\"zonda:run\":" + run_json(run) + ",\"zonda:condition\":" + condition_json(point.condition) +
         (point.demand ? ",\"zonda:demand\":" + demand_json(*point.demand) : "") + "}\n";
}

std::string to_csv(const PointForecast& point) {
  const RegionalForecast& run = *point.state.forecast;
  const std::vector<Column> columns = columns_of(point);
  std::string out = "time,lead_hours";
  for (const Column& c : columns) out += fmt::format(",{} [{}]", c.name, c.unit);
  out += '\n';
  for (std::size_t k = 0; k < run.leads.size(); ++k) {
    out += fmt::format("{},{:.7g}", to_string(run.valid(k)), static_cast<double>(run.leads[k].count()) / 3600);
    for (const Column& c : columns) {
      out += ',';
      if (std::isfinite(c.values[k])) append_number(out, c.values[k]);
    }
    out += '\n';
  }
  return out;
}

std::string to_json(const PointForecast& point) {
  const RegionalForecast& run = *point.state.forecast;
  std::string out =
      fmt::format(R"({{"latitude":{:.9g},"longitude":{:.9g},"condition":{},"run":{},"times":{})", point.latitude,
                  point.longitude, condition_json(point.condition), run_json(run), times_json(run));
  if (point.demand) out += ",\"demand\":" + demand_json(*point.demand);
  out += ",\"variables\":{";
  for (const Column& c : columns_of(point)) {
    out += fmt::format(R"({}{}:{{"title":{},"unit":{},"values":)", out.ends_with('{') ? "" : ",", json_string(c.name),
                       json_string(c.title), json_string(c.unit));
    append_numbers(out, c.values);
    out += "}";
  }
  return out + "}}\n";
}

}  // namespace zonda::edge
