#pragma once
// The layout and the times of an archive as JSON, as plan and manifest hold them. Included by .cpp files only.
#include <nlohmann/json.hpp>

#include "core/json_reader.hpp"
#include "ingest/archive/manifest.hpp"

namespace zonda::ingest {

nlohmann::ordered_json encode_layout(const ArchiveLayout& layout);
/// Throws Error naming the member that makes no sense.
ArchiveLayout decode_layout(const JsonReader& json);
nlohmann::ordered_json encode_axis(const TimeAxis& axis);
TimeAxis decode_axis(const JsonReader& json);

}  // namespace zonda::ingest
