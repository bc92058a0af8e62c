#include "inference/edge/hub_client/station_inventory.hpp"

namespace zonda::edge {

std::string signed_inventory(const StationView& view, const StationTraits& traits, const SecretKey& key,
                             const std::string& name, const std::string& software) {
  const UpdateSummary& update = view.update;
  StationReport report;
  report.station = traits.id;
  report.time = view.time;
  report.region = traits.region;
  report.hardware = traits.hardware;
  if (update.release) {
    report.model = update.release->name;
    report.version = report.tried = update.release->version;
  }
  if (update.failed) {
    report.state = "failed";
    report.tried = update.failed->version;
    report.reason = update.failed_reason.substr(0, 500);
  } else if (update.on_trial) {
    report.state = "updating";
  }
  report.more = {{"name", name},
                 {"condition", to_string(view.condition)},
                 {"rollbacks", update.rollbacks},
                 {"software", software}};
  return report.signed_by(key);
}

}  // namespace zonda::edge
