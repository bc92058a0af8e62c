#include "ingest/archive/hdf5_handle.hpp"

#include <cstring>
#include <vector>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

herr_t keep_deepest(unsigned, const H5E_error2_t* entry, void* reason) {
  if (entry->desc != nullptr) *static_cast<std::string*>(reason) = entry->desc;
  return 0;
}

Hdf5Handle string_type(std::size_t size) {
  Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, size);
  if (size == H5T_VARIABLE) H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

Hdf5Handle vector_space(std::size_t n) {
  const hsize_t size = n;
  return {H5Screate_simple(1, &size, nullptr), H5Sclose};
}

void write_attribute(hid_t object, const char* name, hid_t file_type, hid_t memory_type, hid_t space, const void* data,
                     const std::string& file) {
  const Hdf5Handle attribute(
      hdf5_check(H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT), file, name), H5Aclose);
  hdf5_check(H5Awrite(attribute, memory_type, data), file, name);
}

Hdf5Handle write_dataset(hid_t parent, const char* name, hid_t file_type, hid_t memory_type, std::size_t n,
                         const void* data, const std::string& file) {
  const Hdf5Handle space = vector_space(n);
  const Hdf5Handle creation = plain_creation_list();
  Hdf5Handle dataset(
      hdf5_check(H5Dcreate2(parent, name, file_type, space, H5P_DEFAULT, creation, H5P_DEFAULT), file, name), H5Dclose);
  hdf5_check(H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), file, name);
  return dataset;
}

}  // namespace

void hdf5_fail(const std::string& file, std::string_view what) {
  std::string reason = "unknown reason";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_deepest, &reason);
  fail(ErrorKind::failure, "{}: {}: HDF5 says: {}", file, what, reason);
}

Hdf5Silence::Hdf5Silence() {
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Silence::~Hdf5Silence() {
  H5Eset_auto2(H5E_DEFAULT, function_, data_);
}

Hdf5Handle create_hdf5_file(const std::string& path, const std::string& name) {
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  hdf5_check(H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110), name, "format");
  const Hdf5Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation, false);
  H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  return {hdf5_check(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access), name, "cannot be created"), H5Fclose};
}

Hdf5Handle plain_creation_list() {
  Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation, false);
  H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  return creation;
}

void write_attribute(hid_t object, const char* name, std::string_view text, const std::string& file) {
  const Hdf5Handle type = string_type(std::max<std::size_t>(text.size(), 1));
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const std::string padded = text.empty() ? std::string(1, '\0') : std::string(text);
  write_attribute(object, name, type, type, space, padded.data(), file);
}

void write_attribute(hid_t object, const char* name, double value, const std::string& file) {
  const Hdf5Handle space = vector_space(1);
  write_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, space, &value, file);
}

void write_attribute(hid_t object, const char* name, std::span<const int> values, const std::string& file) {
  const Hdf5Handle space = vector_space(values.size());
  write_attribute(object, name, H5T_STD_I32LE, H5T_NATIVE_INT, space, values.data(), file);
}

Hdf5Handle write_dataset(hid_t parent, const char* name, std::span<const double> values, const std::string& file) {
  return write_dataset(parent, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values.size(), values.data(), file);
}

Hdf5Handle write_dataset(hid_t parent, const char* name, std::span<const int> values, const std::string& file) {
  return write_dataset(parent, name, H5T_STD_I32LE, H5T_NATIVE_INT, values.size(), values.data(), file);
}

Hdf5Handle write_dataset(hid_t parent, const char* name, std::span<const long long> values, const std::string& file) {
  return write_dataset(parent, name, H5T_STD_I64LE, H5T_NATIVE_LLONG, values.size(), values.data(), file);
}

Hdf5Handle write_dataset(hid_t parent, const char* name, std::span<const std::string> values, const std::string& file) {
  const Hdf5Handle type = string_type(H5T_VARIABLE);
  std::vector<const char*> words;
  for (const std::string& value : values) words.push_back(value.c_str());
  return write_dataset(parent, name, type, type, words.size(), words.data(), file);
}

void make_scale(hid_t scale, const char* name, std::span<const ScaleUse> uses, const std::string& file) {
  write_attribute(scale, "CLASS", std::string_view("DIMENSION_SCALE\0", 16), file);
  write_attribute(scale, "NAME", std::string_view(name, std::strlen(name) + 1), file);
  struct Record {
    hobj_ref_t dataset;
    int dimension, padding;
  };
  const Hdf5Handle type(H5Tcreate(H5T_COMPOUND, sizeof(Record)), H5Tclose);
  H5Tinsert(type, "dataset", HOFFSET(Record, dataset), H5T_STD_REF_OBJ);
  H5Tinsert(type, "dimension", HOFFSET(Record, dimension), H5T_NATIVE_INT);
  std::vector<Record> records;
  for (const ScaleUse& use : uses) {
    Record record{};
    hdf5_check(H5Rcreate(&record.dataset, use.dataset, ".", H5R_OBJECT, -1), file, name);
    record.dimension = use.dimension;
    records.push_back(record);
  }
  const Hdf5Handle space = vector_space(records.size());
  write_attribute(scale, "REFERENCE_LIST", type, type, space, records.data(), file);
}

void attach_scales(hid_t parent, hid_t dataset, std::span<const char* const> scales, const std::string& file) {
  std::vector<hobj_ref_t> references(scales.size());
  std::vector<hvl_t> lists(scales.size());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    hdf5_check(H5Rcreate(&references[i], parent, scales[i], H5R_OBJECT, -1), file, scales[i]);
    lists[i] = {1, &references[i]};
  }
  const Hdf5Handle type(H5Tvlen_create(H5T_STD_REF_OBJ), H5Tclose);
  const Hdf5Handle space = vector_space(lists.size());
  write_attribute(dataset, "DIMENSION_LIST", type, type, space, lists.data(), file);
}

}  // namespace zonda::ingest
