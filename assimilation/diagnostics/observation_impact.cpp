#include "assimilation/diagnostics/observation_impact.hpp"

#include <nlohmann/json.hpp>

namespace zonda::assimilation {
namespace {

using Json = nlohmann::ordered_json;

void put(Json& json, const ImpactSums& sums) {
  json["count"] = sums.count;
  json["share"] = sums.share;
  json["useful"] = sums.useful;
}

ImpactSums taken(const Json& json) {
  return {json.at("count"), json.at("share"), json.at("useful")};
}

}  // namespace

void ImpactSums::add(const ImpactSums& other) {
  count += other.count;
  share += other.share;
  useful += other.useful;
}

double ObservationImpact::total() const {
  double sum = 0;
  for (const auto& [key, sums] : by_kind) sum += sums.share;
  return sum;
}

void ObservationImpact::add(const ObservationImpact& other) {
  analyses += other.analyses;
  background_error += other.background_error;
  analysis_error += other.analysis_error;
  for (const auto& [key, sums] : other.by_kind) by_kind[key].add(sums);
  for (const auto& [name, station] : other.by_station) {
    auto& [place, sums] = by_station[name];
    place = station.first;
    sums.add(station.second);
  }
}

ObservationImpact sum_impacts(const ingest::ObservationTable& table, const std::vector<std::size_t>& used,
                              ConstView shares, double background_error, double analysis_error) {
  require_size("the impacts of observations", shares.size(), used.size());
  ObservationImpact impact;
  impact.analyses = 1;
  impact.background_error = background_error;
  impact.analysis_error = analysis_error;
  for (std::size_t n = 0; n < used.size(); ++n) {
    const std::size_t i = used[n];
    const ImpactSums one{1, shares[n], shares[n] < 0 ? 1.0 : 0.0};
    impact.by_kind[departure_key(table, i)].add(one);
    auto& [place, sums] = impact.by_station[std::string(table.station_name(i))];
    place.latitude = table.latitude[i];
    place.longitude = table.longitude[i];
    sums.add(one);
  }
  return impact;
}

Json to_record(const ObservationImpact& impact) {
  Json kinds = Json::array(), stations = Json::array();
  for (const auto& [key, sums] : impact.by_kind) {
    kinds.push_back({{"kind", key.kind}, {"variable", key.variable}, {"level_hpa", key.level}});
    put(kinds.back(), sums);
  }
  for (const auto& [name, station] : impact.by_station) {
    stations.push_back(
        {{"station", name}, {"latitude", station.first.latitude}, {"longitude", station.first.longitude}});
    put(stations.back(), station.second);
  }
  return {{"analyses", impact.analyses},
          {"background_error", impact.background_error},
          {"analysis_error", impact.analysis_error},
          {"total", impact.total()},
          {"by_kind", std::move(kinds)},
          {"by_station", std::move(stations)}};
}

ObservationImpact impact_of_record(const Json& record) {
  ObservationImpact impact;
  impact.analyses = record.at("analyses");
  impact.background_error = record.at("background_error");
  impact.analysis_error = record.at("analysis_error");
  for (const Json& item : record.at("by_kind"))
    impact.by_kind[{item.at("kind"), item.at("variable"), item.at("level_hpa")}] = taken(item);
  for (const Json& item : record.at("by_station")) {
    auto& [place, sums] = impact.by_station[item.at("station")];
    place.latitude = item.at("latitude");
    place.longitude = item.at("longitude");
    sums = taken(item);
  }
  return impact;
}

}  // namespace zonda::assimilation
