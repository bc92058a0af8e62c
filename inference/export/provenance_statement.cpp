#include "inference/export/provenance_statement.hpp"

#include <nlohmann/json.hpp>

#include "core/provenance.hpp"

namespace zonda::inference {

using nlohmann::json;

std::string provenance_statement(const model::ForecastModel& model, const json& configuration,
                                 std::span<const BundleFile> subjects) {
  json subject = json::array();
  for (const BundleFile& file : subjects)
    subject.push_back({{"name", file.name}, {"digest", {{"sha256", file.sha256}}}});
  const model::ModelOrigin& origin = model.origin;
  json materials = json::array({{{"name", "model"}, {"digest", {{"sha256", model.identity}}}}});
  if (!origin.archive_identity.empty())
    materials.push_back({{"name", "archive"}, {"annotations", {{"identity", origin.archive_identity}}}});
  const json statement = {
      {"_type", "https://in-toto.io/Statement/v1"},
      {"subject", subject},
      {"predicateType", "https://slsa.dev/provenance/v1"},
      {"predicate",
       {{"buildDefinition",
         {{"buildType", "zonda export"},
          {"externalParameters", configuration},
          {"internalParameters",
           {{"training_steps", origin.training_steps},
            {"training_start", to_string(origin.training_start)},
            {"training_end", to_string(origin.training_end)},
            {"training_configuration", origin.configuration_hash}}},
          {"resolvedDependencies", materials}}},
        {"runDetails", {{"builder", {{"id", "zonda"}, {"version", {{"zonda", code_version()}}}}}}}}}};
  return statement.dump(1) + '\n';
}

}  // namespace zonda::inference
