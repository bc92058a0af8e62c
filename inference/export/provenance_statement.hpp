#pragma once
// provenance.json of a bundle: an in-toto statement (in-toto Attestation Framework, Statement v1) that the bundle's
// files were made by this code from that model.
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "inference/bundle/manifest.hpp"
#include "model/forecast_state/forecast_model.hpp"

namespace zonda::inference {

/// The same inputs give the same text. `subjects`: the files that hold weights and graphs.
std::string provenance_statement(const model::ForecastModel& model, const nlohmann::json& configuration,
                                 std::span<const BundleFile> subjects);

}  // namespace zonda::inference
