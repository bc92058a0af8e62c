#include "ingest/sources/netcdf_dataset.hpp"

#include <netcdf.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <list>
#include <mutex>

#include "core/error.hpp"
#include "ingest/hdf5_lock.hpp"
#include "ingest/sources/netcdf_classic_header.hpp"

namespace zonda::ingest {
namespace {

constexpr std::size_t most_open_files = 64;
constexpr std::size_t most_chunk_cache = 256u << 20;
constexpr std::size_t most_attribute = 1u << 20;

ElementType element_type(nc_type type) {
  using enum ElementType;
  switch (type) {
    case NC_BYTE:
      return int8;
    case NC_UBYTE:
      return uint8;
    case NC_SHORT:
      return int16;
    case NC_USHORT:
      return uint16;
    case NC_INT:
      return int32;
    case NC_UINT:
      return uint32;
    case NC_INT64:
      return int64;
    case NC_UINT64:
      return uint64;
    case NC_FLOAT:
      return float32;
    case NC_DOUBLE:
      return float64;
    default:
      return other;
  }
}

class NetcdfDataset : public CfDataset {
 public:
  explicit NetcdfDataset(const std::filesystem::path& path) : path_(path.string()) {
    char magic[4] = {};
    std::ifstream(path, std::ios::binary).read(magic, 4);
    if (magic[0] == 'C' && magic[1] == 'D' && magic[2] == 'F') check_length(path);
    const Hdf5Lock lock(hdf5_mutex());
    open();
    try {
      read_structure();
    } catch (...) {
      close();
      throw;
    }
  }

  ~NetcdfDataset() override {
    const Hdf5Lock lock(hdf5_mutex());
    close();
  }

  const std::vector<CfArray>& arrays() const override { return arrays_; }
  std::string name() const override { return path_; }
  std::string describe() const override { return format_ + " " + path_; }

  void read(std::size_t array, std::span<const std::size_t> start, std::span<const std::size_t> count,
            std::span<double> values) const override {
    const CfArray& info = arrays_.at(array);
    if (info.type == ElementType::other) fail(ErrorKind::data, "{}: variable '{}' holds no numbers", path_, info.name);
    const Hdf5Lock lock(hdf5_mutex());
    open();
    const int status = nc_get_vara_double(id_, ids_[array], start.data(), count.data(), values.data());
    if (status != NC_NOERR)
      fail(ErrorKind::data, "{}: variable '{}' cannot be read: {}", path_, info.name, nc_strerror(status));
  }

 private:
  static void check_length(const std::filesystem::path& path) {
    const std::uint64_t expected = netcdf_classic_length(path);
    const std::uint64_t found = std::filesystem::file_size(path);
    if (found < expected) {
      fail(ErrorKind::data, "{}: this NetCDF file is cut off: {} bytes, its header tells of {}", path.string(), found,
           expected);
    }
  }

  // Caller holds the mutex.
  void open() const {
    auto& files = open_files();
    if (id_ >= 0) {
      files.splice(files.end(), files, place_);
      return;
    }
    while (files.size() >= most_open_files) files.front()->close();
    int id = -1;
    const int status = nc_open(path_.c_str(), NC_NOWRITE, &id);
    if (status != NC_NOERR) {
      fail(ErrorKind::data, "{}: cannot be opened as NetCDF or HDF5, it may be cut off: {}", path_,
           nc_strerror(status));
    }
    id_ = id;
    place_ = files.insert(files.end(), this);
    for (std::size_t i = 0; i < ids_.size(); ++i) set_chunk_cache(i);
  }

  void close() const {
    if (id_ < 0) return;
    nc_close(id_);
    id_ = -1;
    open_files().erase(place_);
  }

  void check(int status, const char* doing) const {
    if (status != NC_NOERR) fail(ErrorKind::data, "{}: {}: {}", path_, doing, nc_strerror(status));
  }

  void read_structure() {
    int variables = 0, format = 0;
    check(nc_inq_format(id_, &format), "reading the format");
    format_ = format == NC_FORMAT_CLASSIC                                          ? "NetCDF classic"
              : format == NC_FORMAT_64BIT_OFFSET || format == NC_FORMAT_64BIT_DATA ? "NetCDF 64-bit"
                                                                                   : "NetCDF-4";
    check(nc_inq_nvars(id_, &variables), "counting variables");
    for (int v = 0; v < variables; ++v) {
      char name[NC_MAX_NAME + 1] = {};
      nc_type type = 0;
      int rank = 0, attributes = 0;
      check(nc_inq_varndims(id_, v, &rank), "reading a variable");
      std::vector<int> dimensions(static_cast<std::size_t>(std::max(rank, 1)));
      check(nc_inq_var(id_, v, name, &type, nullptr, dimensions.data(), &attributes), "reading a variable");
      CfArray array;
      array.name = name;
      array.type = element_type(type);
      for (int d = 0; d < rank; ++d) {
        char dimension[NC_MAX_NAME + 1] = {};
        std::size_t length = 0;
        check(nc_inq_dim(id_, dimensions[static_cast<std::size_t>(d)], dimension, &length), "reading a dimension");
        array.dimensions.emplace_back(dimension);
        array.shape.push_back(length);
      }
      for (int a = 0; a < attributes; ++a) read_attribute(v, a, array);
      ids_.push_back(v);
      arrays_.push_back(std::move(array));
      set_chunk_cache(arrays_.size() - 1);
    }
  }

  void read_attribute(int variable, int number, CfArray& array) const {
    char name[NC_MAX_NAME + 1] = {};
    check(nc_inq_attname(id_, variable, number, name), "reading an attribute");
    nc_type type = 0;
    std::size_t length = 0;
    check(nc_inq_att(id_, variable, name, &type, &length), "reading an attribute");
    if (length > most_attribute) return;
    if (type == NC_CHAR) {
      std::string text(length, '\0');
      check(nc_get_att_text(id_, variable, name, text.data()), "reading an attribute");
      while (!text.empty() && text.back() == '\0') text.pop_back();
      array.attributes[name] = std::move(text);
    } else if (type == NC_STRING && length == 1) {
      char* text = nullptr;
      check(nc_get_att_string(id_, variable, name, &text), "reading an attribute");
      if (text != nullptr) array.attributes[name] = std::string(text);
      nc_free_string(1, &text);
    } else if (element_type(type) != ElementType::other && length > 0) {
      std::vector<double> values(length);
      check(nc_get_att_double(id_, variable, name, values.data()), "reading an attribute");
      array.attributes[name] = std::move(values);
    }
  }

  /// HDF5 decompresses a chunk again for every level or time that is read of it, unless its cache holds all chunks of
  /// one horizontal field.
  void set_chunk_cache(std::size_t index) const {
    const CfArray& array = arrays_[index];
    if (array.shape.size() < 2 || format_ != "NetCDF-4") return;
    std::vector<std::size_t> chunk(array.shape.size());
    int storage = 0;
    if (nc_inq_var_chunking(id_, ids_[index], &storage, chunk.data()) != NC_NOERR || storage != NC_CHUNKED) return;
    double bytes = static_cast<double>(size_of(array.type)), chunks = 1;
    for (std::size_t d = 0; d < chunk.size(); ++d) {
      if (chunk[d] == 0) return;
      bytes *= static_cast<double>(chunk[d]);
      if (d + 2 >= chunk.size())
        chunks *= std::ceil(static_cast<double>(array.shape[d]) / static_cast<double>(chunk[d]));
    }
    const double wanted = std::min(bytes * chunks, static_cast<double>(most_chunk_cache));
    std::size_t size = 0, slots = 0;
    float preemption = 0;
    if (nc_get_var_chunk_cache(id_, ids_[index], &size, &slots, &preemption) != NC_NOERR) return;
    if (wanted <= static_cast<double>(size)) return;
    nc_set_var_chunk_cache(id_, ids_[index], static_cast<std::size_t>(wanted), 4133, 0.75f);
  }

  using Files = std::list<const NetcdfDataset*>;
  static Files& open_files() {
    static Files files;
    return files;
  }

  std::string path_, format_;
  std::vector<CfArray> arrays_;
  std::vector<int> ids_;
  mutable int id_ = -1;
  mutable Files::iterator place_;
};

}  // namespace

std::unique_ptr<CfDataset> open_netcdf(const std::filesystem::path& path) {
  return std::make_unique<NetcdfDataset>(path);
}

}  // namespace zonda::ingest
