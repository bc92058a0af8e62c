#pragma once
// Zarr version 2: the metadata of a group and of its arrays (https://zarr-specs.readthedocs.io, storage spec v2).
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/sources/cf_dataset.hpp"
#include "ingest/sources/zarr_codecs.hpp"

namespace zonda::ingest {

struct ZarrArray {
  CfArray info;
  std::vector<std::size_t> chunks;
  ZarrElement element;
  std::vector<ZarrCodec> codecs;     ///< in the order of decoding: the compressor, then the filters from last to first
  std::optional<double> fill_value;  ///< of chunks that are not there; none: null in the metadata
  bool row_major = true;             ///< order "C"
  char separator = '.';
  std::string problem;  ///< why it cannot be read ("filter 'categorize' is not supported ..."); empty if it can

  std::size_t chunk_elements() const;
  std::string chunk_key(std::span<const std::size_t> chunk) const;  ///< `time/0.3.0`, relative to the group
};

/// Metadata as written by Python: JSON with NaN, Infinity and -Infinity as bare words (read as strings).
/// Throws Error(data) naming `where`.
nlohmann::json parse_zarr_json(std::string_view text, std::string_view where);

/// One array from its `.zarray` and `.zattrs`. What makes only this array unreadable (an unknown codec or type) goes to
/// `problem`. Throws Error(data) naming `where` where the metadata are malformed.
ZarrArray parse_zarr_array(const std::string& name, const nlohmann::json& zarray, const nlohmann::json& zattrs,
                           std::string_view where);

/// All arrays directly in the group at `folder`: from `.zmetadata` where it is there, else by looking into the folders.
std::vector<ZarrArray> read_zarr_group(const std::filesystem::path& folder);

}  // namespace zonda::ingest
