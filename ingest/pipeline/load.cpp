#include <algorithm>
#include <chrono>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "ingest/archive/journal.hpp"
#include "ingest/pipeline/agreement.hpp"
#include "ingest/pipeline/ingest.hpp"
#include "ingest/pipeline/time_coverage.hpp"
#include "ingest/pipeline/unit_loading.hpp"
#include "parallel/partition.hpp"

namespace zonda::ingest {
namespace {

namespace fs = std::filesystem;

nlohmann::ordered_json stored_configuration(const IngestConfig& config) {
  nlohmann::ordered_json configuration = configuration_of(config);
  configuration.erase("restart");  // says how to run, not what the archive is
  return configuration;
}

void write_plan(const fs::path& archive, const PlanFile& file) {
  const std::string text = encode_plan(file);
  const fs::path path = archive / kPlanName;
  if (!fs::exists(path) || read_file(path) != text) write_file(path, text);
}

/// Makes the plan or finds that the one on disk is the same; the root of share 0 does this.
void settle_plan(const IngestConfig& config, const fs::path& archive, const OpenSources& open) {
  const nlohmann::ordered_json configuration = stored_configuration(config);
  if (std::optional<PlanFile> existing = read_plan(archive)) {
    const std::string changes = forbidden_changes(existing->configuration, configuration, Change::resume);
    if (changes.empty()) {
      existing->configuration = configuration;
      return write_plan(archive, *existing);
    }
    if (!config.restart) {
      fail(ErrorKind::usage, "{}: {}; 'restart: true' replaces the archive", archive.string(), changes);
    }
    log::warning("{}: replaced, since the configuration changed: {}", archive.string(), changes);
  } else if (fs::exists(archive / kManifestName) && !config.restart) {
    fail(ErrorKind::usage, "{}: holds an archive without its {}; 'restart: true' replaces it", archive.string(),
         kPlanName);
  }
  PlanFile file{plan_ingest(config, open), configuration};
  remove_archive(archive);
  write_plan(archive, file);
}

/// Other shares wait a while for the plan that the first share makes.
void await_plan(const IngestConfig& config, const fs::path& archive) {
  const nlohmann::ordered_json configuration = stored_configuration(config);
  for (int tenths = 0;; ++tenths) {
    const std::optional<PlanFile> file = read_plan(archive);
    if (file && forbidden_changes(file->configuration, configuration, Change::resume).empty()) return;
    if (tenths == 600) {
      fail(ErrorKind::temporary, "{}: the plan of this configuration is not there; the first share makes it",
           archive.string());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

/// Adds the times after the plan's last one. Nothing happens if they are planned already.
void extend_plan(const IngestConfig& config, const fs::path& archive, const OpenSources& open) {
  std::optional<PlanFile> file = read_plan(archive);
  const nlohmann::ordered_json configuration = stored_configuration(config);
  const std::string changes = forbidden_changes(file->configuration, configuration, Change::append);
  if (!changes.empty()) fail(ErrorKind::usage, "{}: cannot append: {}", archive.string(), changes);
  IngestPlan& plan = file->plan;
  const FieldCatalogue catalogue(open(config), config);
  IngestConfig wanted = config;
  wanted.start = plan.axis.first;
  wanted.step = plan.axis.step;
  const std::vector<Time> before = plan.axis.times();
  TimeAxis axis = time_axis(wanted, catalogue, plan.layout.channels);
  if (axis.last > plan.axis.last) {
    const Time next = plan.axis.last + plan.axis.step;
    require_coverage(config, catalogue, plan.layout.channels, {}, axis, next);
    const std::vector<Time> times = axis.times();
    if (times.size() < before.size() || !std::equal(before.begin(), before.end(), times.begin())) {
      fail(ErrorKind::usage,
           "{}: cannot append: 'missing' names times that the archive holds, or omits some that it lacks",
           archive.string());
    }
    for (PlannedUnit& unit :
         cut_into_units(times, before.size(), plan.layout.channels.size() * plan.layout.grid.size() * sizeof(float),
                        static_cast<std::uint64_t>(config.unit_bytes))) {
      plan.units.push_back(std::move(unit));
    }
    plan.axis = axis;
    for (const auto& source : catalogue.sources()) {
      if (std::ranges::find(plan.sources, source->describe()) == plan.sources.end())
        plan.sources.push_back(source->describe());
    }
  }
  file->configuration = configuration;
  write_plan(archive, *file);
}

void load_share(const IngestConfig& config, const parallel::Communicator& communicator, const fs::path& archive,
                Share share, const OpenSources& open) {
  const PlanFile file = *read_plan(archive);
  const std::vector<Time> times = file.plan.axis.times();
  const parallel::Range of_share = parallel::partition(file.plan.units.size(), share.of, share.i);
  const parallel::Range of_rank = parallel::partition(of_share.size(), static_cast<std::size_t>(communicator.size()),
                                                      static_cast<std::size_t>(communicator.rank()));
  std::vector<PlannedUnit> pending;
  std::int64_t pending_times = 0;
  for (std::size_t u = of_share.begin + of_rank.begin; u < of_share.begin + of_rank.end; ++u) {
    const PlannedUnit& unit = file.plan.units[u];
    remove_stale_files(archive, unit);
    if (unit_is_done(file, times, unit, archive)) continue;
    pending.push_back(unit);
    pending_times += static_cast<std::int64_t>(unit.count);
  }
  const bool statics = share.i == 0 && communicator.is_root() && !read_static_journal(file, archive);
  if (pending.empty() && !statics) return;

  const FieldCatalogue catalogue(open(config), config);
  const TimeLoader loader(catalogue, config, file.plan.layout.grid, accumulation_of(config, file.plan.axis));
  if (statics) load_statics(file, loader, archive);
  Progress progress("ingest", pending_times, "time");
  std::int64_t done = 0;
  for (const PlannedUnit& unit : pending) {
    load_unit(file, times, unit, loader, archive, [&] { progress.update(++done, unit.file); });
  }
  progress.finish();
}

}  // namespace

void load_ingest(const IngestConfig& config, const parallel::Communicator& communicator, const fs::path& archive,
                 Share share, const OpenSources& open) {
  if (share.i >= share.of) fail(ErrorKind::usage, "share {} of {}: counted from 0", share.i, share.of);
  on_every_rank(communicator, [&] {
    if (!communicator.is_root()) return;
    if (share.i == 0)
      settle_plan(config, archive, open);
    else
      await_plan(config, archive);
  });
  on_every_rank(communicator, [&] { load_share(config, communicator, archive, share, open); });
}

void run_ingest(const IngestConfig& config, const parallel::Communicator& communicator, const fs::path& archive,
                const OpenSources& open) {
  load_ingest(config, communicator, archive, {}, open);
  finalise_ingest(config, communicator, archive);
}

void append_ingest(const IngestConfig& config, const parallel::Communicator& communicator, const fs::path& archive,
                   const OpenSources& open) {
  on_every_rank(communicator, [&] {
    if (!communicator.is_root()) return;
    if (read_plan(archive))
      extend_plan(config, archive, open);
    else
      settle_plan(config, archive, open);
  });
  on_every_rank(communicator, [&] { load_share(config, communicator, archive, {}, open); });
  finalise_ingest(config, communicator, archive);
}

}  // namespace zonda::ingest
