#pragma once
// Small NetCDF files for tests, written with NetCDF-C.
#include <gtest/gtest.h>
#include <netcdf.h>

#include <filesystem>
#include <string>
#include <vector>

namespace zonda::test {

class NetcdfWriting {
 public:
  explicit NetcdfWriting(const std::filesystem::path& path, int mode = NC_NETCDF4) {
    check(nc_create(path.c_str(), mode | NC_CLOBBER, &id_));
  }
  ~NetcdfWriting() { nc_close(id_); }
  NetcdfWriting(const NetcdfWriting&) = delete;
  NetcdfWriting& operator=(const NetcdfWriting&) = delete;

  int dimension(const std::string& name, std::size_t length) {
    int dimension = -1;
    check(nc_def_dim(id_, name.c_str(), length, &dimension));
    return dimension;
  }
  int variable(const std::string& name, nc_type type, const std::vector<int>& dimensions) {
    int variable = -1;
    check(nc_def_var(id_, name.c_str(), type, static_cast<int>(dimensions.size()), dimensions.data(), &variable));
    return variable;
  }
  void text(int variable, const std::string& name, const std::string& value) {
    check(nc_put_att_text(id_, variable, name.c_str(), value.size(), value.c_str()));
  }
  void number(int variable, const std::string& name, nc_type type, double value) {
    check(nc_put_att_double(id_, variable, name.c_str(), type, 1, &value));
  }
  void numbers(int variable, const std::string& name, nc_type type, const std::vector<double>& values) {
    check(nc_put_att_double(id_, variable, name.c_str(), type, values.size(), values.data()));
  }
  /// Dimension and coordinate in one.
  int axis(const std::string& name, const std::vector<double>& values, const std::string& unit,
           const std::string& standard_name = "") {
    const int length = dimension(name, values.size());
    const int id = variable(name, NC_DOUBLE, {length});
    if (!unit.empty()) text(id, "units", unit);
    if (!standard_name.empty()) text(id, "standard_name", standard_name);
    pending_.emplace_back(id, values);
    return length;
  }
  void scalar(const std::string& name, double value, const std::string& unit, const std::string& standard_name) {
    const int id = variable(name, NC_DOUBLE, {});
    if (!unit.empty()) text(id, "units", unit);
    if (!standard_name.empty()) text(id, "standard_name", standard_name);
    pending_.emplace_back(id, std::vector<double>{value});
  }
  void later(int variable, std::vector<double> values) { pending_.emplace_back(variable, std::move(values)); }
  void finish() {
    check(nc_enddef(id_));
    for (const auto& [id, values] : pending_) check(nc_put_var_double(id_, id, values.data()));
  }

 private:
  static void check(int status) { ASSERT_EQ(status, NC_NOERR) << nc_strerror(status); }
  int id_ = -1;
  std::vector<std::pair<int, std::vector<double>>> pending_;
};

}  // namespace zonda::test
