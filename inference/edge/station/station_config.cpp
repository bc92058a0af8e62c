#include "inference/edge/station/station_config.hpp"

#include "core/error.hpp"

namespace zonda::edge {

void describe(config::Table& table, HubSection& hub) {
  table.key("url", hub.url, "Where the hub's files are: http:// or https://").required();
  table.key("root", hub.root, "Root metadata that came with the station; every signature goes back to it");
  table.key("certificate_authorities", hub.certificate_authorities, "PEM file for https; empty: the system's");
  table.key("region", hub.region, "Region that the station says it is in: whose assignment it follows; empty: any");
  table.key("poll_interval", hub.poll_interval, "How often the hub is asked");
  table.check("url", [&hub]() -> std::string {
    return hub.url.starts_with("http://") || hub.url.starts_with("https://") ? ""
                                                                             : "expected http://... or https://...";
  });
}

void describe(config::Table& table, LinkSection& link) {
  table.key("maximum_bytes_per_second", link.maximum_bytes_per_second, "Bandwidth cap; 0: none").range(0, 1e12);
  table.key("minimum_bytes_per_second", link.minimum_bytes_per_second, "Slower transfers are given up").range(1, 1e9);
  table.key("hours", link.hours, "When models may be fetched, UTC, such as 22:00-05:30; feeds come at any time");
  table.key("disk_reserve_megabytes", link.disk_reserve_megabytes, "Left free on the disk").range(0, 1e6);
  table.check("hours", [&link]() -> std::string {
    try {
      if (link.hours) TransferWindow(*link.hours, 0);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  });
}

void describe(config::Table& table, PlaceSection& place) {
  table.key("latitude", place.latitude, "Degrees north").range(-90, 90).required();
  table.key("longitude", place.longitude, "Degrees east").range(-180, 360).required();
}

void describe(config::Table& table, ModelSection& model) {
  table.key("threads", model.threads, "Of the forecast; 0: one a core").range(0, 1024);
  table.key("name", model.name, "Only a model of this name is installed; default: what the hub assigns");
  table.key("hardware", model.hardware, "Tags of this machine beside those that it finds itself");
}

void describe(config::Table& table, OnDemandSection& on_demand) {
  table.key("enabled", on_demand.enabled, "Whether the model runs for requests that name a deadline or member");
  table.key("reach", on_demand.reach, "How far such a run goes, by whole steps");
  table.key("coarsest_level", on_demand.coarsest_level, "Token level that haste may lead to; 0: exact runs alone")
      .range(0, 7);
  table.key("waiting", on_demand.waiting, "Requests that wait for a run; others get the last scheduled one")
      .range(1, 1000);
}

void describe(config::Table& table, StationConfig& config) {
  table.key("id", config.id, "Name of the station, unique in the fleet").required();
  table.key("directory", config.directory, "Where the station keeps models, feeds, forecasts and its key");
  table.key("stale_after", config.stale_after, "Age of a forecast's analysis beyond which it is shown as STALE");
  table.section("hub", config.hub, "Where models and feeds come from").required();
  table.section("link", config.link, "How the network may be used");
  table.section("place", config.place, "Where the station stands").required();
  table.section("model", config.model, "How the forecast is run");
  table.section("serve", config.serve, "Page, API and metrics");
  table.section("on_demand", config.on_demand, "Runs that requests ask for");
  table.section("correction", config.correction, "What the station's own sensors correct");
  table.check("id", [&config]() -> std::string {
    const bool plain = !config.id.empty() && config.id.size() <= 64 && config.id.front() != '.' &&
                       config.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._") == std::string::npos;
    return plain ? "" : "expected at most 64 lower-case letters, digits, '-', '.', '_'";
  });
}

StationConfig read_station_config(const std::filesystem::path& path) {
  StationConfig config;
  config::Node document = config::read_yaml(path);
  config::apply_environment(document);
  config::read(document, config);
  return config;
}

StationSettings StationConfig::settings() const {
  const auto rate = static_cast<std::uint64_t>(link.maximum_bytes_per_second);
  return {.id = id,
          .directory = directory,
          .poll_interval = hub.poll_interval,
          .stale_after = stale_after,
          .download = {.window = link.hours ? TransferWindow(*link.hours, rate) : TransferWindow(rate),
                       .reserve_bytes = static_cast<std::uint64_t>(link.disk_reserve_megabytes) << 20}};
}

HttpLimits StationConfig::http_limits() const {
  return {.minimum_bytes_per_second = static_cast<double>(link.minimum_bytes_per_second),
          .maximum_bytes_per_second = static_cast<std::uint64_t>(link.maximum_bytes_per_second),
          .certificate_authorities = hub.certificate_authorities.string()};
}

}  // namespace zonda::edge
