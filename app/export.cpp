// `zonda export`: a trained model to a bundle that stations run.
#include "inference/export/export_bundle.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/verb.hpp"

namespace zonda::app {
namespace {

namespace fs = std::filesystem;

/// A run directory stands for the model that it trained.
fs::path model_within(const fs::path& path) {
  const fs::path trained = path / "checkpoints" / "model";
  return fs::exists(trained) ? trained : path;
}

nlohmann::ordered_json record_of(const inference::Exported& exported, const fs::path& path) {
  nlohmann::ordered_json record{{"bundle", path.string()},
                                {"identity", exported.identity},
                                {"precision", exported.manifest.precision},
                                {"parameters", exported.manifest.parameters},
                                {"weight_bytes", exported.weight_bytes},
                                {"bytes", exported.bytes}};
  if (exported.base_cost)
    record["base"] = {{"error_without", exported.base_cost->without}, {"error_with", exported.base_cost->with}};
  return record;
}

}  // namespace

Verb export_verb() {
  return {
      "export", "A trained model to a bundle: weights, ONNX graphs, self-test, provenance",
      "zonda export runs/quickstart --to bundles/quickstart --precision int8", [](CLI::App& command, Session& session) {
        auto config = std::make_shared<inference::ExportConfig>();
        command.add_option("MODEL", config->model, "Model folder, or the run directory that it was trained in")
            ->required();
        command.add_option("--to", config->to, "Folder of the bundle; an older one is replaced")->required();
        command.add_option("--precision", config->precision, "Of the blocks' matrices: fp32, bf16, int8")
            ->capture_default_str();
        command.add_option("--exact", config->exact, "Matrices that stay fp32 in int8: block0.up.weight,...")
            ->delimiter(',');
        command.add_option("--onnx", config->onnx, "Profiles of the ONNX graph: standard,ascend")
            ->delimiter(',')
            ->capture_default_str();
        command.add_flag_callback(
            "--no-onnx", [config] { config->onnx.clear(); }, "No ONNX graph");
        command.add_option("--name", config->name, "Of the region or model, for people; default: its grid");
        command.add_option("--hardware", config->hardware, "Tags of what it was made for")->delimiter(',');
        command.add_option("--measure", config->measure_on,
                           "Archive to measure the token levels' time and skill on; default: exact forecasts alone");
        command.add_option("--base", config->base,
                           "Bundle in int8 that this one replaces: numbers stay near its own, for a small delta");
        command.add_option("--parent", config->parents, "Identities of bundles that it descends from");
        return [&session, config] {
          if (!session.speaks()) return;
          config->model = model_within(config->model);
          const inference::Exported exported = inference::export_bundle(*config);
          const auto record = record_of(exported, config->to);
          print_result(session, session.json
                                    ? record.dump(2)
                                    : fmt::format("{}: {} parameters in {}, {:.2f} MB of weights, {:.2f} MB in all\n"
                                                  "identity {}\n",
                                                  config->to.string(), exported.manifest.parameters,
                                                  exported.manifest.precision, 1e-6 * double(exported.weight_bytes),
                                                  1e-6 * double(exported.bytes), exported.identity));
        };
      }};
}

}  // namespace zonda::app
