#pragma once
// The ingest stage: plan -> load -> finalise, and append and verify. Each step is idempotent: run again after any stop
// it continues, and the archive is the same bytes. The number of ranks changes nothing but the time it takes.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/share.hpp"
#include "ingest/archive/manifest.hpp"
#include "ingest/pipeline/ingest_config.hpp"
#include "ingest/sources/source.hpp"
#include "parallel/communicator.hpp"

namespace zonda::ingest {

/// One work unit: contiguous times, one file.
struct PlannedUnit {
  std::string file;
  std::size_t first, count;  ///< into IngestPlan's times
};

/// What would be done.
struct IngestPlan {
  ArchiveLayout layout;
  std::vector<Channel> statics;
  TimeAxis axis;
  std::vector<PlannedUnit> units;
  std::vector<std::string> sources;   ///< one line each
  std::vector<std::string> ignored;   ///< names in the sources that are no variables of ours
  std::uint64_t bytes_read = 0;       ///< floats of the fields that are read
  std::uint64_t bytes_on_disk = 0;    ///< estimate, from the kept bits
  std::uint64_t memory_per_rank = 0;  ///< estimate, bytes, beyond the sources' inventories
  std::size_t times() const;
  /// A table for people.
  std::string to_string() const;
};

/// Opens what `config.sources` names; tests bring their own.
using OpenSources = std::function<std::vector<std::unique_ptr<Source>>(const IngestConfig&)>;
std::vector<std::unique_ptr<Source>> open_configured_sources(const IngestConfig& config);

/// Opens the sources and lays out the units; writes nothing. Throws Error(usage) for what the configuration gets wrong,
/// Error(data) for times or channels that the sources lack: the first few and how many.
IngestPlan plan_ingest(const IngestConfig& config, const OpenSources& open = open_configured_sources);

/// Loads this share of the units (job arrays), divided among the ranks. The first caller writes `plan.json`. Throws
/// Error(usage) if the folder holds an archive of another configuration, naming the differing key; Error(data |
/// numerical) for bad fields, naming file, channel, level and time; Interrupted on a signal.
void load_ingest(const IngestConfig& config, const parallel::Communicator& communicator,
                 const std::filesystem::path& archive, Share share = {},
                 const OpenSources& open = open_configured_sources);

/// Statistics over the training period and the manifest `archive.json`. Throws Error(data) naming units not loaded yet.
void finalise_ingest(const IngestConfig& config, const parallel::Communicator& communicator,
                     const std::filesystem::path& archive);

/// plan, load and finalise.
void run_ingest(const IngestConfig& config, const parallel::Communicator& communicator,
                const std::filesystem::path& archive, const OpenSources& open = open_configured_sources);

/// Adds the times after the archive's last one, up to `config.end` (or all that the sources hold): new units, then
/// finalise. Only sources, end, missing, unit_bytes and statistics may differ from the archive's configuration. Without
/// an archive it is run_ingest.
void append_ingest(const IngestConfig& config, const parallel::Communicator& communicator,
                   const std::filesystem::path& archive, const OpenSources& open = open_configured_sources);

struct VerifyReport {
  std::uint64_t files = 0, chunks = 0, bytes = 0;
  std::vector<std::string> faults;  ///< one line each, in file order; the first 100 of a rank
  std::string to_string() const;
};

/// Reads the whole archive: checksums of files and chunks, values finite and in their physical range (as the archive's
/// configuration asks), moments as the journal has them. The same report on every rank. Throws Error(data) if the
/// archive cannot be opened at all.
VerifyReport verify_ingest(const parallel::Communicator& communicator, const std::filesystem::path& archive);

}  // namespace zonda::ingest
