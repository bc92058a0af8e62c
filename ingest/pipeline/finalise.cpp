#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "ingest/pipeline/agreement.hpp"
#include "ingest/pipeline/ingest.hpp"
#include "ingest/pipeline/loaded_archive.hpp"
#include "ingest/pipeline/training_statistics.hpp"
#include "ingest/pipeline/unit_loading.hpp"

namespace zonda::ingest {
namespace {

namespace fs = std::filesystem;

/// The plan takes over the configuration's statistics; everything else must be as it was.
void adopt_statistics(const IngestConfig& config, const fs::path& archive) {
  std::optional<PlanFile> file = read_plan(archive);
  if (!file) fail(ErrorKind::data, "{}: there is no archive here: {} is missing", archive.string(), kPlanName);
  nlohmann::ordered_json configuration = configuration_of(config);
  configuration.erase("restart");
  const std::string changes = forbidden_changes(file->configuration, configuration, Change::resume);
  if (!changes.empty()) fail(ErrorKind::usage, "{}: {}", archive.string(), changes);
  const std::string before = encode_plan(*file);
  file->configuration = std::move(configuration);
  const std::string after = encode_plan(*file);
  if (after != before) write_file(archive / kPlanName, after);
}

void remove_temporaries(const fs::path& folder) {
  if (!fs::exists(folder)) return;
  std::vector<fs::path> stale;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.ends_with(".tmp")) stale.push_back(entry.path());
  }
  for (const fs::path& path : stale) fs::remove(path);
}

}  // namespace

void finalise_ingest(const IngestConfig& config, const parallel::Communicator& communicator, const fs::path& archive) {
  on_every_rank(communicator, [&] {
    if (communicator.is_root()) adopt_statistics(config, archive);
  });
  std::optional<LoadedArchive> loaded;
  std::optional<ArchiveReader> reader;
  on_every_rank(communicator, [&] {
    loaded = loaded_archive(archive);
    reader.emplace(archive, loaded->manifest);
  });
  MomentsOfUnits moments(*loaded, archive);
  const ArchiveLayout& layout = loaded->manifest.layout;
  loaded->manifest.statistics = training_statistics(
      *reader, config.statistics, [&](std::size_t time) { return moments.at(time); }, stored_fill(config, layout),
      layout.tiling.tile_rows, communicator);
  on_every_rank(communicator, [&] {
    if (!communicator.is_root()) return;
    const std::string text = encode_manifest(loaded->manifest);
    const fs::path path = archive / kManifestName;
    if (!fs::exists(path) || read_file(path) != text) write_file(path, text);
    remove_temporaries(archive);
    remove_temporaries(archive / "journal");
  });
  if (communicator.is_root()) {
    std::uint64_t bytes = 0;
    for (const UnitRecord& unit : loaded->manifest.units) bytes += unit.files.bytes;
    const double floats =
        static_cast<double>(reader->times().size() * layout.channels.size() * layout.grid.size()) * sizeof(float);
    log::info("archive {}: {} times of {} channels on {} in {} files, {:.1f} MB, {:.1f} times smaller than floats",
              archive.string(), reader->times().size(), layout.channels.size(), layout.grid.to_string(),
              loaded->manifest.units.size(), static_cast<double>(bytes) / 1e6, floats / static_cast<double>(bytes));
  }
}

}  // namespace zonda::ingest
