#pragma once
// HDF5 handles that close themselves, and HDF5's reasons in our errors. Included by .cpp files only.
#include <hdf5.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace zonda::ingest {

class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, herr_t (*closer)(hid_t)) : id_(id), close_(closer) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }  // NOLINT: stands for the id in HDF5's own calls
  /// Closes now and reports whether HDF5 agreed: a full disk shows here.
  bool close() { return id_ < 0 || close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

/// Throws Error(failure) `FILE: WHAT: HDF5's deepest reason` if `result` is negative; else returns it.
template <class T>
T hdf5_check(T result, const std::string& file, std::string_view what);
[[noreturn]] void hdf5_fail(const std::string& file, std::string_view what);
/// HDF5 keeps silent on stderr while it lives.
class Hdf5Silence {
 public:
  Hdf5Silence();
  ~Hdf5Silence();
  Hdf5Silence(const Hdf5Silence&) = delete;
  Hdf5Silence& operator=(const Hdf5Silence&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

template <class T>
T hdf5_check(T result, const std::string& file, std::string_view what) {
  if (result < 0) hdf5_fail(file, what);
  return result;
}

/// A file whose bytes depend on its content alone: no object times, latest 1.10 format (chunk index without a B-tree).
Hdf5Handle create_hdf5_file(const std::string& path, const std::string& name);
/// Dataset creation list with object times off and attributes in the order they were made.
Hdf5Handle plain_creation_list();
void write_attribute(hid_t object, const char* name, std::string_view text, const std::string& file);
void write_attribute(hid_t object, const char* name, double value, const std::string& file);
void write_attribute(hid_t object, const char* name, std::span<const int> values, const std::string& file);
/// A contiguous dataset [values.size()].
Hdf5Handle write_dataset(hid_t parent, const char* name, std::span<const double> values, const std::string& file);
Hdf5Handle write_dataset(hid_t parent, const char* name, std::span<const int> values, const std::string& file);
Hdf5Handle write_dataset(hid_t parent, const char* name, std::span<const long long> values, const std::string& file);
Hdf5Handle write_dataset(hid_t parent, const char* name, std::span<const std::string> values, const std::string& file);

/// Dimension `dimension` of `dataset` is the scale at `path`.
struct ScaleUse {
  hid_t dataset;
  int dimension;
};
/// Makes `scale` (dataset named `name`) an HDF5 dimension scale of the datasets that use it: attributes CLASS, NAME and
/// REFERENCE_LIST, written here and not by the high-level library, whose records carry uninitialised bytes.
void make_scale(hid_t scale, const char* name, std::span<const ScaleUse> uses, const std::string& file);
/// DIMENSION_LIST of `dataset`: the scales by path, one for each dimension.
void attach_scales(hid_t parent, hid_t dataset, std::span<const char* const> scales, const std::string& file);

}  // namespace zonda::ingest
