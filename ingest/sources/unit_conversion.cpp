#include "ingest/sources/unit_conversion.hpp"

#include <udunits2.h>

#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::ingest {
namespace {

constexpr double water_density = 1000;  // kg m-3

struct UnitFree {
  void operator()(ut_unit* unit) const { ut_free(unit); }
};
using Unit = std::unique_ptr<ut_unit, UnitFree>;

/// Names that UDUNITS does not know.
std::string in_udunits_words(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 22> words{{
      {"gpm", "m"},
      {"gpdam", "dam"},
      {"(0 - 1)", "1"},
      {"(0-1)", "1"},
      {"0 - 1", "1"},
      {"0-1", "1"},
      {"~", "1"},
      {"-", "1"},
      {"dimensionless", "1"},
      {"fraction", "1"},
      {"Fraction", "1"},
      {"proportion", "1"},
      {"Proportion", "1"},
      {"Numeric", "1"},
      {"Code table 4.222", "1"},
      {"millibars", "hPa"},
      {"m of water equivalent", "m"},
      {"K*", "K"},
      {"C", "degC"},
      {"mb", "hPa"},
      {"mbar", "hPa"},
      {"percent", "%"},
  }};
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  for (const auto& [name, meaning] : words) {
    if (text == name) return std::string(meaning);
  }
  return std::string(text);
}

class Units {
 public:
  Units() {
    ut_set_error_message_handler(ut_ignore);
    system_.reset(ut_read_xml(nullptr));
    if (!system_) fail(ErrorKind::failure, "the unit data base of UDUNITS-2 cannot be read");
  }

  Unit parse(std::string_view text) const {
    if (text.size() > 200) return nullptr;
    return Unit(ut_parse(system_.get(), in_udunits_words(text).c_str(), UT_UTF8));
  }

  std::optional<UnitConversion> convert(const Unit& from, const Unit& to) const {
    if (!from || !to) return std::nullopt;
    if (ut_compare(from.get(), to.get()) == 0) return UnitConversion{};
    if (!ut_are_convertible(from.get(), to.get())) return std::nullopt;
    cv_converter* converter = ut_get_converter(from.get(), to.get());
    if (converter == nullptr) return std::nullopt;
    const double zero = cv_convert_double(converter, 0), one = cv_convert_double(converter, 1);
    const double thousand = cv_convert_double(converter, 1000);
    cv_free(converter);
    // dBZ and other logarithmic units are not straight lines.
    if (!std::isfinite(thousand - zero)) return std::nullopt;
    if (!(std::abs((thousand - zero) - 1000 * (one - zero)) <= 1e-9 * std::abs(thousand - zero))) return std::nullopt;
    return UnitConversion{(thousand - zero) / 1000, zero};
  }

 private:
  struct SystemFree {
    void operator()(ut_system* system) const { ut_free_system(system); }
  };
  std::unique_ptr<ut_system, SystemFree> system_;
};

std::optional<UnitConversion> find_conversion(std::string_view from, std::string_view to) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::string>, std::optional<UnitConversion>> known;
  const std::lock_guard lock(mutex);
  const std::pair<std::string, std::string> key{from, to};
  if (const auto found = known.find(key); found != known.end()) return found->second;
  static const Units units;
  const Unit source = units.parse(from), target = units.parse(to);
  std::optional<UnitConversion> conversion = units.convert(source, target);
  const auto by_way_of = [&](const char* file_kind, const char* table_kind, double factor) {
    if (conversion) return;
    const Unit file_unit = units.parse(file_kind), table_unit = units.parse(table_kind);
    const auto in = units.convert(source, file_unit), out = units.convert(table_unit, target);
    if (in && out && in->offset == 0 && out->offset == 0) {
      conversion = UnitConversion{in->factor * factor * out->factor, 0};
    }
  };
  by_way_of("m", "m2 s-2", constants::gravity);  // geopotential height
  by_way_of("kg m-2", "m", 1 / water_density);   // depth of water
  if (known.size() < 10000) known.emplace(key, conversion);
  return conversion;
}

}  // namespace

UnitConversion unit_conversion(std::string_view from, std::string_view to) {
  if (from == to) return {};
  if (const auto conversion = find_conversion(from, to)) return *conversion;
  fail(ErrorKind::data, "unit '{}' cannot be converted to '{}'", from, to);
}

bool is_pressure_unit(std::string_view unit) {
  return !unit.empty() && find_conversion(unit, "Pa").has_value();
}

}  // namespace zonda::ingest
