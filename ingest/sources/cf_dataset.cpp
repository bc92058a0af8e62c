#include "ingest/sources/cf_dataset.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

/// NC_FILL_FLOAT and NC_FILL_DOUBLE: what the NetCDF library leaves where nothing was written.
constexpr double netcdf_fill = 9.9692099683868690e+36;

}  // namespace

std::size_t size_of(ElementType type) {
  using enum ElementType;
  switch (type) {
    case int8:
    case uint8:
      return 1;
    case int16:
    case uint16:
      return 2;
    case int32:
    case uint32:
    case float32:
      return 4;
    case int64:
    case uint64:
    case float64:
      return 8;
    case other:
      return 0;
  }
  return 0;
}

bool is_integer(ElementType type) {
  return type != ElementType::float32 && type != ElementType::float64 && type != ElementType::other;
}

std::string CfArray::text(const std::string& attribute) const {
  const auto found = attributes.find(attribute);
  if (found == attributes.end()) return {};
  const auto* text = std::get_if<std::string>(&found->second);
  return text == nullptr ? std::string() : *text;
}

std::vector<double> CfArray::numbers(const std::string& attribute) const {
  const auto found = attributes.find(attribute);
  if (found == attributes.end()) return {};
  if (const auto* numbers = std::get_if<std::vector<double>>(&found->second)) return *numbers;
  const auto& text = std::get<std::string>(found->second);
  if (text == "NaN" || text == "nan") return {std::numeric_limits<double>::quiet_NaN()};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return {value};
  return {};
}

std::size_t CfArray::size() const {
  std::size_t n = 1;
  for (const std::size_t length : shape) n *= length;
  return n;
}

std::vector<double> read_all(const CfDataset& dataset, std::size_t array, std::size_t most) {
  const CfArray& info = dataset.arrays()[array];
  std::size_t n = 1;
  for (const std::size_t length : info.shape) {
    if (length != 0 && n > most / length) {
      fail(ErrorKind::data, "{}: coordinate '{}' has more than {} values", dataset.name(), info.name, most);
    }
    n *= length;
  }
  std::vector<double> values(n);
  const std::vector<std::size_t> start(info.shape.size(), 0);
  dataset.read(array, start, info.shape, values);
  return values;
}

Packing::Packing(const CfArray& array)
    : valid_min_(-std::numeric_limits<double>::infinity()), valid_max_(std::numeric_limits<double>::infinity()) {
  const auto one = [&](const char* attribute, double otherwise) {
    const auto numbers = array.numbers(attribute);
    return numbers.empty() ? otherwise : numbers.front();
  };
  scale_ = one("scale_factor", 1);
  offset_ = one("add_offset", 0);
  valid_min_ = one("valid_min", valid_min_);
  valid_max_ = one("valid_max", valid_max_);
  if (const auto range = array.numbers("valid_range"); range.size() == 2) {
    valid_min_ = range[0];
    valid_max_ = range[1];
  }
  for (const char* attribute : {"_FillValue", "missing_value"}) {
    for (const double value : array.numbers(attribute)) missing_.push_back(value);
  }
  if (!is_integer(array.type)) missing_.push_back(netcdf_fill);
  single_ = array.type == ElementType::float32;
  if (single_) {
    for (double& value : missing_) value = static_cast<double>(static_cast<float>(value));
  }
  const std::string is_unsigned = array.text("_Unsigned");
  if (is_unsigned == "true" || is_unsigned == "True") {
    if (array.type == ElementType::int8 || array.type == ElementType::int16 || array.type == ElementType::int32) {
      wrap_ = std::ldexp(1.0, static_cast<int>(8 * size_of(array.type)));
      for (double& value : missing_) {
        if (value < 0) value += wrap_;
      }
      if (valid_min_ < 0 && std::isfinite(valid_min_)) valid_min_ += wrap_;
      if (valid_max_ < 0) valid_max_ += wrap_;
    }
  }
  plain_ = std::isinf(valid_min_) && std::isinf(valid_max_);
}

bool Packing::missing(double stored) const {
  if (!plain_ && (stored < valid_min_ || stored > valid_max_)) return true;
  return std::find(missing_.begin(), missing_.end(), stored) != missing_.end();
}

double Packing::operator()(double stored) const {
  if (wrap_ != 0 && stored < 0) stored += wrap_;
  if (std::isnan(stored) || missing(stored)) return std::numeric_limits<double>::quiet_NaN();
  return stored * scale_ + offset_;
}

}  // namespace zonda::ingest
