#include "inference/rollout/initial_states.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "ingest/regrid/regridder.hpp"
#include "ingest/sources/source.hpp"
#include "model/forecast_state/forecast_model.hpp"

namespace zonda::inference {
namespace {

using model::ForecastLayout;

void normalise_checked(const ForecastLayout& layout, Time time, const std::string& where, std::span<float> state) {
  if (const int broken = layout.normalisation.normalise(state); broken >= 0)
    fail(ErrorKind::data, "{}: {} at {} has values that are missing or not finite", where,
         layout.channels[static_cast<std::size_t>(broken)].name(), to_string(time));
}

class ArchiveStates final : public InitialStates {
 public:
  ArchiveStates(const std::filesystem::path& directory, const ForecastLayout& layout)
      : directory_(directory), layout_(layout), archive_(directory) {
    model::require_inputs_of_model(layout, archive_.grid(), archive_.channels(), directory.string());
    const model::StaticFields fields(archive_.static_channels(), archive_.grid().nlat(), archive_.grid().nlon(),
                                     [this](std::size_t field, parallel::Range rows, std::span<float> values) {
                                       archive_.read_static(field, rows.begin, rows.end, values);
                                     });
    model::require_static_fields_of_model(layout, archive_.static_channels(), fields.hash(), directory.string());
  }
  bool holds(Time time) const override { return archive_.find_time(time).has_value(); }
  void read(Time time, parallel::Range rows, std::span<float> state) const override {
    const auto index = archive_.find_time(time);
    if (!index)
      fail(ErrorKind::data, "{}: no state at {} (it has {} to {} every {})", directory_.string(), to_string(time),
           to_string(archive_.times().front()), to_string(archive_.times().back()), to_string(archive_.step()));
    archive_.read(*index, rows.begin, rows.end, state);
    normalise_checked(layout_, time, directory_.string(), state);
  }
  std::vector<Time> times() const override { return archive_.times(); }
  std::string describe() const override { return "archive " + archive_.identity(); }

 private:
  const std::filesystem::path directory_;
  const ForecastLayout& layout_;
  const ingest::ArchiveReader archive_;
};

class FileStates final : public InitialStates {
 public:
  FileStates(const std::vector<std::filesystem::path>& paths, const ingest::NameMapping& mapping,
             const ForecastLayout& layout)
      : layout_(layout), source_(ingest::open_sources(paths, mapping)) {
    std::set<Channel> found;
    for (const ingest::FieldKey& key : source_->fields()) {
      found.insert(key.channel);
      // An analysis comes before a forecast for the same time, and among forecasts the last one made.
      ingest::FieldKey& chosen = keys_.try_emplace({key.valid_time, key.channel}, key).first->second;
      const auto rank = [](const ingest::FieldKey& k) { return k.reference_time.value_or(k.valid_time); };
      if (rank(key) > rank(chosen)) chosen = key;
    }
    for (const Channel& channel : layout.channels)
      if (!channel.info().accumulated && !found.contains(channel)) {
        std::string names;
        for (const Channel& c : found) names += (names.empty() ? "" : ", ") + c.name();
        fail(ErrorKind::data, "{}: {} is missing, which the model needs (found: {})", source_->describe(),
             channel.name(), names.empty() ? "nothing" : names);
      }
  }

  bool holds(Time time) const override {
    return std::all_of(layout_.channels.begin(), layout_.channels.end(), [&](const Channel& channel) {
      return channel.info().accumulated || keys_.contains({time, channel});
    });
  }

  void read(Time time, parallel::Range rows, std::span<float> state) const override {
    const std::size_t points = rows.size() * layout_.grid.nlon();
    std::vector<float> unasked;  // the other component of a wind of which the model steps one
    std::vector<bool> done(layout_.channels.size());
    for (std::size_t c = 0; c < layout_.channels.size(); ++c) {
      if (done[c]) continue;
      const Channel& channel = layout_.channels[c];
      const std::span<float> out = state.subspan(c * points, points);
      if (channel.info().accumulated) {  // predicted, never an input
        std::fill(out.begin(), out.end(), static_cast<float>(layout_.normalisation.mean[c]));
      } else if (const std::optional<Channel> partner = moving_partner(time, channel)) {
        const auto place = find_channel(layout_.channels, *partner);
        unasked.resize(place ? 0 : points);
        const std::span<float> other = place ? state.subspan(*place * points, points) : std::span(unasked);
        const bool eastward = is_eastward(channel);
        read_wind(time, eastward ? channel : *partner, eastward ? *partner : channel, rows, eastward ? out : other,
                  eastward ? other : out);
        if (place) done[*place] = true;
      } else {
        read_scalar(time, channel, rows, out);
      }
    }
    normalise_checked(layout_, time, source_->describe(), state);
  }

  std::vector<Time> times() const override {
    std::set<Time> all;
    for (const auto& [key, field] : keys_)
      if (holds(key.first)) all.insert(key.first);
    return {all.begin(), all.end()};
  }
  std::string describe() const override { return source_->describe(); }

 private:
  /// Rows of a field on its own grid.
  std::vector<float> native(Time time, const Channel& channel, ingest::Rows rows) const {
    const auto found = keys_.find({time, channel});
    if (found == keys_.end())
      fail(ErrorKind::data, "{}: no {} at {}", source_->describe(), channel.name(), to_string(time));
    std::vector<float> values(rows.size() * source_->grid(channel).nlon());
    source_->read_rows(found->second, rows.begin, rows.end, values);
    return values;
  }

  static bool is_eastward(const Channel& channel) { return channel.info().standard_name.starts_with("eastward"); }

  /// The other component of a wind that comes from another grid than the model's.
  std::optional<Channel> moving_partner(Time time, const Channel& channel) const {
    const std::string& name = channel.info().vector_partner;
    if (name.empty()) return std::nullopt;
    const Channel partner{name, channel.level_hpa};
    if (!keys_.contains({time, channel}) || !keys_.contains({time, partner})) return std::nullopt;
    const Grid grid = source_->grid(channel);
    if (grid == layout_.grid || !(source_->grid(partner) == grid)) return std::nullopt;
    return partner;
  }

  void read_scalar(Time time, const Channel& channel, parallel::Range rows, std::span<float> out) const {
    const Grid grid = source_->grid(channel);
    const ingest::Rows wanted{rows.begin, rows.end};
    if (grid == layout_.grid) {
      std::ranges::copy(native(time, channel, wanted), out.begin());
      return;
    }
    const ingest::Regridder regridder = ingest::cached_regridder(grid, layout_.grid, ingest::RegridMethod::bilinear);
    regridder.apply_rows(wanted, native(time, channel, regridder.source_rows(wanted)), out);
  }

  void read_wind(Time time, const Channel& eastward, const Channel& northward, parallel::Range rows, std::span<float> u,
                 std::span<float> v) const {
    const ingest::Regridder regridder =
        ingest::cached_regridder(source_->grid(eastward), layout_.grid, ingest::RegridMethod::bilinear);
    const ingest::Rows wanted{rows.begin, rows.end}, needed = regridder.source_rows(wanted);
    regridder.apply_wind_rows(wanted, native(time, eastward, needed), native(time, northward, needed), u, v);
  }

  const ForecastLayout& layout_;
  const std::unique_ptr<ingest::Source> source_;
  std::map<std::pair<Time, Channel>, ingest::FieldKey> keys_;
};

}  // namespace

std::unique_ptr<InitialStates> states_of_archive(const std::filesystem::path& archive_dir,
                                                 const ForecastLayout& layout) {
  return std::make_unique<ArchiveStates>(archive_dir, layout);
}

std::unique_ptr<InitialStates> states_of_files(const std::vector<std::filesystem::path>& paths,
                                               const ingest::NameMapping& mapping, const ForecastLayout& layout) {
  return std::make_unique<FileStates>(paths, mapping, layout);
}

}  // namespace zonda::inference
