#include "ingest/pipeline/time_coverage.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

constexpr std::size_t kNamed = 5;  // so many missing times are named

[[noreturn]] void fail_absent(const FieldCatalogue& catalogue, const Channel& channel) {
  std::string sources, ignored;
  for (const auto& source : catalogue.sources()) {
    sources += (sources.empty() ? "" : ", ") + source->describe();
    for (const std::string& name : source->ignored()) ignored += (ignored.empty() ? "" : " ") + name;
  }
  fail(ErrorKind::data, "channel {} is in none of the sources ({}){}", channel.name(), sources,
       ignored.empty() ? "" : "; names there that are not known: " + ignored);
}

std::string unit_name(Time first) {
  const auto minute = static_cast<int>(second_of_day(first) / 60) % 60;
  return fmt::format("fields-{}{}.h5", compact(first), minute == 0 ? "" : fmt::format("{:02}", minute));
}

}  // namespace

TimeAxis time_axis(const IngestConfig& config, const FieldCatalogue& catalogue, const std::vector<Channel>& channels) {
  TimeAxis axis;
  std::vector<Time> known;
  if (!config.start || !config.end || !config.step) {
    known = catalogue.times(channels.front());
    if (known.empty()) fail_absent(catalogue, channels.front());
  }
  axis.first = config.start.value_or(known.empty() ? Time{} : known.front());
  axis.last = config.end.value_or(known.empty() ? Time{} : known.back());
  if (axis.last < axis.first) {
    fail(ErrorKind::data, "the sources hold {} from {} to {}: nothing from {} to {}", channels.front().name(),
         to_string(known.front()), to_string(known.back()), to_string(axis.first), to_string(axis.last));
  }
  if (config.step) {
    axis.step = *config.step;
  } else {
    if (known.size() < 2) fail(ErrorKind::usage, "step: the sources hold one time only, so say which spacing is meant");
    axis.step = known[1] - known[0];
    for (std::size_t i = 2; i < known.size(); ++i) axis.step = std::min<Duration>(axis.step, known[i] - known[i - 1]);
  }
  axis.last -= (axis.last - axis.first) % axis.step;
  for (const Time time : config.missing) {
    if (time < axis.first || time > axis.last || (time - axis.first) % axis.step != Duration(0)) {
      fail(ErrorKind::usage, "missing: {} is not one of the times from {} to {} every {}", to_string(time),
           to_string(axis.first), to_string(axis.last), to_string(axis.step));
    }
    axis.missing.push_back(time);
  }
  std::sort(axis.missing.begin(), axis.missing.end());
  axis.missing.erase(std::unique(axis.missing.begin(), axis.missing.end()), axis.missing.end());
  if (axis.times().empty()) fail(ErrorKind::usage, "missing: every time is declared missing");
  // An archive begins and ends with times that are there.
  axis.first = axis.times().front();
  axis.last = axis.times().back();
  std::erase_if(axis.missing, [&axis](Time time) { return time < axis.first || time > axis.last; });
  return axis;
}

Duration accumulation_of(const IngestConfig& config, const TimeAxis& axis) {
  return config.accumulation.value_or(axis.step);
}

std::vector<FieldRecipe> require_coverage(const IngestConfig& config, const FieldCatalogue& catalogue,
                                          const std::vector<Channel>& channels, const std::vector<Channel>& statics,
                                          const TimeAxis& axis, Time from) {
  std::vector<FieldRecipe> recipes;
  std::vector<std::size_t> found(channels.size(), 0);
  std::size_t absent = 0, times = 0;
  std::string named;
  for (const Time time : axis.times()) {
    if (time < from) continue;
    ++times;
    std::string lacking;
    for (std::size_t c = 0; c < channels.size(); ++c) {
      std::optional<FieldRecipe> recipe = catalogue.find(channels[c], time, accumulation_of(config, axis));
      if (!recipe) {
        lacking += (lacking.empty() ? "" : " ") + channels[c].name();
        continue;
      }
      if (found[c]++ == 0) recipes.push_back(std::move(*recipe));
    }
    if (lacking.empty()) continue;
    if (absent++ < kNamed) named += fmt::format("{}{} ({})", named.empty() ? "" : ", ", to_string(time), lacking);
  }
  for (std::size_t c = 0; c < channels.size(); ++c) {
    if (times > 0 && found[c] == 0) fail_absent(catalogue, channels[c]);
  }
  if (absent > 0) {
    fail(ErrorKind::data, "the sources lack {} of {} times: {}{}; where that is known, list them under 'missing'",
         absent, times, named, absent > kNamed ? ", ..." : "");
  }
  for (const Channel& channel : statics) {
    std::optional<FieldRecipe> recipe = catalogue.find_static(channel);
    if (!recipe) fail_absent(catalogue, channel);
    recipes.push_back(std::move(*recipe));
  }
  return recipes;
}

std::vector<PlannedUnit> cut_into_units(const std::vector<Time>& times, std::size_t first, std::uint64_t bytes_of_time,
                                        std::uint64_t unit_bytes) {
  const std::size_t count = times.size() - first;
  if (unit_bytes == 0) {
    unit_bytes = std::clamp(count * bytes_of_time / 64, std::uint64_t{32} << 20, std::uint64_t{4} << 30);
  }
  const std::size_t each = std::max<std::size_t>(1, unit_bytes / bytes_of_time);
  std::vector<PlannedUnit> units;
  for (std::size_t begin = first; begin < times.size(); begin += each) {
    units.push_back({unit_name(times[begin]), begin, std::min(each, times.size() - begin)});
  }
  return units;
}

}  // namespace zonda::ingest
