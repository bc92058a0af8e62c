#include "assimilation/observations/column_operators.hpp"

#include <array>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

using Factory = std::unique_ptr<ColumnOperator> (*)(std::string_view, const AtmosphereLayout&);

/// A variable may have several ways, the first that the state allows is taken.
struct ObservableVariable {
  std::string_view name;
  std::array<Factory, 2> ways;
  std::string_view needs;
};

constexpr std::array observables{
    ObservableVariable{"z", {level_operator, nullptr}, "z on levels"},
    ObservableVariable{"t", {level_operator, nullptr}, "t on levels"},
    ObservableVariable{"u", {level_operator, nullptr}, "u on levels"},
    ObservableVariable{"v", {level_operator, nullptr}, "v on levels"},
    ObservableVariable{"q", {level_operator, nullptr}, "q on levels"},
    ObservableVariable{"r", {level_operator, relative_humidity_operator}, "r, or t and q, on levels"},
    ObservableVariable{"thickness", {thickness_operator, nullptr}, "z or t on levels"},
    ObservableVariable{"sp", {surface_pressure_operator, nullptr}, "sp with 2t or levels of t, or z on levels"},
    ObservableVariable{
        "msl", {surface_operator, surface_pressure_operator}, "msl, sp with 2t or levels of t, or z on levels"},
    ObservableVariable{"2t", {near_surface_temperature_operator, nullptr}, "2t, or t on sigma levels"},
    ObservableVariable{"2d", {surface_operator, near_surface_dew_point_operator}, "2d, or q on sigma levels"},
    ObservableVariable{"10u", {surface_operator, near_surface_wind_operator}, "10u, or u and t on sigma levels"},
    ObservableVariable{"10v", {surface_operator, near_surface_wind_operator}, "10v, or v and t on sigma levels"},
    ObservableVariable{"sst", {surface_operator, nullptr}, "sst"},
};

const ObservableVariable* find(std::string_view variable) {
  for (const ObservableVariable& known : observables)
    if (known.name == variable) return &known;
  return nullptr;
}

std::unique_ptr<ColumnOperator> make(const ObservableVariable& observable, const AtmosphereLayout& layout) {
  for (const Factory way : observable.ways)
    if (way != nullptr)
      if (auto made = way(observable.name, layout)) return made;
  return nullptr;
}

}  // namespace

Column::Column(const std::vector<const LaidField*>& fields, View values, View gradient)
    : fields_(fields), values_(values), gradient_(gradient), begin_{0} {
  for (const LaidField* field : fields) begin_.push_back(begin_.back() + field->offset.size());
}

std::unique_ptr<ColumnOperator> make_column_operator(std::string_view variable, const AtmosphereLayout& layout) {
  const ObservableVariable* observable = find(variable);
  if (observable == nullptr) {
    std::vector<std::string> known;
    for (const ObservableVariable& candidate : observables) known.emplace_back(candidate.name);
    throw Error(ErrorKind::usage, unknown_word("observed variable", variable, known));
  }
  auto made = make(*observable, layout);
  if (!made) fail(ErrorKind::usage, "'{}' cannot be observed in this state: it needs {}", variable, observable->needs);
  return made;
}

bool can_observe(std::string_view variable, const AtmosphereLayout& layout) {
  const ObservableVariable* observable = find(variable);
  return observable != nullptr && make(*observable, layout) != nullptr;
}

}  // namespace zonda::assimilation
