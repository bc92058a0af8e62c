#include "inference/edge/serving/station_api.hpp"

#include <algorithm>

#include "inference/edge/forecast/graticule.hpp"
#include "inference/edge/forecast/quantity.hpp"
#include "inference/edge/serving/base64.hpp"
#include "inference/edge/serving/json_text.hpp"
#include "inference/edge/serving/point_forecast.hpp"
#include "inference/edge/serving/query_reader.hpp"

namespace zonda::edge {
namespace {

Answer answered(const std::function<Answer()>& make) {
  try {
    return make();
  } catch (const RequestFault& fault) {
    return fault.answer();
  }
}

const RegionalForecast& forecast_of(const StationState& state) {
  if (!state.forecast) throw RequestFault(503, "", "the station has no forecast yet");
  return *state.forecast;
}

const Quantity& asked_quantity(std::span<const Quantity> known, const std::string& parameter, std::string_view name) {
  try {
    return find_quantity(known, name.substr(0, 64));
  } catch (const Error& error) {
    throw RequestFault(400, parameter, error.what());
  }
}

std::vector<Quantity> asked_quantities(const RegionalForecast& forecast, const std::optional<std::string>& names) {
  std::vector<Quantity> all = quantities_of(forecast.channels);
  if (!names) return all;
  std::vector<Quantity> asked;
  std::string_view rest = *names;
  while (true) {
    const std::size_t comma = rest.find(',');
    const Quantity& quantity = asked_quantity(all, "variables", rest.substr(0, comma));
    for (const Quantity& other : asked) {
      if (other.name == quantity.name) throw RequestFault(400, "variables", "'" + other.name + "' given twice");
    }
    asked.push_back(quantity);
    if (comma == std::string_view::npos) return asked;
    rest.remove_prefix(comma + 1);
  }
}

/// The first and last longitude of a rectilinear grid, which may go around the globe.
GridExtent run_extent(const Grid& grid) {
  if (grid.projection()) return grid.extent();
  return {grid.latitudes().front(), grid.latitudes().back(), grid.longitudes().front(), grid.longitudes().back()};
}

/// Where the cells of a field are.
std::string axes_json(const Grid& grid) {
  std::string text;
  if (const MapProjection* projection = grid.projection()) {
    text = fmt::format(
        R"(,"projection":{},"x_first":{:.9g},"x_step":{:.9g},"y_first":{:.9g},"y_step":{:.9g},"rows":{},"columns":{},"periodic":false)",
        json_string(projection->to_string()), grid.x()[0], grid.x()[1] - grid.x()[0], grid.y()[0],
        grid.y()[1] - grid.y()[0], grid.nlat(), grid.nlon());
    return text;
  }
  text = ",\"latitudes\":";
  append_numbers(text, grid.latitudes());
  return text + fmt::format(R"(,"longitude_first":{:.9g},"longitude_step":{:.9g},"columns":{},"periodic":{})",
                            grid.longitudes()[0], grid.longitude_step(), grid.nlon(), grid.periodic());
}

/// Coast, graticule and station on a projected map: rows and columns of its cells, in pairs.
std::string plane_json(const StationState& state) {
  const Grid& grid = state.forecast->grid;
  const auto append = [](std::string& text, const std::optional<Grid::Place>& place) {
    if (place)
      fmt::format_to(std::back_inserter(text), "{}{:.6g},{:.6g}", text.ends_with('[') ? "" : ",", place->row,
                     place->column);
  };
  std::string text = fmt::format(R"({{"rows":{},"columns":{},"station":[)", grid.nlat(), grid.nlon());
  append(text, grid.place({state.latitude, state.longitude}));
  text += "],\"coast\":[";
  if (state.coast)
    for (const CoastSegment& s : *state.coast) {
      append(text, grid.place({s.from.latitude, s.from.longitude}));
      append(text, grid.place({s.to.latitude, s.to.longitude}));
    }
  text += "],\"graticule\":[";
  for (const GraticuleLine& line : graticule(grid)) {
    text += fmt::format(R"({}{{"degrees":{:.6g},"parallel":{},"points":[)", text.ends_with('[') ? "" : ",",
                        line.degrees, line.parallel);
    for (const Grid::Place& place : line.points) append(text, place);
    text += "]}";
  }
  return text + "]}";
}

struct Demand {
  RequestClass request_class = RequestClass::prompt;
  int member = 0;
};

std::optional<Demand> asked_demand(const QueryReader& reader, bool runs) {
  const auto deadline = reader.text("deadline");
  const auto member = reader.number("member", 0, 1e6);
  if (!deadline && !member) return std::nullopt;
  Demand demand;
  if (member) demand.member = static_cast<int>(*member);
  if (member && *member != demand.member) throw RequestFault(400, "member", "expected a whole number");
  if (deadline) {
    const std::vector<std::string> words{"instant", "interactive", "prompt", "batch"};
    const auto request_class = parse_request_class(*deadline);
    if (!request_class) throw RequestFault(400, "deadline", unknown_word("deadline", deadline->substr(0, 64), words));
    demand.request_class = *request_class;
  }
  const bool instant = demand.request_class == RequestClass::instant;
  if (instant && demand.member != 0)
    throw RequestFault(400, "member", "an instant answer is the last run's; members are made by a later deadline");
  if (!instant && !runs) throw RequestFault(404, "deadline", "this station makes no runs on demand");
  return demand;
}

/// Where the run was made, `state` becomes one with its forecast.
DemandReply run_for(const Demand& demand, DemandedRun run, std::shared_ptr<const StationState>& state) {
  if (run.forecast) {
    auto own = std::make_shared<StationState>(*state);
    if (run.forecast != own->forecast) own->corrected.clear();  // was made for the scheduled run
    own->forecast = run.forecast;
    state = std::move(own);
  }
  return {std::string(name_of(demand.request_class)),
          demand.member,
          run.forecast != nullptr,
          run.in_time,
          1e3 * run.seconds,
          std::move(run.problem)};
}

using Headers = std::vector<std::pair<std::string, std::string>>;

Headers headers_of(const DemandReply& reply, const RegionalForecast& run) {
  return {{"Zonda-Run", !reply.computed ? "last"
                        : reply.in_time ? "in-time"
                                        : "late"},
          {"Zonda-Level", std::to_string(run.level)},
          {"Zonda-Level-Skill", fmt::format("{:.4g}", run.level_skill)}};
}

/// So near that the station's own sensors speak for the place: 0.05 degrees, some 5 km.
bool at_station(const StationState& state, double latitude, double longitude) {
  return std::abs(latitude - state.latitude) <= 0.05 &&
         std::abs(std::remainder(longitude - state.longitude, 360.0)) <= 0.05;
}

}  // namespace

Answer error_answer(int status, const std::string& parameter, const std::string& message) {
  std::string body = fmt::format(R"({{"error":{{"status":{})", status);
  if (!parameter.empty()) body += ",\"parameter\":" + json_string(parameter);
  body += ",\"message\":" + json_string(message) + "}}\n";
  return {status, "application/json", std::move(body)};
}

StationApi::StationApi(std::function<Time()> clock, AskForRun ask)
    : clock_(std::move(clock)), ask_(std::move(ask)), state_(std::make_shared<const StationState>()) {}

Answer StationApi::forecast(const Query& query) const {
  return answered([&]() -> Answer {
    const QueryReader reader(query, {"lat", "lon", "variables", "format", "deadline", "member"});
    const auto latitude = reader.number("lat", -90, 90), longitude = reader.number("lon", -180, 360);
    if (latitude.has_value() != longitude.has_value())
      throw RequestFault(400, latitude ? "lon" : "lat", "missing; expected both lat and lon, or neither");
    const std::string format = reader.text("format").value_or("coveragejson");
    const std::vector<std::string> formats{"coveragejson", "csv", "json"};
    if (std::find(formats.begin(), formats.end(), format) == formats.end())
      throw RequestFault(400, "format", unknown_word("format", format.substr(0, 64), formats));
    const std::optional<Demand> demand = asked_demand(reader, static_cast<bool>(ask_));
    auto state = state_.load();
    std::optional<DemandReply> reply;
    if (demand && demand->request_class != RequestClass::instant)
      reply = run_for(*demand, ask_(demand->request_class, demand->member), state);
    const RegionalForecast& run = forecast_of(*state);
    PointForecast point{.state = *state, .condition = condition_of(*state, clock_()), .demand = reply};
    point.latitude = latitude.value_or(state->latitude);
    point.longitude = longitude.value_or(state->longitude);
    point.quantities = asked_quantities(run, reader.text("variables"));
    const auto weights = bilinear_weights(run.grid, point.latitude, point.longitude);
    if (!weights) {
      const GridExtent extent = run_extent(run.grid);
      throw RequestFault(
          404, latitude ? "lat" : "",
          fmt::format("{:.4g} N, {:.4g} E lies outside the region {:.4g}..{:.4g} N, {:.4g}..{:.4g} E", point.latitude,
                      point.longitude, extent.south, extent.north, extent.west, extent.east));
    }
    for (const Quantity& quantity : point.quantities) point.series.push_back(point_series(run, quantity, *weights));
    if (at_station(*state, point.latitude, point.longitude)) {
      for (const CorrectedSeries& series : state->corrected) {
        const auto asked = [&](const Quantity& q) { return q.name == series.quantity; };
        if (std::any_of(point.quantities.begin(), point.quantities.end(), asked)) point.corrected.push_back(&series);
      }
    }
    const auto answer = [&](const char* type, std::string body) {
      return Answer{200, type, std::move(body), reply ? headers_of(*reply, run) : Headers{}};
    };
    if (format == "csv") return answer("text/csv; charset=utf-8", to_csv(point));
    if (format == "json") return answer("application/json", to_json(point));
    return answer("application/prs.coverage+json", to_coverage_json(point));
  });
}

Answer StationApi::field(const Query& query) const {
  return answered([&]() -> Answer {
    const QueryReader reader(query, {"variable", "lead"});
    const auto name = reader.text("variable");
    if (!name) throw RequestFault(400, "variable", "missing; expected one of those /v1/status lists");
    const auto hours = reader.number("lead", 0, 24.0 * 400);
    if (!hours) throw RequestFault(400, "lead", "missing; expected hours");
    const auto state = state_.load();
    const RegionalForecast& run = forecast_of(*state);
    const std::vector<Quantity> all = quantities_of(run.channels);
    const Quantity& quantity = asked_quantity(all, "variable", *name);
    const auto lead = std::find(run.leads.begin(), run.leads.end(), Duration(std::llround(*hours * 3600)));
    if (lead == run.leads.end()) {
      throw RequestFault(404, "lead",
                         fmt::format("there is no lead of {} h; the last of {} is {}", *hours, run.leads.size(),
                                     to_string(run.leads.back())));
    }
    const auto index = static_cast<std::size_t>(lead - run.leads.begin());
    const std::vector<float> values = quantity_field(run, quantity, index);
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    // Half a step of error: a 130 000th of the range.
    const double step = std::max((static_cast<double>(*most) - static_cast<double>(*least)) / 65535.0, 1e-30);
    std::string bytes;
    bytes.reserve(values.size() * 2);
    for (const float value : values) {
      const auto packed =
          static_cast<unsigned>(std::lround((static_cast<double>(value) - static_cast<double>(*least)) / step));
      bytes += static_cast<char>(packed & 255u);
      bytes += static_cast<char>(packed >> 8);
    }
    std::string body = fmt::format(R"({{"variable":{},"title":{},"unit":{},"lead_hours":{:.7g},"valid":"{}")",
                                   json_string(quantity.name), json_string(quantity.title), json_string(quantity.unit),
                                   *hours, to_string(run.valid(index)));
    body += axes_json(run.grid);
    body += fmt::format(R"(,"offset":{:.9g},"scale":{:.9g},"minimum":{:.7g},"maximum":{:.7g},"uint16":"{}"}})", *least,
                        step, *least, *most, base64(bytes));
    return {200, "application/json", body + "\n"};
  });
}

Answer StationApi::coast(const Query& query) const {
  return answered([&]() -> Answer {
    const QueryReader reader(query, {});
    const auto state = state_.load();
    std::string body = "{\"segments\":[";
    if (state->coast)
      for (const CoastSegment& s : *state->coast)
        fmt::format_to(std::back_inserter(body), "{}[{:.6g},{:.6g},{:.6g},{:.6g}]", body.ends_with('[') ? "" : ",",
                       s.from.latitude, s.from.longitude, s.to.latitude, s.to.longitude);
    body += "]";
    if (state->forecast && state->forecast->grid.projection()) body += ",\"plane\":" + plane_json(*state);
    return {200, "application/json", body + "}\n"};
  });
}

Answer StationApi::status(const Query& query) const {
  return answered([&]() -> Answer {
    const QueryReader reader(query, {});
    const auto state = state_.load();
    const Time time = clock_();
    const Condition condition = condition_of(*state, time);
    std::string body = fmt::format(
        R"({{"station":{{"name":{},"latitude":{:.9g},"longitude":{:.9g},"elevation_m":{:.7g}}},"state":"{}","reasons":{},"time":"{}","software":{})",
        json_string(state->station), state->latitude, state->longitude, state->elevation, name_of(condition.freshness),
        list_of(condition.reasons), to_string(time), json_string(state->software));
    body += ",\"feed_reaches\":" + (state->feed_reach ? json_string(to_string(*state->feed_reach)) : "null");
    if (state->forecast) {
      const RegionalForecast& run = *state->forecast;
      const GridExtent extent = run_extent(run.grid);
      body += fmt::format(
          R"(,"run":{},"region":{{"north":{:.7g},"south":{:.7g},"west":{:.7g},"east":{:.7g},"rows":{},"columns":{}}})",
          run_json(run), extent.north, extent.south, extent.west, extent.east, run.grid.nlat(), run.grid.nlon());
      std::vector<double> hours;
      for (const Duration lead : run.leads) hours.push_back(static_cast<double>(lead.count()) / 3600);
      body += ",\"leads_hours\":";
      append_numbers(body, hours);
      body += ",\"variables\":[";
      for (const Quantity& q : quantities_of(run.channels)) {
        body +=
            fmt::format(R"({}{{"name":{},"title":{},"unit":{},"standard_name":{}}})", body.ends_with('[') ? "" : ",",
                        json_string(q.name), json_string(q.title), json_string(q.unit), json_string(q.standard_name));
      }
      body += "]";
    } else {
      body += ",\"run\":null";
    }
    return {200, "application/json", body + "}\n"};
  });
}

Answer StationApi::health(const Query& query) const {
  return answered([&]() -> Answer {
    const QueryReader reader(query, {});
    const auto state = state_.load();
    const Condition condition = condition_of(*state, clock_());
    return {state->forecast ? 200 : 503, "application/json",
            fmt::format(R"({{"status":"{}","state":"{}"}})"
                        "\n",
                        state->forecast ? "ok" : "no forecast", name_of(condition.freshness))};
  });
}

}  // namespace zonda::edge
