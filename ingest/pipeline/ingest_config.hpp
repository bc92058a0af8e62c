#pragma once
// The `ingest` section of a run file: which fields of whose files become which archive.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "core/variables.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::ingest {

struct SourceConfig {
  std::vector<std::string> path;       ///< files, folders (Zarr) or globs
  std::vector<std::string> variables;  ///< `NAME_IN_FILE=short name`
  std::vector<std::string> units;      ///< `NAME_IN_FILE=unit to believe`
};

struct StatisticsConfig {
  std::optional<Time> start, end;    ///< the training period; default: the whole archive
  std::vector<Duration> tendencies;  ///< default: the step, 6 h, 12 h and 24 h where they are multiples of the step
};

struct IngestConfig {
  std::vector<SourceConfig> sources;
  std::string preset;                  ///< "", fengwu, fengwu-ghr
  std::vector<std::string> variables;  ///< short names; those on pressure levels on each of `levels`
  std::vector<int> levels;             ///< hPa
  std::vector<std::string> channels;   ///< explicit list, after preset and variables: `z500`, `2t`
  std::vector<std::string> statics;    ///< `orog`, `lsm`
  std::optional<Time> start, end;      ///< first and last time; default: what the sources hold
  std::optional<Duration> step;        ///< default: the smallest spacing of the sources' times
  std::vector<double> area;            ///< north, west, south, east in degrees; empty: all
  std::string grid;                    ///< target grid (Grid::parse); empty: the sources' own
  std::string method = "bilinear";     ///< nearest, bilinear, conservative
  int kept_bits = 10;                  ///< mantissa bits kept
  std::vector<std::string> kept_bits_of{"z=13", "msl=13", "sp=13"};  ///< `variable=bits`: large offsets need more
  std::string members = "single";                                    ///< single, mean, or a member's number
  std::optional<Duration> accumulation;  ///< period of accumulated variables; default: the step
  std::vector<Time> missing;             ///< times that the sources are known to lack
  bool range_check = true;               ///< values outside the variable's physical range are an error
  std::vector<std::string> fill;         ///< `variable=value` for missing values; others make them an error
  double finite_fraction = 0;            ///< the least share of finite values in a field of a filled variable
  StatisticsConfig statistics;
  std::int64_t unit_bytes = 0;  ///< floats in one work unit; 0: a 64th of the whole, 32 MiB to 4 GiB
  int tile_rows = 0;            ///< rows of a chunk; 0: chosen from the grid
  int compression_level = 1;    ///< of zstd
  bool restart = false;         ///< replace an archive that was made with another configuration
};

void describe(config::Table& table, SourceConfig& config);
void describe(config::Table& table, StatisticsConfig& config);
void describe(config::Table& table, IngestConfig& config);

/// The archive's channels in order: preset, variables x levels, channels. Throws Error(usage) on an unknown or repeated
/// one.
std::vector<Channel> configured_channels(const IngestConfig& config);
std::vector<Channel> configured_statics(const IngestConfig& config);
/// [channel] kept mantissa bits. Throws Error(usage).
std::vector<int> configured_bits(const IngestConfig& config, const std::vector<Channel>& channels);
/// [channel] the value for missing points, where one is declared. Throws Error(usage).
std::vector<std::optional<float>> configured_fill(const IngestConfig& config, const std::vector<Channel>& channels);
/// `name=value` into its halves. Throws Error(usage) naming `key`.
std::pair<std::string, std::string> split_assignment(const std::string& text, const std::string& key);

}  // namespace zonda::ingest
