#include "assimilation/cycling/cycle_summary.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "assimilation/diagnostics/observation_impact.hpp"
#include "ingest/observations/quality_flag.hpp"
#include "postproc/verification/ensemble.hpp"

namespace zonda::assimilation {
namespace {

using Json = nlohmann::ordered_json;

struct ChannelSums {
  double count = 0, scored = 0, error = 0, squared_error = 0, spread = 0, squared_spread = 0, crps = 0, bias = 0;
  std::vector<double> ranks;

  void add(const Json& score) {
    const double s = score.at("spread");
    count += 1;
    spread += s;
    squared_spread += s * s;
    if (!score.contains("error")) return;
    const double e = score.at("error");
    scored += 1;
    error += e;
    squared_error += e * e;
    crps += score.at("crps").get<double>();
    bias += score.at("bias").get<double>();
    if (!score.contains("ranks")) return;
    const auto& counts = score.at("ranks");
    ranks.resize(counts.size());
    for (std::size_t r = 0; r < counts.size(); ++r) ranks[r] += counts[r].get<double>();
  }

  Json record() const {
    Json json{{"spread", spread / count}};
    if (scored == 0) return json;
    json["error"] = error / scored;
    json["bias"] = bias / scored;
    json["crps"] = crps / scored;
    if (ranks.empty()) return json;
    json["spread_error"] =
        postproc::spread_error_ratio(squared_spread / count, squared_error / scored, ranks.size() - 1);
    double total = 0;
    for (const double r : ranks) total += r;
    Json frequencies = Json::array();
    for (const double r : ranks) frequencies.push_back(total > 0 ? r / total : 0);
    json["ranks"] = std::move(frequencies);
    return json;
  }
};

Json by_channel(const std::vector<const Json*>& records, const char* which) {
  std::vector<std::string> names;
  std::map<std::string, ChannelSums> sums;
  for (const Json* record : records)
    for (const auto& [name, score] : record->at(which).items()) {
      if (!sums.contains(name)) names.push_back(name);
      sums[name].add(score);
    }
  Json json = Json::object();
  for (const std::string& name : names) json[name] = sums.at(name).record();
  return json;
}

Json departures(const std::vector<const Json*>& records) {
  DepartureStatistics all;
  for (const Json* record : records)
    if (record->contains("departures"))
      for (const auto& [key, sums] : departures_of_record(record->at("departures"))) all[key].add(sums);
  Json list = Json::array();
  for (const auto& [key, s] : all)
    list.push_back({{"kind", key.kind},
                    {"variable", key.variable},
                    {"level_hpa", key.level},
                    {"count", s.count},
                    {"background_mean", s.background / s.count},
                    {"background_rms", std::sqrt(s.background_square / s.count)},
                    {"analysis_mean", s.analysis / s.count},
                    {"analysis_rms", std::sqrt(s.analysis_square / s.count)},
                    {"observation_error", std::sqrt(s.error_square / s.count)},
                    {"diagnosed_observation_error", s.diagnosed_observation_error()},
                    {"background_spread", std::sqrt(s.spread_square / s.count)},
                    {"diagnosed_background_error", s.diagnosed_background_error()},
                    {"signal", s.degrees_of_freedom_for_signal()},
                    {"signal_per_observation", s.degrees_of_freedom_for_signal() / s.count}});
  return list;
}

Json observations(const std::vector<Json>& records, const Json& beyond) {
  std::uint64_t read = beyond.at("values"), used = 0;
  std::map<std::string, std::uint64_t> rejected;
  if (read > 0) rejected[std::string(name(ingest::QualityFlag::window))] = read;
  for (const Json& record : records) {
    if (!record.contains("observations")) continue;
    const Json& o = record["observations"];
    read += o.at("read").get<std::uint64_t>();
    used += o.at("used").get<std::uint64_t>();
    for (const auto& [reason, count] : o.at("rejected").items()) rejected[reason] += count.get<std::uint64_t>();
  }
  return {{"read", read}, {"used", used}, {"rejected", rejected}, {"reports", beyond.at("reports")}};
}

/// Means over the analyses that forecasts were launched from, by channel and lead in hours.
Json forecasts(const std::vector<const Json*>& records) {
  std::map<std::string, std::map<int, std::map<std::string, std::pair<double, double>>>> sums;
  for (const Json* record : records) {
    if (!record->contains("forecasts")) continue;
    for (const auto& [channel, leads] : record->at("forecasts").items())
      for (const auto& [hours, errors] : leads.items())
        for (const auto& [source, error] : errors.items()) {
          auto& [count, sum] = sums[channel][std::stoi(hours)][source];
          count += 1;
          sum += error.get<double>();
        }
  }
  Json list = Json::array();
  for (const auto& [channel, leads] : sums)
    for (const auto& [hours, sources] : leads) {
      Json item{{"channel", channel}, {"lead_hours", hours}};
      for (const auto& [source, value] : sources) item[source] = value.second / value.first;
      list.push_back(std::move(item));
    }
  return list;
}

/// Sums over the analyses whose observations were followed; null where there are none.
Json impacts(const std::vector<const Json*>& records) {
  ObservationImpact all;
  for (const Json* record : records)
    if (record->contains("impact")) all.add(impact_of_record(record->at("impact")));
  return all.analyses > 0 ? to_record(all) : Json();
}

Json station_list(const StationStatistics& stations) {
  Json list = Json::array();
  for (const auto& [name, place] : stations) {
    Json variables = Json::object();
    for (const auto& [variable, s] : place.variables)
      variables[variable] = {{"count", s.count},
                             {"background_mean", s.background / s.count},
                             {"background_rms", std::sqrt(s.background_square / s.count)},
                             {"analysis_rms", std::sqrt(s.analysis_square / s.count)}};
    list.push_back({{"station", name},
                    {"latitude", place.latitude},
                    {"longitude", place.longitude},
                    {"variables", std::move(variables)}});
  }
  return list;
}

}  // namespace

Json summarise_cycle(const std::vector<Json>& records, Time from, const StationStatistics& stations,
                     const Json& beyond) {
  std::vector<const Json*> counted;
  double tail = 0;
  for (const Json& record : records) {
    if (parse_time(record.at("time").get<std::string>()) >= from) counted.push_back(&record);
    for (const Json& ratio : record.at("tail")) tail = std::max(tail, ratio.get<double>());
  }
  return {{"cycles", records.size()},
          {"scored_cycles", counted.size()},
          {"observations", observations(records, beyond)},
          {"background", by_channel(counted, "background")},
          {"analysis", by_channel(counted, "analysis")},
          {"departures", departures(counted)},
          {"forecasts", forecasts(counted)},
          {"impact", impacts(counted)},
          {"largest_tail", tail},
          {"stations", station_list(stations)}};
}

}  // namespace zonda::assimilation
