#pragma once
// Arrays with named dimensions and attributes: what NetCDF files and Zarr stores have in common.
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace zonda::ingest {

enum class ElementType { int8, uint8, int16, uint16, int32, uint32, int64, uint64, float32, float64, other };

/// Bytes of one element; 0 for `other`.
std::size_t size_of(ElementType type);
bool is_integer(ElementType type);

using CfAttribute = std::variant<std::string, std::vector<double>>;

struct CfArray {
  std::string name;
  std::vector<std::string> dimensions;
  std::vector<std::size_t> shape;
  ElementType type = ElementType::other;
  std::map<std::string, CfAttribute> attributes;

  /// The attribute's text; "" where it is absent or a number.
  std::string text(const std::string& attribute) const;
  /// The attribute's numbers (text that reads as a number counts); empty where absent.
  std::vector<double> numbers(const std::string& attribute) const;
  std::size_t size() const;
};

class CfDataset {
 public:
  virtual ~CfDataset() = default;
  virtual const std::vector<CfArray>& arrays() const = 0;
  /// Elements of `arrays()[array]` as stored (packed), row-major `[count...]`. Elements that were never written and
  /// have no fill value are NaN. Thread safe. Throws Error(data) naming file and array.
  virtual void read(std::size_t array, std::span<const std::size_t> start, std::span<const std::size_t> count,
                    std::span<double> values) const = 0;
  /// The file's name.
  virtual std::string name() const = 0;
  virtual std::string describe() const = 0;
};

/// The whole of `arrays()[array]`. Throws Error(data); also where it has more than `most` elements.
std::vector<double> read_all(const CfDataset& dataset, std::size_t array, std::size_t most = 100'000'000);

/// What turns stored numbers into values: CF 1.8 section 8.1 (packing) and 2.5.1 (missing data).
class Packing {
 public:
  explicit Packing(const CfArray& array);
  /// NaN where missing.
  double operator()(double stored) const;

 private:
  bool missing(double stored) const;
  double scale_ = 1, offset_ = 0, valid_min_, valid_max_, wrap_ = 0;
  std::vector<double> missing_;
  bool plain_ = false, single_ = false;
};

}  // namespace zonda::ingest
