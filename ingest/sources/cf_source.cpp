#include "ingest/sources/cf_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>

#include "core/error.hpp"
#include "ingest/sources/cf_axes.hpp"
#include "ingest/sources/field_order.hpp"
#include "ingest/sources/horizontal_layout.hpp"
#include "ingest/sources/unit_conversion.hpp"
#include "ingest/sources/variable_naming.hpp"

namespace zonda::ingest {
namespace {

constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

/// An array whose fields can be read: which of its dimensions is what.
struct FieldArray {
  FieldArray(std::size_t index, const CfArray& info) : array(index), packing(info) {}

  std::size_t array;
  const Variable* variable = nullptr;
  std::size_t latitude = none, longitude = none, level = none, time = none, lead = none, member = none;
  std::vector<int> levels;                  ///< hPa; {0} without levels
  std::vector<std::optional<int>> members;  ///< {nullopt} without members
  std::shared_ptr<const std::vector<CfInstant>> instants;
  std::shared_ptr<const HorizontalLayout> layout;
  Packing packing;
  UnitConversion conversion;
  std::string unit_fault;  ///< why the values cannot be had in the table's unit
};

class CfSource : public Source {
 public:
  CfSource(std::unique_ptr<CfDataset> dataset, const NameMapping& mapping)
      : dataset_(std::move(dataset)), mapping_(mapping), coordinates_(*dataset_, mapping_) {
    const auto& arrays = dataset_->arrays();
    std::vector<std::size_t> order(arrays.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    // What the user named goes before what names itself.
    std::stable_partition(order.begin(), order.end(),
                          [&](std::size_t i) { return mapping_.variables.contains(arrays[i].name); });
    for (const std::size_t i : order) {
      if (coordinates_.axis(i) != CfAxis::none || is_bounds(arrays[i].name)) continue;
      if (arrays[i].shape.size() < 2 && !mapping_.variables.contains(arrays[i].name)) {
        if (arrays[i].type != ElementType::other || find_variable(arrays[i].name) != nullptr)
          ignored_.push_back(arrays[i].name);
        continue;
      }
      std::string reason;
      try {
        reason = add(i);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::usage) throw;
        reason = error.what();
      }
      if (!reason.empty()) ignored_.push_back(arrays[i].name + " (" + reason + ")");
    }
    if (places_.empty()) {
      fail(ErrorKind::data, "{}: no field of the variable table on a latitude-longitude grid{}{}", dataset_->name(),
           ignored_.empty() ? "" : "; not used: ", fmt::to_string(fmt::join(ignored_, "; ")));
    }
  }

  const std::vector<FieldKey>& fields() const override {
    std::call_once(listed_, [&] {
      for (const auto& [channel, place] : places_) {
        for (FieldKey& key : fields_of(channel)) fields_.push_back(std::move(key));
      }
      std::sort(fields_.begin(), fields_.end(), field_order);
    });
    return fields_;
  }

  std::vector<Channel> channels() const override {
    std::vector<Channel> channels;
    for (const auto& [channel, place] : places_) channels.push_back(channel);
    return channels;
  }

  std::vector<FieldKey> fields_of(const Channel& channel) const override {
    const auto found = places_.find(channel);
    if (found == places_.end()) return {};
    const FieldArray& field = arrays_[found->second.array];
    std::vector<FieldKey> keys;
    keys.reserve(field.instants->size() * field.members.size());
    for (const CfInstant& instant : *field.instants) {
      for (const auto& member : field.members) {
        keys.push_back({channel, instant.valid_time, instant.reference_time, member, instant.accumulation});
      }
    }
    std::sort(keys.begin(), keys.end(), field_order);
    return keys;
  }

  bool contains(const FieldKey& key) const override {
    const auto found = places_.find(key.channel);
    if (found == places_.end()) return false;
    const FieldArray& field = arrays_[found->second.array];
    return find_instant(field, key) != nullptr &&
           std::find(field.members.begin(), field.members.end(), key.member) != field.members.end();
  }

  const std::vector<std::string>& ignored() const override { return ignored_; }

  Grid grid(const Channel& channel) const override {
    const FieldArray& field = arrays_[place(channel).array];
    check_unit(field);
    return field.layout->grid();
  }

  void read(const FieldKey& key, std::span<float> values) const override {
    read_rows(key, 0, arrays_[place(key.channel).array].layout->grid().nlat(), values);
  }

  void read_rows(const FieldKey& key, std::size_t row_begin, std::size_t row_end,
                 std::span<float> values) const override {
    const Place where = place(key.channel);
    const FieldArray& field = arrays_[where.array];
    check_unit(field);
    const CfInstant* instant = find_instant(field, key);
    const auto member = std::find(field.members.begin(), field.members.end(), key.member);
    if (instant == nullptr || member == field.members.end())
      fail(ErrorKind::data, "{}: there is no {}", dataset_->name(), ingest::describe(key));
    const std::size_t wanted = (row_end - row_begin) * field.layout->grid().nlon();
    if (values.size() != wanted || row_end > field.layout->grid().nlat())
      fail(ErrorKind::failure, "{}: {} values for a field of {}", dataset_->name(), values.size(), wanted);
    const CfArray& array = dataset_->arrays()[field.array];
    std::vector<std::size_t> start(array.shape.size(), 0), count(array.shape.size(), 1);
    const auto put = [&](std::size_t dimension, std::size_t index) {
      if (dimension != none) start[dimension] = index;
    };
    put(field.level, where.level);
    put(field.time, instant->time_index);
    put(field.lead, instant->lead_index);
    put(field.member, static_cast<std::size_t>(member - field.members.begin()));
    start[field.latitude] = field.layout->first_file_row(row_begin, row_end);
    count[field.latitude] = row_end - row_begin;
    count[field.longitude] = array.shape[field.longitude];
    std::vector<double> stored(count[field.latitude] * count[field.longitude]);
    try {
      dataset_->read(field.array, start, count, stored);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{} ({})", error.what(), ingest::describe(key)));
    }
    const bool rows_outside = field.latitude < field.longitude;
    const std::size_t row_stride = rows_outside ? count[field.longitude] : 1;
    const std::size_t column_stride = rows_outside ? 1 : count[field.latitude];
    const Packing& packing = field.packing;
    const UnitConversion conversion = field.conversion;
    if (conversion.identity()) {
      field.layout->turn_rows(row_begin, row_end, stored, row_stride, column_stride, values, packing);
    } else {
      field.layout->turn_rows(row_begin, row_end, stored, row_stride, column_stride, values,
                              [&](double value) { return conversion(packing(value)); });
    }
  }

  std::string describe() const override { return dataset_->describe(); }

 private:
  struct Place {
    std::size_t array, level;
  };

  bool is_bounds(const std::string& name) const {
    for (const CfArray& array : dataset_->arrays()) {
      if (array.text("bounds") == name || array.text("climatology") == name) return true;
    }
    return false;
  }

  Place place(const Channel& channel) const {
    const auto found = places_.find(channel);
    if (found != places_.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [known, place] : places_) names.push_back(known.name());
    throw Error(ErrorKind::data, dataset_->name() + ": " + unknown_word("channel", channel.name(), names));
  }

  void check_unit(const FieldArray& field) const {
    if (!field.unit_fault.empty()) fail(ErrorKind::data, "{}: {}", dataset_->name(), field.unit_fault);
  }

  static const CfInstant* find_instant(const FieldArray& field, const FieldKey& key) {
    auto instant = std::lower_bound(field.instants->begin(), field.instants->end(), key.valid_time,
                                    [](const CfInstant& a, Time time) { return a.valid_time < time; });
    for (; instant != field.instants->end() && instant->valid_time == key.valid_time; ++instant) {
      if (instant->reference_time == key.reference_time && instant->accumulation == key.accumulation) return &*instant;
    }
    return nullptr;
  }

  /// Why array `i` has no fields; empty once it is taken up.
  std::string add(std::size_t i) {
    const CfArray& array = dataset_->arrays()[i];
    if (array.type == ElementType::other) {
      const std::string problem = array.text("zonda_problem");
      return problem.empty() ? "holds no numbers" : problem;
    }
    FieldArray field(i, array);
    std::size_t level_axis = none, member_axis = none;
    VerticalPlace vertical;
    for (std::size_t d = 0; d < array.dimensions.size(); ++d) {
      const std::string& dimension = array.dimensions[d];
      const auto coordinate = coordinates_.along(dimension);
      const CfAxis axis = coordinate ? coordinates_.axis(*coordinate) : CfAxis::none;
      if (axis == CfAxis::latitude) {
        field.latitude = d;
      } else if (axis == CfAxis::longitude) {
        field.longitude = d;
      } else if (axis == CfAxis::pressure) {
        field.level = d;
        level_axis = *coordinate;
      } else if (axis == CfAxis::time || axis == CfAxis::reference_time) {
        field.time = d;
      } else if (axis == CfAxis::lead) {
        field.lead = d;
      } else if (axis == CfAxis::member) {
        field.member = d;
        member_axis = *coordinate;
      } else if (axis == CfAxis::height && array.shape[d] == 1) {
        vertical.height_m = coordinates_.values(*coordinate).at(0);
      } else if (is_member_name(dimension)) {
        field.member = d;
      } else if (array.shape[d] != 1) {
        return field_without_axis(dimension, coordinate);
      }
    }
    if (field.latitude == none || field.longitude == none) return "no latitude and longitude dimension";
    if (array.size() == 0) return "it is empty";
    if (field.level != none) vertical.on_pressure_levels = true;
    std::optional<std::size_t> scalar_level;
    if (field.level == none) {
      scalar_level = coordinates_.scalar(array, CfAxis::pressure);
      vertical.on_pressure_levels = scalar_level.has_value();
    }
    if (const auto height = coordinates_.scalar(array, CfAxis::height)) {
      vertical.height_m = coordinates_.values(*height).at(0);
    }
    NamedVariable named = name_cf_array(array, vertical, mapping_);
    if (named.variable == nullptr && scalar_level) {
      // A surface field in a file with a scalar pressure of others.
      named = name_cf_array(array, VerticalPlace{false, vertical.height_m}, mapping_);
      if (named.variable != nullptr) scalar_level.reset();
    }
    if (named.variable == nullptr) return named.reason;
    field.variable = named.variable;

    const bool on_levels = named.variable->level_kind == LevelKind::pressure;
    if (field.level != none) {
      if (!on_levels && array.shape[field.level] != 1) return "its variable has no pressure levels, but the array has";
      field.levels = on_levels ? coordinates_.levels_hpa(level_axis) : std::vector<int>{0};
    } else if (scalar_level) {
      field.levels = coordinates_.levels_hpa(*scalar_level);
    } else {
      if (on_levels && named.level_hpa == 0) return "its variable lies on pressure levels, but no pressure is given";
      field.levels = {named.level_hpa};
    }
    read_members(array, field, member_axis);
    field.layout = layout(array.dimensions[field.latitude], array.dimensions[field.longitude]);
    field.instants = instants(array, field);
    convert_unit(array, field);
    return take_up(std::move(field));
  }

  static bool is_member_name(const std::string& name) {
    return name == "member" || name == "number" || name == "realization" || name == "ensemble" || name == "ens";
  }

  /// The reason to leave out an array with a dimension that is no known axis.
  std::string field_without_axis(const std::string& dimension, std::optional<std::size_t> coordinate) const {
    for (std::size_t j = 0; j < dataset_->arrays().size(); ++j) {
      const CfArray& other = dataset_->arrays()[j];
      const CfAxis axis = coordinates_.axis(j);
      if ((axis == CfAxis::latitude || axis == CfAxis::longitude) && other.shape.size() == 2 &&
          std::find(other.dimensions.begin(), other.dimensions.end(), dimension) != other.dimensions.end()) {
        return fmt::format(
            "a curvilinear grid: '{}' is two-dimensional; only grids with one-dimensional latitude and "
            "longitude are read",
            other.name);
      }
    }
    if (!coordinate && coordinates_.find(dimension)) {
      return fmt::format(
          "dimension '{}' is neither time, level, member, latitude nor longitude: its coordinate says "
          "so by no standard_name or unit",
          dimension);
    }
    return fmt::format("dimension '{}' is neither time, level, member, latitude nor longitude", dimension);
  }

  void read_members(const CfArray& array, FieldArray& field, std::size_t axis) {
    if (field.member != none) {
      if (axis != none) {
        for (const double value : coordinates_.values(axis)) {
          if (!(std::abs(value) < 1e9)) fail(ErrorKind::data, "member {} is no number of a member", value);
          field.members.emplace_back(static_cast<int>(value));
        }
      } else {
        for (std::size_t m = 0; m < array.shape[field.member]; ++m) field.members.emplace_back(static_cast<int>(m));
      }
      return;
    }
    field.members = {std::nullopt};
    if (const auto scalar = coordinates_.scalar(array, CfAxis::member)) {
      const double value = coordinates_.values(*scalar).at(0);
      // ecCodes' `number` is 0 where there is no ensemble at all.
      const bool without_meaning = dataset_->arrays()[*scalar].name == "number" && value == 0;
      if (!without_meaning && std::abs(value) < 1e9) field.members = {static_cast<int>(value)};
    }
  }

  std::shared_ptr<const HorizontalLayout> layout(const std::string& latitude, const std::string& longitude) {
    auto& known = layouts_[{latitude, longitude}];
    if (!known) {
      known = std::make_shared<HorizontalLayout>(coordinates_.values(*coordinates_.along(latitude)),
                                                 coordinates_.values(*coordinates_.along(longitude)), dataset_->name());
    }
    return known;
  }

  std::shared_ptr<const std::vector<CfInstant>> instants(const CfArray& array, const FieldArray& field) {
    const std::string time = field.time == none ? std::string() : array.dimensions[field.time];
    const std::string lead = field.lead == none ? std::string() : array.dimensions[field.lead];
    const bool accumulated = field.variable->accumulated;
    const std::string own = accumulated ? array.name : std::string();
    const std::vector<std::string> key{time, lead, array.text("coordinates"), own,
                                       field.variable->is_static ? "s" : ""};
    auto& known = instants_[key];
    if (!known) {
      std::vector<CfInstant> list = instants_of(coordinates_, array, time, lead, accumulated);
      if (field.variable->is_static && list.size() > 1) list.resize(1);
      for (std::size_t k = 1; k < list.size(); ++k) {
        if (list[k].valid_time == list[k - 1].valid_time && list[k].reference_time == list[k - 1].reference_time) {
          fail(ErrorKind::data, "time {} is there twice", to_string(list[k].valid_time));
        }
      }
      known = std::make_shared<const std::vector<CfInstant>>(std::move(list));
    }
    return known;
  }

  void convert_unit(const CfArray& array, FieldArray& field) const {
    const std::string unit = unit_of(array, mapping_);
    if (unit.empty()) {
      if (field.variable->unit != "1") {
        field.unit_fault = fmt::format("variable '{}' has no unit; expected one that converts to '{}'", array.name,
                                       field.variable->unit);
      }
      return;
    }
    try {
      field.conversion = unit_conversion(unit, field.variable->unit);
    } catch (const Error&) {
      field.unit_fault =
          fmt::format("unit '{}' of variable '{}' cannot be converted to '{}'", unit, array.name, field.variable->unit);
    }
  }

  std::string take_up(FieldArray field) {
    std::string taken;
    for (std::size_t l = 0; l < field.levels.size(); ++l) {
      const Channel channel{field.variable->short_name, field.levels[l]};
      const auto [place, fresh] = places_.try_emplace(channel, Place{arrays_.size(), l});
      if (!fresh) {
        const std::size_t owner = place->second.array;
        const bool same_array = owner == arrays_.size();
        taken =
            fmt::format("{} is {}", channel.name(),
                        same_array ? "there twice" : "already '" + dataset_->arrays()[arrays_[owner].array].name + "'");
      }
    }
    arrays_.push_back(std::move(field));
    return taken;
  }

  std::unique_ptr<CfDataset> dataset_;
  NameMapping mapping_;
  CfCoordinates coordinates_;
  std::vector<FieldArray> arrays_;
  std::map<Channel, Place> places_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const HorizontalLayout>> layouts_;
  std::map<std::vector<std::string>, std::shared_ptr<const std::vector<CfInstant>>> instants_;
  std::vector<std::string> ignored_;
  mutable std::once_flag listed_;
  mutable std::vector<FieldKey> fields_;
};

}  // namespace

std::unique_ptr<Source> make_cf_source(std::unique_ptr<CfDataset> dataset, const NameMapping& mapping) {
  return std::make_unique<CfSource>(std::move(dataset), mapping);
}

}  // namespace zonda::ingest
