#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "ingest/archive/hdf5_handle.hpp"
#include "ingest/hdf5_lock.hpp"
#include "ingest/observations/files/ioda_names.hpp"
#include "ingest/observations/files/ioda_store.hpp"
#include "parallel/partition.hpp"

namespace zonda::ingest {
namespace {

class Store {
 public:
  explicit Store(const std::filesystem::path& path) : path_(path.string()) {
    file_ = Hdf5Handle(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    if (file_ < 0) fail(ErrorKind::data, "{}: HDF5 cannot open it", path_);
    for (const char* group : {"MetaData", "ObsValue"})
      if (!has(group)) fail(ErrorKind::data, "{}: no group '{}', so no store of observations", path_, group);
    const Hdf5Handle latitude = open("MetaData/latitude");
    locations_ = length(latitude);
  }

  std::size_t locations() const { return locations_; }
  void choose(parallel::Range range) { range_ = range; }

  bool has(const std::string& path) const {
    for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
      if (H5Lexists(file_, path.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return false;
      if (end == std::string::npos) return true;
    }
  }

  /// Fill values are NaN.
  std::vector<double> numbers(const std::string& path) const {
    const Hdf5Handle dataset = open(path);
    std::vector<double> values(range_.size());
    read(dataset, H5T_NATIVE_DOUBLE, values.data(), path);
    double fill = std::nan("");
    if (H5Aexists(dataset, "_FillValue") > 0) {
      const Hdf5Handle attribute(H5Aopen(dataset, "_FillValue", H5P_DEFAULT), H5Aclose);
      H5Aread(attribute, H5T_NATIVE_DOUBLE, &fill);
    }
    for (double& value : values)
      if (value == fill || std::abs(value) > 1e36) value = not_known;
    return values;
  }
  std::vector<double> numbers_or(const std::string& path, double otherwise) const {
    return has(path) ? numbers(path) : std::vector<double>(range_.size(), otherwise);
  }
  std::vector<long long> integers(const std::string& path) const {
    std::vector<long long> values(range_.size());
    read(open(path), H5T_NATIVE_LLONG, values.data(), path);
    return values;
  }
  std::vector<long long> integers_or(const std::string& path, long long otherwise) const {
    return has(path) ? integers(path) : std::vector<long long>(range_.size(), otherwise);
  }

  std::vector<std::string> texts(const std::string& path) const {
    const Hdf5Handle dataset = open(path);
    const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
    std::vector<std::string> result;
    if (H5Tget_class(type) != H5T_STRING) fail(ErrorKind::data, "{}: '{}' is no text", path_, path);
    if (H5Tis_variable_str(type) > 0) {
      std::vector<char*> words(range_.size(), nullptr);
      read(dataset, type, words.data(), path);
      for (const char* word : words) result.emplace_back(word == nullptr ? "" : word);
      const hsize_t n = words.size();
      const Hdf5Handle memory(H5Screate_simple(1, &n, nullptr), H5Sclose);
      H5Dvlen_reclaim(type, memory, H5P_DEFAULT, words.data());
      return result;
    }
    const std::size_t width = H5Tget_size(type);
    std::string all(range_.size() * width, '\0');
    read(dataset, type, all.data(), path);
    for (std::size_t i = 0; i < range_.size(); ++i) {
      std::string word = all.substr(i * width, width);
      word.resize(std::min(word.find('\0'), word.size()));
      while (!word.empty() && word.back() == ' ') word.pop_back();
      result.push_back(std::move(word));
    }
    return result;
  }

  std::string text_attribute(hid_t object, const char* name) const {
    if (H5Aexists(object, name) <= 0) return "";
    const Hdf5Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
    const Hdf5Handle type(H5Aget_type(attribute), H5Tclose);
    if (H5Tget_class(type) != H5T_STRING) return "";
    if (H5Tis_variable_str(type) > 0) {
      char* word = nullptr;
      const Hdf5Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
      H5Tset_size(memory, H5T_VARIABLE);
      H5Tset_cset(memory, H5Tget_cset(type));
      if (H5Aread(attribute, memory, &word) < 0 || word == nullptr) return "";
      std::string text = word;
      H5free_memory(word);
      return text;
    }
    std::string text(H5Tget_size(type), '\0');
    if (H5Aread(attribute, type, text.data()) < 0) return "";
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
  }
  std::string file_attribute(const char* name) const { return text_attribute(file_, name); }
  std::string unit(const std::string& path) const { return text_attribute(open(path), "units"); }

  std::vector<std::string> members(const std::string& group_path) const {
    const Hdf5Handle group(H5Gopen2(file_, group_path.c_str(), H5P_DEFAULT), H5Gclose);
    H5G_info_t info{};
    if (group < 0 || H5Gget_info(group, &info) < 0) fail(ErrorKind::data, "{}: '{}' is no group", path_, group_path);
    std::vector<std::string> names;
    for (hsize_t i = 0; i < info.nlinks; ++i) {
      std::string name(1024, '\0');
      const ssize_t size =
          H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT);
      if (size > 0 && size < 1024) names.push_back(name.substr(0, static_cast<std::size_t>(size)));
    }
    return names;
  }

 private:
  Hdf5Handle open(const std::string& path) const {
    Hdf5Handle dataset(has(path) ? H5Dopen2(file_, path.c_str(), H5P_DEFAULT) : -1, H5Dclose);
    if (dataset < 0) fail(ErrorKind::data, "{}: no array '{}'", path_, path);
    if (locations_ != none && length(dataset) != locations_)
      fail(ErrorKind::data, "{}: '{}' has {} values for {} locations", path_, path, length(dataset), locations_);
    return dataset;
  }
  std::size_t length(const Hdf5Handle& dataset) const {
    const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
    hsize_t size = 0;
    if (H5Sget_simple_extent_ndims(space) != 1 || H5Sget_simple_extent_dims(space, &size, nullptr) < 0)
      fail(ErrorKind::data, "{}: an array of locations has not one dimension", path_);
    return static_cast<std::size_t>(size);
  }
  void read(const Hdf5Handle& dataset, hid_t type, void* values, const std::string& path) const {
    if (range_.size() == 0) return;
    const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
    const hsize_t begin = range_.begin, count = range_.size();
    const Hdf5Handle memory(H5Screate_simple(1, &count, nullptr), H5Sclose);
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, &begin, nullptr, &count, nullptr) < 0 ||
        H5Dread(dataset, type, memory, space, H5P_DEFAULT, values) < 0)
      fail(ErrorKind::data, "{}: '{}' cannot be read", path_, path);
  }

  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  std::string path_;
  Hdf5Handle file_;
  std::size_t locations_ = none;
  parallel::Range range_{0, 0};
};

QualityFlag flag_of(long long number) {
  for (const QualityFlag flag : quality_flags())
    if (static_cast<long long>(flag) == number) return flag;
  return QualityFlag::rejected_at_source;
}

struct StoredVariable {
  VariableNumber number;
  std::vector<double> values, errors, background, analysis, bias;
  std::vector<long long> given_flags, flags;
};

}  // namespace

bool is_ioda(const std::filesystem::path& path) {
  const Hdf5Lock lock(hdf5_mutex());
  const Hdf5Silence silence;
  try {
    return Store(path).locations() != static_cast<std::size_t>(-1);
  } catch (const Error&) {
    return false;
  }
}

ReadObservations read_ioda(const std::filesystem::path& path, const parallel::Communicator& ranks) {
  const Hdf5Lock lock(hdf5_mutex());
  const Hdf5Silence silence;
  Store store(path);
  const parallel::Range range = parallel::partition(store.locations(), static_cast<std::size_t>(ranks.size()),
                                                    static_cast<std::size_t>(ranks.rank()));
  store.choose(range);
  ReadObservations result;
  const std::string file = path.string();
  std::vector<std::uint32_t> files;
  const std::string named_files = store.file_attribute("source_files");
  std::string_view rest = named_files;
  for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1))
    files.push_back(result.table.file_number(rest.substr(0, end)));
  const std::uint32_t own = files.empty() ? result.table.file_number(file) : 0;
  const auto latitude = store.numbers("MetaData/latitude"), longitude = store.numbers("MetaData/longitude");
  const auto height =
      store.numbers_or(store.has("MetaData/height") ? "MetaData/height" : "MetaData/stationElevation", not_known);
  const auto pressure = store.numbers_or("MetaData/pressure", not_known);
  const auto seconds = store.integers("MetaData/dateTime");
  const std::string time_unit = store.unit("MetaData/dateTime");
  const TimeUnit unit = parse_time_unit(time_unit.empty() ? "seconds since 1970-01-01T00:00:00Z" : time_unit);
  const auto kinds = store.integers_or("MetaData/reportKind", static_cast<long long>(ReportKind::station));
  const auto file_of = store.integers_or("MetaData/sourceFile", 0);
  const auto message = store.integers_or("MetaData/sourceMessage", -1);
  const auto subset = store.integers_or("MetaData/sourceSubset", 0);
  const auto stations = store.has("MetaData/stationIdentification") ? store.texts("MetaData/stationIdentification")
                                                                    : std::vector<std::string>(range.size(), "unknown");
  std::vector<StoredVariable> variables;
  std::vector<std::string> unknown;
  for (const std::string& name : store.members("ObsValue")) {
    const Variable* known = find_variable(short_from_ioda(name));
    if (known == nullptr) {
      unknown.push_back(name);
      continue;
    }
    StoredVariable variable{static_cast<VariableNumber>(known - variable_table().data()),
                            store.numbers("ObsValue/" + name),
                            store.numbers_or("ObsError/" + name, not_known),
                            store.numbers_or((store.has("hofx0/" + name) ? "hofx0/" : "hofx/") + name, not_known),
                            store.numbers_or("hofx1/" + name, not_known),
                            store.numbers_or("ObsBias0/" + name, 0),
                            store.integers_or("PreQC/" + name, 0),
                            {}};
    variable.flags = store.has("EffectiveQC/" + name) ? store.integers("EffectiveQC/" + name) : variable.given_flags;
    variables.push_back(std::move(variable));
  }
  std::sort(variables.begin(), variables.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  for (const std::string& name : unknown) {
    const auto values = store.numbers("ObsValue/" + name);
    for (std::size_t i = 0; i < values.size(); ++i)
      if (std::isfinite(values[i]))
        result.account.rejected(file, "", QualityFlag::unsupported,
                                fmt::format("{}, location {}, station {}: variable '{}' is not read", file,
                                            range.begin + i + 1, stations[i], name));
  }
  for (std::size_t i = 0; i < range.size(); ++i) {
    const bool known_kind = kinds[i] >= 0 && kinds[i] < static_cast<long long>(report_kinds().size());
    Observation entry;
    entry.station = stations[i];
    entry.kind = known_kind ? static_cast<ReportKind>(kinds[i]) : ReportKind::station;
    const auto reject = [&](QualityFlag reason, const char* why) {
      result.account.rejected(
          file, name(entry.kind), reason,
          fmt::format("{}, location {}, station {}: {}", file, range.begin + i + 1, stations[i], why));
    };
    if (!is_position(latitude[i], longitude[i])) {
      reject(QualityFlag::position, "no valid latitude and longitude");
      continue;
    }
    if (std::abs(static_cast<double>(seconds[i]) * unit.seconds_per_unit) > 1e12) {
      reject(QualityFlag::time, "no valid time");
      continue;
    }
    entry.latitude = latitude[i];
    entry.longitude = turned_longitude(longitude[i]);
    entry.height = height[i];
    entry.pressure = pressure[i];
    entry.time = unit.decode(static_cast<double>(seconds[i]));
    const bool named = file_of[i] >= 0 && file_of[i] < static_cast<long long>(files.size());
    entry.source = {
        named ? files[static_cast<std::size_t>(file_of[i])] : own,
        static_cast<std::uint32_t>(message[i] >= 0 ? static_cast<std::size_t>(message[i]) : range.begin + i + 1),
        static_cast<std::uint32_t>(std::max(0LL, subset[i]))};
    const std::size_t before = result.table.size();
    for (const StoredVariable& variable : variables) {
      // A value that is missing was never an entry, unless a flag says why it could not be read.
      const QualityFlag flag = flag_of(variable.flags[i]);
      if (!std::isfinite(variable.values[i]) && (flag == QualityFlag::accepted || flag == QualityFlag::missing))
        continue;
      entry.variable = variable.number;
      entry.value = variable.values[i];
      entry.error = variable.errors[i];
      entry.flag = flag;
      result.table.add(entry);
      result.table.background.back() = variable.background[i];
      result.table.analysis.back() = variable.analysis[i];
      result.table.bias.back() = std::isfinite(variable.bias[i]) ? variable.bias[i] : 0;
      result.table.given_flag.back() = flag_of(variable.given_flags[i]);
    }
    if (result.table.size() == before) {
      reject(QualityFlag::missing, "no value");
    } else {
      result.account.used(file, name(entry.kind));
    }
  }
  return result;
}

}  // namespace zonda::ingest
