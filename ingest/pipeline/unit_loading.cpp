#include "ingest/pipeline/unit_loading.hpp"

#include <limits>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "core/signals.hpp"
#include "ingest/archive/bit_rounding.hpp"
#include "ingest/archive/journal.hpp"
#include "ingest/pipeline/moments.hpp"

namespace zonda::ingest {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

std::vector<Time> times_of(const std::vector<Time>& times, const PlannedUnit& unit) {
  const auto first = times.begin() + static_cast<std::ptrdiff_t>(unit.first);
  return {first, first + static_cast<std::ptrdiff_t>(unit.count)};
}

void remove_temporary(const fs::path& target) {
  std::error_code ignored;
  fs::remove(target.parent_path() / ("." + target.filename().string() + ".tmp"), ignored);
}

fs::path static_journal(const fs::path& archive) {
  return archive / "journal" / "static.json";
}

}  // namespace

bool unit_is_done(const PlanFile& file, const std::vector<Time>& times, const PlannedUnit& unit,
                  const fs::path& archive) {
  const auto entry = read_journal(archive, unit.file);
  return entry && entry->configuration == unit_configuration(file) && entry->times == times_of(times, unit);
}

void remove_stale_files(const fs::path& archive, const PlannedUnit& unit) {
  for (const fs::path& target : {archive / unit.file, index_path(archive / unit.file), moments_path(archive, unit.file),
                                 journal_path(archive, unit.file)}) {
    remove_temporary(target);
  }
}

std::vector<std::optional<float>> stored_fill(const IngestConfig& config, const ArchiveLayout& layout) {
  std::vector<std::optional<float>> fill = configured_fill(config, layout.channels);
  for (std::size_t c = 0; c < fill.size(); ++c) {
    if (fill[c]) round_mantissa(std::span(&*fill[c], 1), layout.kept_bits[c]);
  }
  return fill;
}

void load_unit(const PlanFile& file, const std::vector<Time>& times, const PlannedUnit& unit, const TimeLoader& loader,
               const fs::path& archive, const std::function<void()>& tick) {
  const ArchiveLayout& layout = file.plan.layout;
  const std::size_t channels = layout.channels.size(), size = layout.grid.size();
  const std::vector<std::optional<float>> fill = stored_fill(config_of(file.configuration), layout);
  JournalEntry entry{unit.file, unit_configuration(file), times_of(times, unit), {}, 0};
  std::error_code ignored;
  fs::remove(journal_path(archive, unit.file), ignored);  // what it says is about to become untrue

  UnitWriter writer(archive / unit.file, layout, entry.times);
  std::vector<float> values(channels * size);
  std::vector<Moments> moments(unit.count * channels);
  for (std::size_t t = 0; t < unit.count; ++t) {
    if (const auto signal = stop_requested()) throw Interrupted(*signal, "ingest: stopped");
    loader.load(layout.channels, entry.times[t], values);
    writer.write(values);
#pragma omp parallel for schedule(static)
    for (std::ptrdiff_t c = 0; c < static_cast<std::ptrdiff_t>(channels); ++c) {
      const auto channel = static_cast<std::size_t>(c);
      moments[t * channels + channel] =
          moments_of(std::span<const float>(values).subspan(channel * size, size), fill[channel]);
    }
    tick();
  }
  entry.files = writer.close();
  entry.moments_crc32c = write_moments(moments_path(archive, unit.file), moments);
  write_journal(archive, entry);
}

std::optional<StaticFile> read_static_journal(const PlanFile& file, const fs::path& archive) {
  if (file.plan.statics.empty()) return StaticFile{};
  if (!fs::exists(static_journal(archive)) || !fs::exists(archive / kStaticName)) return std::nullopt;
  try {
    const std::string name = static_journal(archive).string();
    const auto content = parse_json(read_file(name), name);
    const JsonReader json(content, name);
    if (json.text("configuration") != unit_configuration(file)) return std::nullopt;
    StaticFile result{{},
                      static_cast<std::uint32_t>(json.integer("crc32c", 0, std::numeric_limits<std::uint32_t>::max()))};
    for (const auto& item : json.array("fields", file.plan.statics.size())) {
      const JsonReader field(item, json.name("fields"));
      const std::int64_t offset = field.integer("offset", 0, std::numeric_limits<std::int64_t>::max());
      result.records.push_back({parse_channel(field.text("channel")), static_cast<std::uint64_t>(offset)});
    }
    bool same = result.records.size() == file.plan.statics.size();
    for (std::size_t i = 0; same && i < result.records.size(); ++i)
      same = result.records[i].channel == file.plan.statics[i];
    if (same) return result;
  } catch (const Error&) {
  }
  return std::nullopt;
}

void load_statics(const PlanFile& file, const TimeLoader& loader, const fs::path& archive) {
  const std::vector<Channel>& channels = file.plan.statics;
  const Grid& grid = file.plan.layout.grid;
  std::vector<float> values(channels.size() * grid.size());
  loader.load_statics(channels, values);
  std::error_code ignored;
  fs::remove(static_journal(archive), ignored);
  const StaticFile written = write_static_file(archive / kStaticName, grid, channels, values);
  Json fields = Json::array();
  for (const StaticRecord& record : written.records) {
    fields.push_back({{"channel", record.channel.name()}, {"offset", record.offset}});
  }
  const Json json{{"configuration", unit_configuration(file)}, {"crc32c", written.crc32c}, {"fields", fields}};
  write_file(static_journal(archive), json.dump(1) + "\n");
}

}  // namespace zonda::ingest
