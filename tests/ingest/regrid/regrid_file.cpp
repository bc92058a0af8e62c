// regrid_file IN.nc OUT.nc GRID METHOD [THREADS]: every float or double field (..., lat, lon) of a NetCDF file on
// another grid, as `cdo remapbil` does it: read, regrid, write, in one program. For tests/peers/cdo_regrid.py.

#include <netcdf.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "ingest/regrid/regridder.hpp"

namespace {

using namespace zonda;

void check(int status, const std::string& what) {
  if (status != NC_NOERR) fail(ErrorKind::data, "{}: {}", what, nc_strerror(status));
}

struct Variable {
  int in = 0, out = 0;
  nc_type type = NC_FLOAT;
  std::vector<std::size_t> lengths;
  bool is_field = false;
};

class File {
 public:
  File(const std::string& in, const std::filesystem::path& out, const std::string& grid, const std::string& method,
       int threads)
      : name_(in), threads_(threads) {
    check(nc_open(in.c_str(), NC_NOWRITE, &in_), in);
    check(nc_create(out.c_str(), NC_CLOBBER | NC_NETCDF4, &out_), out.string());
    check(nc_set_fill(out_, NC_NOFILL, nullptr), "fill mode");
    const std::vector<double> latitudes = coordinate("latitude", "lat"), longitudes = coordinate("longitude", "lon");
    south_first_ = latitudes.front() < latitudes.back();
    regridder_.emplace(Grid::from_coordinates(latitudes, longitudes), Grid::parse(grid),
                       ingest::parse_regrid_method(method));
    define();
    check(nc_enddef(out_), "header");
    const Grid& target = regridder_->target();
    check(nc_put_var_double(out_, lat_out_, target.latitudes().data()), "lat");
    check(nc_put_var_double(out_, lon_out_, target.longitudes().data()), "lon");
  }

  void regrid() {
    for (const Variable& variable : variables_) {
      if (!variable.is_field) {
        copy(variable);
      } else if (variable.type == NC_FLOAT) {
        regrid_fields<float>(variable, nc_get_vara_float, nc_put_vara_float);
      } else {
        regrid_fields<double>(variable, nc_get_vara_double, nc_put_vara_double);
      }
    }
    check(nc_close(out_), "closing the result");
    check(nc_close(in_), "closing the input");
  }

 private:
  std::vector<double> coordinate(const char* name, const char* short_name) {
    int id = 0, dimension = 0;
    if (nc_inq_varid(in_, short_name, &id) != NC_NOERR) check(nc_inq_varid(in_, name, &id), name_ + ": " + name);
    check(nc_inq_vardimid(in_, id, &dimension), name);
    std::size_t n = 0;
    check(nc_inq_dimlen(in_, dimension, &n), name);
    std::vector<double> values(n);
    check(nc_get_var_double(in_, id, values.data()), name);
    (short_name[1] == 'a' ? lat_in_ : lon_in_) = dimension;
    return values;
  }

  void define() {
    const Grid& target = regridder_->target();
    int lat = 0, lon = 0, n = 0;
    check(nc_def_dim(out_, "lat", target.nlat(), &lat), "lat");
    check(nc_def_dim(out_, "lon", target.nlon(), &lon), "lon");
    check(nc_def_var(out_, "lat", NC_DOUBLE, 1, &lat, &lat_out_), "lat");
    check(nc_def_var(out_, "lon", NC_DOUBLE, 1, &lon, &lon_out_), "lon");
    check(nc_put_att_text(out_, lat_out_, "units", 13, "degrees_north"), "lat");
    check(nc_put_att_text(out_, lon_out_, "units", 12, "degrees_east"), "lon");
    std::map<int, int> dimensions{{lat_in_, lat}, {lon_in_, lon}};
    check(nc_inq_nvars(in_, &n), name_);
    for (int id = 0; id < n; ++id) {
      char name[NC_MAX_NAME + 1] = {};
      int rank = 0, attributes = 0, ids[NC_MAX_VAR_DIMS] = {};
      Variable variable;
      variable.in = id;
      check(nc_inq_var(in_, id, name, &variable.type, &rank, ids, &attributes), name_);
      variable.is_field = rank >= 2 && ids[rank - 2] == lat_in_ && ids[rank - 1] == lon_in_ &&
                          (variable.type == NC_FLOAT || variable.type == NC_DOUBLE);
      if (!variable.is_field && (rank != 1 || ids[0] == lat_in_ || ids[0] == lon_in_)) continue;
      std::vector<int> mine;
      for (int d = 0; d < rank; ++d) {
        std::size_t length = 0;
        char text[NC_MAX_NAME + 1] = {};
        check(nc_inq_dim(in_, ids[d], text, &length), name);
        if (!dimensions.contains(ids[d])) check(nc_def_dim(out_, text, length, &dimensions[ids[d]]), text);
        variable.lengths.push_back(length);
        mine.push_back(dimensions[ids[d]]);
      }
      check(nc_def_var(out_, name, variable.type, rank, mine.data(), &variable.out), name);
      for (int a = 0; a < attributes; ++a) {
        char attribute[NC_MAX_NAME + 1] = {};
        check(nc_inq_attname(in_, id, a, attribute), name);
        check(nc_copy_att(in_, id, attribute, out_, variable.out), attribute);
      }
      variables_.push_back(variable);
    }
  }

  void copy(const Variable& variable) {
    std::vector<double> values(variable.lengths[0]);
    check(nc_get_var_double(in_, variable.in, values.data()), name_);
    check(nc_put_var_double(out_, variable.out, values.data()), "copying");
  }

  template <class Value, class Get, class Put>
  void regrid_fields(const Variable& variable, Get get, Put put) {
    const Grid &source = regridder_->source(), &target = regridder_->target();
    const std::size_t rank = variable.lengths.size();
    std::size_t fields = 1;
    for (std::size_t d = 0; d + 2 < rank; ++d) fields *= variable.lengths[d];
    std::vector<Value> in(source.size()), out(target.size());
    Value fill{};
    const bool has_fill = nc_get_att(in_, variable.in, "_FillValue", &fill) == NC_NOERR;
    for (std::size_t field = 0; field < fields; ++field) {
      std::vector<std::size_t> start(rank, 0), count(rank, 1);
      std::size_t rest = field;
      for (std::size_t d = rank - 2; d-- > 0;) {
        start[d] = rest % variable.lengths[d];
        rest /= variable.lengths[d];
      }
      count[rank - 2] = source.nlat();
      count[rank - 1] = source.nlon();
      check(get(in_, variable.in, start.data(), count.data(), in.data()), name_);
      if (has_fill) {
        for (Value& x : in) x = x == fill ? std::numeric_limits<Value>::quiet_NaN() : x;
      }
      if (south_first_) {
        for (std::size_t i = 0; i < source.nlat() / 2; ++i) {
          std::swap_ranges(in.begin() + static_cast<std::ptrdiff_t>(i * source.nlon()),
                           in.begin() + static_cast<std::ptrdiff_t>((i + 1) * source.nlon()),
                           in.begin() + static_cast<std::ptrdiff_t>((source.nlat() - 1 - i) * source.nlon()));
        }
      }
      regridder_->apply(std::span<const Value>(in), std::span<Value>(out), threads_);
      if (has_fill) {
        for (Value& x : out) x = std::isnan(x) ? fill : x;
      }
      count[rank - 2] = target.nlat();
      count[rank - 1] = target.nlon();
      check(put(out_, variable.out, start.data(), count.data(), out.data()), "writing");
    }
  }

  std::string name_;
  int threads_, in_ = -1, out_ = -1, lat_in_ = -1, lon_in_ = -1, lat_out_ = -1, lon_out_ = -1;
  bool south_first_ = false;
  std::optional<ingest::Regridder> regridder_;
  std::vector<Variable> variables_;
};

}  // namespace

int main(int count, char** words) try {
  if (count < 5 || count > 6) fail(ErrorKind::usage, "usage: regrid_file IN.nc OUT.nc GRID METHOD [THREADS]");
  AtomicFile out(words[2]);
  File(words[1], out.temporary(), words[3], words[4], count == 6 ? std::atoi(words[5]) : 1).regrid();
  out.commit();
  return 0;
} catch (const zonda::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_code();
}
