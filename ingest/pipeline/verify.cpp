#include <algorithm>
#include <array>
#include <cmath>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/progress.hpp"
#include "ingest/pipeline/agreement.hpp"
#include "ingest/pipeline/ingest.hpp"
#include "ingest/pipeline/loaded_archive.hpp"
#include "ingest/pipeline/unit_loading.hpp"
#include "parallel/partition.hpp"

namespace zonda::ingest {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFaults = 100;

/// One rank's look at its units.
class Inspection {
 public:
  Inspection(const fs::path& archive, const ArchiveReader& reader, const Manifest& manifest)
      : archive_(archive),
        reader_(reader),
        manifest_(manifest),
        values_(reader.channels().size() * reader.grid().size()) {
    // Only what the plan and the journal add: an archive can be verified without them.
    try {
      loaded_ = loaded_archive(archive);
      moments_.emplace(*loaded_, archive);
      config_ = config_of(loaded_->file.configuration);
    } catch (const Error& error) {
      fault(error.what());
    }
    fill_ = stored_fill(config_, manifest.layout);
  }

  void unit(std::size_t u, Progress& progress) {
    const UnitRecord& record = manifest_.units[u];
    note([&] {
      if (file_crc32c(archive_ / record.file) != record.files.crc32c) {
        fault(fmt::format("{}: checksum of the file is wrong", (archive_ / record.file).string()));
      }
    });
    for (std::size_t t = record.first; t < record.first + record.count; ++t) {
      const bool whole = read_tiles(t);
      if (whole) channels_of(t);
      progress.update(static_cast<std::int64_t>(++times_));
    }
    report.files += 1;
    report.bytes += record.files.bytes;
    report.chunks += record.count * manifest_.layout.tiling.chunks();
  }

  VerifyReport report;

 private:
  void fault(const std::string& text) {
    if (report.faults.size() < kMostFaults) report.faults.push_back(text);
  }
  template <class Work>
  bool note(const Work& work) {
    try {
      work();
      return true;
    } catch (const Error& error) {
      fault(error.what());
      return false;
    }
  }

  /// Tile by tile and channel group by group, so that every damaged chunk is named.
  bool read_tiles(std::size_t time) {
    const Tiling& tiling = manifest_.layout.tiling;
    if (note_quietly(time)) return true;
    std::vector<float> row(tiling.tile_rows * tiling.nlon);
    for (std::size_t tile = 0; tile < tiling.tiles(); ++tile) {
      const std::size_t first = tiling.first_row(tile), end = tiling.end_row(tile);
      for (std::size_t group = 0; group < tiling.groups(); ++group) {
        note([&] {
          reader_.read_channel(time, tiling.first_channel(group), first, end,
                               std::span(row).first((end - first) * tiling.nlon));
        });
      }
    }
    return false;
  }
  bool note_quietly(std::size_t time) {
    try {
      reader_.read(time, 0, reader_.grid().nlat(), values_);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  void channels_of(std::size_t time) {
    const std::size_t size = reader_.grid().size();
    for (std::size_t c = 0; c < reader_.channels().size(); ++c) {
      const Channel& channel = reader_.channels()[c];
      const std::span<const float> field = std::span<const float>(values_).subspan(c * size, size);
      const std::string where =
          fmt::format("{}: channel {} at {}", archive_.string(), channel.name(), to_string(reader_.times()[time]));
      const Variable& info = channel.info();
      std::size_t missing = 0, outside = 0;
      // Bit-rounding may carry a value past the end of the range by its own error.
      const double slack =
          std::ldexp(std::max(std::abs(info.valid_min), std::abs(info.valid_max)), -manifest_.layout.kept_bits[c]);
      for (const float v : field) {
        missing += std::isfinite(v) ? 0 : 1;
        outside += (v < info.valid_min - slack || v > info.valid_max + slack) && !(fill_[c] && v == *fill_[c]) ? 1 : 0;
      }
      if (missing > 0) fault(fmt::format("{}: {} of {} values are missing", where, missing, size));
      if (config_.range_check && outside > 0)
        fault(fmt::format("{}: {} of {} values lie outside the physical range", where, outside, size));
      if (moments_) {
        note([&] {
          if (!(moments_->at(time)[c] == moments_of(field, fill_[c])))
            fault(where + ": the moments differ from the journal's");
        });
      }
    }
  }

  fs::path archive_;
  const ArchiveReader& reader_;
  const Manifest& manifest_;
  std::optional<LoadedArchive> loaded_;
  std::optional<MomentsOfUnits> moments_;
  IngestConfig config_;
  std::vector<std::optional<float>> fill_;
  std::vector<float> values_;
  std::size_t times_ = 0;
};

/// The ranks' reports joined in rank order, on every rank.
VerifyReport join(const parallel::Communicator& communicator, const VerifyReport& mine) {
  std::string text;
  for (const std::string& line : mine.faults) text += line + '\n';
  VerifyReport all;
  for (const std::vector<std::byte>& part : communicator.all_gather_variable(std::as_bytes(std::span(text)))) {
    const std::string lines(reinterpret_cast<const char*>(part.data()), part.size());
    for (std::size_t begin = 0; begin < lines.size();) {
      const std::size_t end = lines.find('\n', begin);
      std::string line = lines.substr(begin, end - begin);
      if (std::ranges::find(all.faults, line) == all.faults.end()) all.faults.push_back(std::move(line));
      begin = end + 1;
    }
  }
  std::array<std::int64_t, 3> counts{static_cast<std::int64_t>(mine.files), static_cast<std::int64_t>(mine.chunks),
                                     static_cast<std::int64_t>(mine.bytes)};
  communicator.all_reduce(std::span<std::int64_t>(counts), parallel::Reduction::sum).wait();
  all.files = static_cast<std::uint64_t>(counts[0]);
  all.chunks = static_cast<std::uint64_t>(counts[1]);
  all.bytes = static_cast<std::uint64_t>(counts[2]);
  return all;
}

}  // namespace

VerifyReport verify_ingest(const parallel::Communicator& communicator, const fs::path& archive) {
  VerifyReport mine;
  on_every_rank(communicator, [&] {
    const ArchiveReader reader(archive);
    const Manifest manifest = decode_manifest(read_file(archive / kManifestName), (archive / kManifestName).string());
    Inspection inspection(archive, reader, manifest);
    const parallel::Range units =
        parallel::partition(manifest.units.size(), static_cast<std::size_t>(communicator.size()),
                            static_cast<std::size_t>(communicator.rank()));
    std::int64_t times = 0;
    for (std::size_t u = units.begin; u < units.end; ++u) times += static_cast<std::int64_t>(manifest.units[u].count);
    Progress progress("verify archive", times, "time");
    for (std::size_t u = units.begin; u < units.end; ++u) inspection.unit(u, progress);
    progress.finish();
    mine = std::move(inspection.report);
  });
  return join(communicator, mine);
}

std::string VerifyReport::to_string() const {
  std::string text;
  for (const std::string& line : faults) text += line + '\n';
  return text + fmt::format("{} files, {} chunks, {} bytes: {}\n", files, chunks, bytes,
                            faults.empty() ? "all sound" : fmt::format("{} faults", faults.size()));
}

}  // namespace zonda::ingest
