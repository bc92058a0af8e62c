#include "model/training/archive_layout.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"

namespace zonda::model {

ForecastLayout layout_of_archive(const ingest::ArchiveReader& archive, std::vector<Duration> steps,
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
  for (std::size_t i = 0; i < layout.static_channels.size(); ++i) {
    const auto field = archive.static_field(i);
    if (!std::all_of(field.begin(), field.end(), [](float value) { return std::isfinite(value); }))
      fail(ErrorKind::data, "static field {}: a value that is not finite", layout.static_channels[i].name());
    layout.static_fields.insert(layout.static_fields.end(), field.begin(), field.end());
  }
  return layout;
}

}  // namespace zonda::model
