#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/verb.hpp"
#include "core/provenance.hpp"
#include "model/ops/cuda/device_query.hpp"

namespace zonda::app {

Verb version_verb() {
  return {"version", "Print version, build and devices", "zonda version --json", [](CLI::App&, Session& session) {
            return [&session] {
              const auto devices = model::cuda_devices();
              if (session.json) {
                nlohmann::ordered_json record;
                record["version"] = code_version();
                record["build"] = build_description();
                record["devices"] = nlohmann::json::array();
                for (const auto& device : devices) record["devices"].push_back(device.name);
                print_result(session, record.dump(2));
                return;
              }
              std::string text = "zonda " + code_version() + "\nbuild: " + build_description() + "\ndevices:";
              for (const auto& device : devices) text += " " + device.name + ";";
              if (devices.empty()) text += " CPU only (no CUDA device found)";
              print_result(session, text);
            };
          }};
}

}  // namespace zonda::app
