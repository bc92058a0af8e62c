#include "ingest/cf/netcdf_file.hpp"

#include <netcdf.h>
#include <netcdf_par.h>

#include "core/error.hpp"
#include "ingest/hdf5_lock.hpp"
#include "parallel/mpi_handle.hpp"

namespace zonda::ingest {

NetcdfFile::NetcdfFile(const std::filesystem::path& path, std::filesystem::path shown) : shown_(std::move(shown)) {
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_create(path.c_str(), NC_CLOBBER | NC_NETCDF4, &id_), "creating the file");
  // Every chunk is written whole, once: nothing to be gained by writing fill values before.
  check(nc_set_fill(id_, NC_NOFILL, nullptr), "setting the fill mode");
}

NetcdfFile::NetcdfFile(const std::filesystem::path& path, std::filesystem::path shown,
                       const parallel::Communicator& ranks)
    : shown_(std::move(shown)), shared_(true) {
  const std::optional<MPI_Comm> mpi = parallel::mpi_handle(ranks);
  if (!mpi) fail(ErrorKind::usage, "{}: collective writing needs ranks that mpirun or srun started", shown_.string());
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_create_par(path.c_str(), NC_CLOBBER | NC_NETCDF4, *mpi, MPI_INFO_NULL, &id_), "creating the file");
  check(nc_set_fill(id_, NC_NOFILL, nullptr), "setting the fill mode");
}

NetcdfFile::~NetcdfFile() {
  if (id_ < 0) return;
  const Hdf5Lock lock(hdf5_mutex());
  nc_close(id_);
}

void NetcdfFile::check(int status, std::string_view doing) const {
  if (status == NC_NOERR) return;
  fail(ErrorKind::failure, "{}: {}: {}", shown_.string(), doing, nc_strerror(status));
}

int NetcdfFile::dimension(const std::string& name, std::size_t length) {
  const Hdf5Lock lock(hdf5_mutex());
  int id = 0;
  check(nc_def_dim(id_, name.c_str(), length == unlimited ? NC_UNLIMITED : length, &id), "dimension " + name);
  return id;
}

int NetcdfFile::int_variable(const std::string& name, std::span<const int> dimensions) {
  const Hdf5Lock lock(hdf5_mutex());
  int id = 0;
  check(nc_def_var(id_, name.c_str(), NC_INT, static_cast<int>(dimensions.size()), dimensions.data(), &id),
        "variable " + name);
  return id;
}

int NetcdfFile::double_variable(const std::string& name, std::span<const int> dimensions) {
  const Hdf5Lock lock(hdf5_mutex());
  int id = 0;
  check(nc_def_var(id_, name.c_str(), NC_DOUBLE, static_cast<int>(dimensions.size()), dimensions.data(), &id),
        "variable " + name);
  return id;
}

int NetcdfFile::field_variable(const std::string& name, std::span<const int> dimensions,
                               std::span<const std::size_t> chunk, int deflate, float fill_value) {
  const Hdf5Lock lock(hdf5_mutex());
  const std::string doing = "variable " + name;
  int id = 0;
  check(nc_def_var(id_, name.c_str(), NC_FLOAT, static_cast<int>(dimensions.size()), dimensions.data(), &id), doing);
  check(nc_def_var_chunking(id_, id, NC_CHUNKED, chunk.data()), doing + ": chunks");
  if (deflate > 0) check(nc_def_var_deflate(id_, id, 1, 1, deflate), doing + ": compression");
  check(nc_def_var_fill(id_, id, NC_FILL, &fill_value), doing + ": fill value");
  // A cache of one chunk: chunks are whole fields, written once and never read back.
  std::size_t bytes = sizeof(float);
  for (const std::size_t n : chunk) bytes *= n;
  check(nc_set_var_chunk_cache(id_, id, bytes, 1, 1.0F), doing + ": cache");
  return id;
}

void NetcdfFile::attribute(int variable, const std::string& name, std::string_view text) {
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_put_att_text(id_, variable == global ? NC_GLOBAL : variable, name.c_str(), text.size(), text.data()),
        "attribute " + name);
}

void NetcdfFile::attribute(int variable, const std::string& name, int value) {
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_put_att_int(id_, variable == global ? NC_GLOBAL : variable, name.c_str(), NC_INT, 1, &value),
        "attribute " + name);
}

void NetcdfFile::attribute(int variable, const std::string& name, std::span<const double> values) {
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_put_att_double(id_, variable == global ? NC_GLOBAL : variable, name.c_str(), NC_DOUBLE, values.size(),
                          values.data()),
        "attribute " + name);
}

void NetcdfFile::end_definitions() {
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_enddef(id_), "writing the header");
  int variables = 0;
  if (shared_) check(nc_inq_nvars(id_, &variables), "counting the variables");
  for (int v = 0; v < variables; ++v) check(nc_var_par_access(id_, v, NC_COLLECTIVE), "asking for collective writes");
}

void NetcdfFile::put(int variable, std::span<const double> values) {
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_put_var_double(id_, variable, values.data()), "writing coordinates");
}

void NetcdfFile::put(int variable, int value) {
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_put_var_int(id_, variable, &value), "writing a scalar");
}

void NetcdfFile::put_at(int variable, std::span<const std::size_t> start, std::span<const std::size_t> count,
                        std::span<const double> values) {
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_put_vara_double(id_, variable, start.data(), count.data(), values.data()), "writing a time");
}

void NetcdfFile::put_at(int variable, std::span<const std::size_t> start, std::span<const std::size_t> count,
                        std::span<const float> values) {
  const Hdf5Lock lock(hdf5_mutex());
  check(nc_put_vara_float(id_, variable, start.data(), count.data(), values.data()), "writing a field");
}

void NetcdfFile::close() {
  const Hdf5Lock lock(hdf5_mutex());
  const int id = id_;
  id_ = -1;
  if (id >= 0) check(nc_close(id), "closing the file");
}

}  // namespace zonda::ingest
