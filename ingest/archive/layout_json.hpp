#pragma once
// The layout and the times of an archive as JSON, as plan and manifest hold them. Included by .cpp files only.
#include <nlohmann/json.hpp>

#include "ingest/archive/manifest.hpp"

namespace zonda::ingest {

nlohmann::ordered_json encode_layout(const ArchiveLayout& layout);
/// Throws Error or a JSON exception on nonsense.
ArchiveLayout decode_layout(const nlohmann::ordered_json& json);
nlohmann::ordered_json encode_axis(const TimeAxis& axis);
TimeAxis decode_axis(const nlohmann::ordered_json& json);

}  // namespace zonda::ingest
