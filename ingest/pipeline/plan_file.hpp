#pragma once
// `plan.json`: what an archive in the making shall hold, and the configuration that says so. The first thing written.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "ingest/pipeline/ingest.hpp"

namespace zonda::ingest {

struct PlanFile {
  IngestPlan plan;  ///< without the estimates
  nlohmann::ordered_json configuration;
};

std::string encode_plan(const PlanFile& file);
/// Nothing if there is none. Throws Error(data) on a damaged one.
std::optional<PlanFile> read_plan(const std::filesystem::path& archive);
/// Removes everything that ingest writes into this folder, and nothing else; the plan last.
void remove_archive(const std::filesystem::path& archive);

/// Every key with its default filled in.
nlohmann::ordered_json configuration_of(const IngestConfig& config);
IngestConfig config_of(const nlohmann::ordered_json& configuration);
enum class Change { resume, append };
/// `key 'grid': the archive has "...", the configuration "..."` for each key that may not differ; empty if none does.
std::string forbidden_changes(const nlohmann::ordered_json& archive, const nlohmann::ordered_json& configuration,
                              Change change);
/// SHA-256 of what decides a unit's bytes besides its times: layout and processing, not sources, period or statistics.
std::string unit_configuration(const PlanFile& file);

}  // namespace zonda::ingest
