#include "ingest/sources/grib_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.hpp"
#include "ingest/sources/field_order.hpp"
#include "ingest/sources/grib_field.hpp"
#include "ingest/sources/grib_message.hpp"
#include "ingest/sources/horizontal_layout.hpp"
#include "ingest/sources/unit_conversion.hpp"
#include "ingest/sources/variable_naming.hpp"

namespace zonda::ingest {
namespace {

struct Layout {
  GribGeometry geometry;
  HorizontalLayout horizontal;
};

/// Where one field is in the file.
struct Address {
  std::size_t message, part;  ///< index of the message; field within it
  std::size_t layout;
  UnitConversion conversion;
};

struct Entry {
  FieldKey key;
  Address address;
  std::optional<Address> less;  ///< the amount since the start that is taken off
};

struct Recognised {
  const Variable* variable = nullptr;
  int level_hpa = 0;
  std::string reason;
};

LevelKind level_kind(const std::string& level_type) {
  if (level_type == "isobaricInhPa" || level_type == "isobaricInPa") return LevelKind::pressure;
  if (level_type == "heightAboveGround") return LevelKind::height;
  if (level_type == "meanSea") return LevelKind::mean_sea;
  if (level_type == "nominalTop") return LevelKind::top;
  if (level_type == "entireAtmosphere" || level_type == "atmosphere" || level_type == "atmosphereSingleLayer") {
    return LevelKind::single;
  }
  return LevelKind::surface;
}

bool known_level(const std::string& level_type) {
  return level_type == "surface" || level_kind(level_type) != LevelKind::surface;
}

Recognised recognise(const GribDescription& field, const NameMapping& mapping) {
  Recognised found;
  const LevelKind kind = level_kind(field.level_type);
  if (!known_level(field.level_type)) return {nullptr, 0, "level type " + field.level_type};
  if (kind == LevelKind::pressure) {
    const double hpa = field.level_type == "isobaricInPa" ? field.level / 100 : field.level;
    if (hpa != std::round(hpa) || hpa < 1 || hpa > 1100) return {nullptr, 0, fmt::format("level {} hPa", hpa)};
    found.level_hpa = static_cast<int>(hpa);
  }
  const auto fits = [&](const Variable& variable) {
    if ((variable.level_kind == LevelKind::pressure) != (kind == LevelKind::pressure)) return false;
    if (kind == LevelKind::height) return variable.level_kind == LevelKind::height && variable.height_m == field.level;
    return true;
  };
  const Variable* variable = mapped_variable(field.short_name, mapping);
  if (variable == nullptr && field.discipline >= 0) {
    variable = find_by_grib(static_cast<int>(field.discipline), static_cast<int>(field.category),
                            static_cast<int>(field.number), kind, kind == LevelKind::height ? field.level : 0);
  }
  if (variable == nullptr) {
    variable = find_variable(field.short_name);
    // What the surface has of a variable on levels goes by a name of its own.
    if (variable != nullptr && kind == LevelKind::surface && variable->level_kind == LevelKind::pressure) {
      variable = variable->short_name == "z"   ? find_variable("orog")
                 : variable->short_name == "t" ? find_variable("skt")
                                               : nullptr;
    }
    if (variable != nullptr && !fits(*variable)) variable = nullptr;
  }
  if (variable == nullptr) return {nullptr, 0, "not in the variable table"};
  // What the user named himself is taken for what he says: a monthly mean as a field.
  const bool named = mapping.variables.contains(field.short_name);
  if (!named && field.step_type != "instant" && !(variable->accumulated && field.step_type == "accum")) {
    return {nullptr, 0,
            fmt::format("a value of type '{}' over {}, not of one time; taken where its name is given by the user",
                        field.step_type, to_string(field.end - field.start))};
  }
  if (field.data_type == "em" || field.data_type == "es") return {nullptr, 0, "a statistic of an ensemble"};
  found.variable = variable;
  return found;
}

class GribSource : public Source {
 public:
  GribSource(const std::filesystem::path& path, const NameMapping& mapping) : path_(path), messages_(scan_grib(path)) {
    std::set<std::string> ignored;
    for (std::size_t m = 0; m < messages_.size(); ++m) {
      try {
        const auto parts = split_grib_fields(read_grib_message(path_, messages_[m]));
        for (std::size_t p = 0; p < parts.size(); ++p) add(m, p, describe_grib_field(parts[p]), mapping, ignored);
      } catch (const Error& error) {
        rethrow(m, error);
      }
    }
    ignored_.assign(ignored.begin(), ignored.end());
    if (entries_.empty()) {
      fail(ErrorKind::data, "{}: no field of the variable table on a latitude-longitude or Gaussian grid; not used: {}",
           path_.string(), fmt::to_string(fmt::join(ignored_, "; ")));
    }
    sort();
    derive_amounts();
    for (const Entry& entry : entries_) fields_.push_back(entry.key);
  }

  const std::vector<FieldKey>& fields() const override { return fields_; }
  const std::vector<std::string>& ignored() const override { return ignored_; }

  Grid grid(const Channel& channel) const override {
    if (const auto home = homes_.find(channel); home != homes_.end()) {
      check_unit(channel);
      return layouts_[home->second].horizontal.grid();
    }
    std::vector<std::string> names;
    for (const auto& [known, layout] : homes_) names.push_back(known.name());
    throw Error(ErrorKind::data, path_.string() + ": " + unknown_word("channel", channel.name(), names));
  }

  void read(const FieldKey& key, std::span<float> values) const override {
    const auto found = std::lower_bound(fields_.begin(), fields_.end(), key, field_order);
    if (found == fields_.end() || *found != key)
      fail(ErrorKind::data, "{}: there is no {}", path_.string(), ingest::describe(key));
    check_unit(key.channel);
    const Entry& entry = entries_[static_cast<std::size_t>(found - fields_.begin())];
    const Layout& layout = layouts_[entry.address.layout];
    if (values.size() != layout.horizontal.grid().size()) {
      fail(ErrorKind::failure, "{}: {} values for a field of {}", path_.string(), values.size(),
           layout.horizontal.grid().size());
    }
    std::vector<double> amounts = decode(entry.address);
    if (entry.less) {
      const std::vector<double> before = decode(*entry.less);
      for (std::size_t i = 0; i < amounts.size(); ++i) amounts[i] -= before[i];
    }
    layout.horizontal.turn(amounts, layout.geometry.columns, 1, values, [](double value) { return value; });
  }

  std::string describe() const override {
    return fmt::format("GRIB {} ({} messages)", path_.string(), messages_.size());
  }

 private:
  [[noreturn]] void rethrow(std::size_t m, const Error& error) const {
    if (error.kind() == ErrorKind::usage) throw error;
    fail(ErrorKind::data, "{}: message {} at byte {} is damaged: {}", path_.string(), messages_[m].number,
         messages_[m].offset, error.what());
  }

  void check_unit(const Channel& channel) const {
    if (const auto fault = unit_faults_.find(channel.variable); fault != unit_faults_.end())
      fail(ErrorKind::data, "{}: {}", path_.string(), fault->second);
  }

  void add(std::size_t m, std::size_t part, const GribDescription& field, const NameMapping& mapping,
           std::set<std::string>& ignored) {
    const Recognised found = recognise(field, mapping);
    if (found.variable == nullptr) {
      ignored.insert(
          fmt::format("{} (paramId {}, {}; {})", field.short_name, field.parameter, field.level_type, found.reason));
      return;
    }
    if (field.geometry.latitudes.empty()) {
      ignored.insert(fmt::format("{} (grid type {}; expected regular_ll or regular_gg)", field.short_name,
                                 field.geometry.grid_type));
      return;
    }
    const Channel channel{found.variable->short_name, found.level_hpa};
    Entry entry{{channel, field.reference_time + field.end, std::nullopt, field.member, Duration(0)},
                {m, part, layout_of(field.geometry), {}},
                std::nullopt};
    const auto [home, fresh] = homes_.try_emplace(channel, entry.address.layout);
    if (!fresh && layouts_[home->second].horizontal.grid() != layouts_[entry.address.layout].horizontal.grid()) {
      ignored.insert(
          fmt::format("{} (paramId {}, {}; a second grid)", field.short_name, field.parameter, field.level_type));
      return;
    }
    // An analysis is no forecast; whatever has a step, or calls itself a forecast, is one.
    const bool is_analysis =
        field.end.count() == 0 && field.data_type != "fc" && field.data_type != "pf" && field.data_type != "cf";
    if (!is_analysis && !found.variable->is_static) entry.key.reference_time = field.reference_time;
    if (found.variable->accumulated) entry.key.accumulation = field.end - field.start;
    const auto user_unit = mapping.units.find(field.short_name);
    const std::string unit = user_unit == mapping.units.end() ? field.unit : user_unit->second;
    try {
      entry.address.conversion = unit_conversion(unit, found.variable->unit);
    } catch (const Error&) {
      unit_faults_[found.variable->short_name] = fmt::format("unit '{}' of variable '{}' cannot be converted to '{}'",
                                                             unit, field.short_name, found.variable->unit);
    }
    entries_.push_back(std::move(entry));
  }

  std::size_t layout_of(const GribGeometry& geometry) {
    for (std::size_t i = 0; i < layouts_.size(); ++i) {
      if (layouts_[i].geometry == geometry) return i;
    }
    layouts_.push_back({geometry, HorizontalLayout(geometry.latitudes, geometry.longitudes, path_.string())});
    return layouts_.size() - 1;
  }

  std::vector<double> decode(const Address& address) const {
    try {
      const auto parts = split_grib_fields(read_grib_message(path_, messages_[address.message]));
      std::vector<double> values = decode_grib_field(parts.at(address.part));
      const GribGeometry& geometry = layouts_[address.layout].geometry;
      if (values.size() != geometry.rows * geometry.columns)
        fail(ErrorKind::data, "{} values for {} rows and {} columns", values.size(), geometry.rows, geometry.columns);
      unscan_grib_field(geometry, values);
      if (!address.conversion.identity()) {
        for (double& value : values) value = address.conversion(value);
      }
      return values;
    } catch (const Error& error) {
      rethrow(address.message, error);
    }
  }

  /// By key; of equal keys the first in the file stays where the messages are the same, else the file contradicts
  /// itself.
  void sort() {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return field_order(a.key, b.key); });
    std::vector<Entry> kept;
    std::set<Channel> statics;
    for (Entry& entry : entries_) {
      // What does not change is there once: at its first time.
      const bool again = entry.key.channel.info().is_static && !statics.insert(entry.key.channel).second;
      if (again && kept.back().key != entry.key) continue;
      if (kept.empty() || kept.back().key != entry.key) {
        kept.push_back(std::move(entry));
        continue;
      }
      const Address &first = kept.back().address, &second = entry.address;
      if (first.layout != second.layout || !same_values(decode(first), decode(second))) {
        fail(ErrorKind::data, "{}: messages {} and {} both give {}, with different values", path_.string(),
             messages_[first.message].number, messages_[second.message].number, ingest::describe(entry.key));
      }
    }
    entries_ = std::move(kept);
  }

  static bool same_values(const std::vector<double>& a, const std::vector<double>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); });
  }

  /// Amounts between successive ends of periods with a common start.
  void derive_amounts() {
    using Series =
        std::map<std::tuple<Channel, std::optional<Time>, std::optional<int>, Time>, std::vector<std::size_t>>;
    Series series;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const FieldKey& key = entries_[i].key;
      if (key.accumulation.count() > 0) {
        series[{key.channel, key.reference_time, key.member, key.valid_time - key.accumulation}].push_back(i);
      }
    }
    std::vector<Entry> derived;
    for (const auto& [start, members] : series) {
      for (std::size_t k = 1; k < members.size(); ++k) {
        const Entry &before = entries_[members[k - 1]], &after = entries_[members[k]];
        Entry entry = after;
        entry.key.accumulation = after.key.valid_time - before.key.valid_time;
        entry.less = before.address;
        const bool there = std::binary_search(entries_.begin(), entries_.end(), entry,
                                              [](const Entry& a, const Entry& b) { return field_order(a.key, b.key); });
        if (!there && entry.address.layout == before.address.layout) derived.push_back(std::move(entry));
      }
    }
    if (derived.empty()) return;
    entries_.insert(entries_.end(), derived.begin(), derived.end());
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return field_order(a.key, b.key); });
  }

  std::filesystem::path path_;
  std::vector<GribMessage> messages_;
  std::vector<Layout> layouts_;
  std::map<Channel, std::size_t> homes_;  ///< the layout of a channel
  std::vector<Entry> entries_;
  std::vector<FieldKey> fields_;
  std::vector<std::string> ignored_;
  std::map<std::string, std::string> unit_faults_;
};

}  // namespace

std::unique_ptr<Source> open_grib(const std::filesystem::path& path, const NameMapping& mapping) {
  return std::make_unique<GribSource>(path, mapping);
}

}  // namespace zonda::ingest
