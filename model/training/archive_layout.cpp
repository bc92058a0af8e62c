#include "model/training/archive_layout.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/training/train_config.hpp"

namespace zonda::model {

namespace {

/// Its static fields stay in the archive.
ForecastLayout described_layout(const ingest::ArchiveReader& archive, std::vector<Duration> steps,
                                std::vector<std::string> forcings, Target target) {
  std::sort(steps.begin(), steps.end());
  for (const Duration step : steps)
    if (step <= Duration{0} || step % archive.step() != Duration{0})
      fail(ErrorKind::usage, "a step of {} is no multiple of the archive's {}", to_string(step),
           to_string(archive.step()));
  ForecastLayout layout{.grid = archive.grid(),
                        .channels = archive.channels(),
                        .static_channels = archive.static_channels(),
                        .static_fields = {},
                        .forcings = std::move(forcings),
                        .steps = std::move(steps),
                        .target = target,
                        .normalisation = {},
                        .trained_lead = Duration{0}};
  layout.normalisation = Normalisation::from_statistics(archive.statistics(), layout.channels, layout.steps);
  layout.static_rows =
      std::make_shared<const StaticFields>(layout.static_channels, layout.grid.nlat(), layout.grid.nlon(),
                                           [archive](std::size_t field, parallel::Range rows, std::span<float> values) {
                                             archive.read_static(field, rows.begin, rows.end, values);
                                           });
  return layout;
}

}  // namespace

ForecastLayout layout_of_archive(const ingest::ArchiveReader& archive, std::vector<Duration> steps,
                                 std::vector<std::string> forcings, Target target) {
  ForecastLayout layout = described_layout(archive, std::move(steps), std::move(forcings), target);
  layout.static_rows.reset();
  for (std::size_t i = 0; i < layout.static_channels.size(); ++i) {
    const std::vector<float> field = archive.static_field(i);
    layout.static_fields.insert(layout.static_fields.end(), field.begin(), field.end());
  }
  return layout;
}

namespace {

std::string names_of(const std::vector<Channel>& channels) {
  std::string text;
  for (const Channel& channel : channels) text += (text.empty() ? "" : ", ") + channel.name();
  return text;
}

void require_same(const std::filesystem::path& model, const char* what, const std::string& there,
                  const std::string& here) {
  if (there != here)
    fail(ErrorKind::data, "{}: a model with the {} {}; training has {}", model.string(), what, there, here);
}

}  // namespace

ForecastLayout layout_of_training(const TrainConfig& config, const ingest::ArchiveReader& archive) {
  ForecastLayout layout = described_layout(archive, config.steps_between, config.forcings,
                                           config.target == "state" ? Target::state : Target::tendency);
  if (!config.start_from) return layout;
  const std::filesystem::path path = *config.start_from;
  const ForecastLayout start = ForecastLayout::from_json(describe_model(path).at("layout"));
  require_same(path, "channels", names_of(start.channels), names_of(layout.channels));
  require_same(path, "static fields", names_of(start.static_channels), names_of(layout.static_channels));
  require_same(path, "forcings", fmt::format("{}", fmt::join(start.forcings, ", ")),
               fmt::format("{}", fmt::join(layout.forcings, ", ")));
  require_same(path, "target", start.target == Target::state ? "state" : "tendency", config.target);
  for (const Duration step : layout.steps)
    if (!start.normalisation.tendency_stddev.contains(step))
      fail(ErrorKind::data, "{}: a model without a step of {}, which training has", path.string(), to_string(step));
  layout.normalisation = start.normalisation;
  std::erase_if(layout.normalisation.tendency_stddev, [&](const auto& entry) {
    return std::find(layout.steps.begin(), layout.steps.end(), entry.first) == layout.steps.end();
  });
  return layout;
}

}  // namespace zonda::model
