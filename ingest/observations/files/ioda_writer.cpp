#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <set>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "ingest/archive/hdf5_handle.hpp"
#include "ingest/hdf5_lock.hpp"
#include "ingest/observations/files/ioda_names.hpp"
#include "ingest/observations/files/ioda_store.hpp"
#include "parallel/partition.hpp"

namespace zonda::ingest {
namespace {

constexpr double fill = 9.969209968386869e36;  // that of NetCDF

/// Entries of one report and place.
struct Location {
  std::size_t first;                                       ///< an entry, for what they share
  std::vector<std::pair<VariableNumber, std::size_t>> of;  ///< variable, entry
};

bool same_bits(double a, double b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0 || a == b || (std::isnan(a) && std::isnan(b));
}

bool same_place(const ObservationTable& t, std::size_t a, std::size_t b) {
  return t.station[a] == t.station[b] && t.kind[a] == t.kind[b] && t.time[a] == t.time[b] &&
         t.source[a] == t.source[b] && same_bits(t.latitude[a], t.latitude[b]) &&
         same_bits(t.longitude[a], t.longitude[b]) && same_bits(t.height[a], t.height[b]) &&
         same_bits(t.pressure[a], t.pressure[b]);
}

std::vector<Location> locations_of(const ObservationTable& table) {
  std::vector<Location> locations;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto has = [&](const Location& location) {
      return std::any_of(location.of.begin(), location.of.end(),
                         [&](const auto& entry) { return entry.first == table.variable[i]; });
    };
    if (locations.empty() || !same_place(table, locations.back().first, i) || has(locations.back()))
      locations.push_back({i, {}});
    locations.back().of.emplace_back(table.variable[i], i);
  }
  return locations;
}

std::vector<std::byte> as_bytes(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

/// What all ranks know of the file.
struct Layout {
  std::size_t locations = 0, my_first = 0, station_bytes = 1;
  std::set<VariableNumber> variables;
  bool background = false, analysis = false, bias = false, checked = false;  ///< what any entry of any rank has
  std::vector<std::string> files;

  Layout(const ObservationTable& table, const std::vector<Location>& mine, const parallel::Communicator& ranks) {
    std::array<std::int64_t, 6> facts{static_cast<std::int64_t>(mine.size()), 1};
    for (const std::string& station : table.stations)
      facts[1] = std::max(facts[1], static_cast<std::int64_t>(station.size()));
    for (std::size_t i = 0; i < table.size(); ++i) {
      facts[2] |= std::isfinite(table.background[i]) ? 1 : 0;
      facts[3] |= std::isfinite(table.analysis[i]) ? 1 : 0;
      facts[4] |= table.bias[i] != 0 ? 1 : 0;
      facts[5] |= table.flag[i] != table.given_flag[i] ? 1 : 0;
    }
    std::vector<std::int64_t> all(facts.size() * static_cast<std::size_t>(ranks.size()));
    ranks.all_gather(std::as_bytes(std::span(facts)), std::as_writable_bytes(std::span(all))).wait();
    for (std::size_t r = 0; r < static_cast<std::size_t>(ranks.size()); ++r) {
      const auto fact = [&](std::size_t n) { return all[facts.size() * r + n]; };
      if (r == static_cast<std::size_t>(ranks.rank())) my_first = locations;
      locations += static_cast<std::size_t>(fact(0));
      station_bytes = std::max(station_bytes, static_cast<std::size_t>(fact(1)));
      background |= fact(2) != 0;
      analysis |= fact(3) != 0;
      bias |= fact(4) != 0;
      checked |= fact(5) != 0;
    }
    std::vector<std::int64_t> present(variable_table().size());
    for (const VariableNumber variable : table.variable) present[variable] = 1;
    ranks.all_reduce(std::span(present), parallel::Reduction::max).wait();
    for (std::size_t v = 0; v < present.size(); ++v)
      if (present[v] != 0) variables.insert(static_cast<VariableNumber>(v));
    std::string names;
    for (const std::string& file : table.files) names += file + '\n';
    for (const auto& part : ranks.all_gather_variable(as_bytes(names))) {
      std::string_view rest(reinterpret_cast<const char*>(part.data()), part.size());
      for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1))
        if (std::find(files.begin(), files.end(), rest.substr(0, end)) == files.end())
          files.emplace_back(rest.substr(0, end));
    }
  }
};

/// Names of HDF5's types open the library, which one thread alone may do: they are looked up under its lock.
enum class Stored { i32, i64, f64, text };

/// One array along Location: where it begins in the file, and this rank's part.
struct Array {
  std::string group, name;
  Stored type = Stored::f64;
  std::string unit;
  std::vector<char> mine;
  std::int64_t offset = 0;
};

template <class T>
Array array(std::string group, std::string name, Stored type, std::string unit, const std::vector<T>& values) {
  Array made{std::move(group), std::move(name), type, std::move(unit), {}, 0};
  made.mine.resize(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(made.mine.data(), values.data(), made.mine.size());
  return made;
}

class Arrays {
 public:
  Arrays(const ObservationTable& table, const std::vector<Location>& locations, const Layout& layout)
      : locations_(locations) {
    std::vector<std::int64_t> numbers;
    for (std::size_t i = 0; i < locations.size(); ++i)
      numbers.push_back(static_cast<std::int64_t>(layout.my_first + i));
    all.push_back(array("", "Location", Stored::i64, "", numbers));
    add_double("latitude", "degrees_north", [&](std::size_t i) { return table.latitude[i]; });
    add_double("longitude", "degrees_east", [&](std::size_t i) { return table.longitude[i]; });
    add_double("height", "m", [&](std::size_t i) { return table.height[i]; });
    add_double("pressure", "Pa", [&](std::size_t i) { return table.pressure[i]; });
    std::vector<std::int64_t> seconds;
    for (const Location& location : locations) seconds.push_back(table.time[location.first].time_since_epoch().count());
    all.push_back(array("MetaData", "dateTime", Stored::i64, "seconds since 1970-01-01T00:00:00Z", seconds));
    add_int("reportKind", [&](std::size_t i) { return static_cast<std::int32_t>(table.kind[i]); });
    add_int("sourceFile", [&](std::size_t i) {
      const std::uint32_t file = table.source[i].file;
      if (file >= table.files.size()) return -1;
      const auto at = std::find(layout.files.begin(), layout.files.end(), table.files[file]);
      return static_cast<std::int32_t>(at - layout.files.begin());
    });
    add_int("sourceMessage", [&](std::size_t i) { return static_cast<std::int32_t>(table.source[i].message); });
    add_int("sourceSubset", [&](std::size_t i) { return static_cast<std::int32_t>(table.source[i].subset); });
    std::string names;
    for (const Location& location : locations) {
      std::string name(table.station_name(location.first));
      name.resize(layout.station_bytes, '\0');
      names += name;
    }
    all.push_back({"MetaData", "stationIdentification", Stored::text, "", {names.begin(), names.end()}, 0});
    for (const VariableNumber v : layout.variables) {
      const std::string& unit = variable_table()[v].unit;
      const std::string name = ioda_from_short(variable_table()[v].short_name);
      all.push_back(array("ObsValue", name, Stored::f64, unit, values_of(v, table.value)));
      all.push_back(array("ObsError", name, Stored::f64, unit, values_of(v, table.error)));
      const auto add_value = [&](const char* group, const std::vector<double>& column) {
        all.push_back(array(group, name, Stored::f64, unit, values_of(v, column)));
      };
      if (layout.background) add_value(layout.analysis ? "hofx0" : "hofx", table.background);
      if (layout.analysis) {
        add_value("hofx1", table.analysis);
        add_value("ombg", departures(table.value, table.background));
        add_value("oman", departures(table.value, table.analysis));
      }
      if (layout.bias) add_value("ObsBias0", table.bias);
      all.push_back(array("PreQC", name, Stored::i32, "", flags_of(v, table.given_flag)));
      if (layout.analysis || layout.checked)
        all.push_back(array("EffectiveQC", name, Stored::i32, "", flags_of(v, table.flag)));
    }
  }

  std::vector<Array> all;

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  static std::size_t entry_of(const Location& location, VariableNumber variable) {
    for (const auto& [v, entry] : location.of)
      if (v == variable) return entry;
    return none;
  }
  std::vector<std::int32_t> flags_of(VariableNumber variable, const std::vector<QualityFlag>& column) const {
    std::vector<std::int32_t> flags;
    for (const Location& location : locations_) {
      const std::size_t entry = entry_of(location, variable);
      flags.push_back(static_cast<std::int32_t>(entry == none ? QualityFlag::missing : column[entry]));
    }
    return flags;
  }
  static std::vector<double> departures(const std::vector<double>& values, const std::vector<double>& equivalents) {
    std::vector<double> result;
    for (std::size_t i = 0; i < values.size(); ++i) result.push_back(values[i] - equivalents[i]);
    return result;
  }
  static double known(double value) { return std::isfinite(value) ? value : fill; }

  std::vector<double> values_of(VariableNumber variable, const std::vector<double>& column) const {
    std::vector<double> values;
    for (const Location& location : locations_) {
      const std::size_t entry = entry_of(location, variable);
      values.push_back(entry == none ? fill : known(column[entry]));
    }
    return values;
  }
  template <class Get>
  void add_double(const char* name, const char* unit, Get get) {
    std::vector<double> values;
    for (const Location& location : locations_) values.push_back(known(get(location.first)));
    all.push_back(array("MetaData", name, Stored::f64, unit, values));
  }
  template <class Get>
  void add_int(const char* name, Get get) {
    std::vector<std::int32_t> values;
    for (const Location& location : locations_) values.push_back(get(location.first));
    all.push_back(array("MetaData", name, Stored::i32, "", values));
  }

  const std::vector<Location>& locations_;
};

/// Of numbers.
hid_t hdf5_type(Stored type) {
  return type == Stored::i32 ? H5T_STD_I32LE : type == Stored::i64 ? H5T_STD_I64LE : H5T_IEEE_F64LE;
}

/// Makes the file with all its arrays, without their values, and finds where each begins.
void lay_out(const std::string& path, const std::string& shown, const Layout& layout, std::vector<Array>& arrays) {
  const Hdf5Lock lock(hdf5_mutex());
  const Hdf5Silence silence;
  Hdf5Handle file = create_hdf5_file(path, shown);
  write_attribute(file, "_ioda_layout", std::string_view("ObsGroup"), shown);
  write_attribute(file, "_ioda_layout_version", std::array{3}, shown);
  std::string names;
  for (const std::string& name : layout.files) names += name + '\n';
  write_attribute(file, "source_files", names, shown);
  std::vector<int> flag_numbers;
  std::string reasons;
  for (const QualityFlag flag : quality_flags()) {
    std::string word(name(flag));
    std::replace(word.begin(), word.end(), ' ', '_');
    reasons += (reasons.empty() ? "" : " ") + word;
    flag_numbers.push_back(static_cast<int>(flag));
  }
  std::string kinds;
  for (const ReportKind kind : report_kinds()) kinds += (kinds.empty() ? "" : " ") + std::string(name(kind));
  const hsize_t size = layout.locations;
  const Hdf5Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose);
  const Hdf5Handle timeless(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_obj_track_times(timeless, false);
  std::set<std::string> groups{"MetaData", "ObsValue", "ObsError", "PreQC"};
  for (const Array& entry : arrays)
    if (!entry.group.empty()) groups.insert(entry.group);
  for (const std::string& name : groups) {
    const Hdf5Handle group(hdf5_check(H5Gcreate2(file, name.c_str(), H5P_DEFAULT, timeless, H5P_DEFAULT), shown, name),
                           H5Gclose);
  }
  std::vector<Hdf5Handle> datasets;
  for (Array& entry : arrays) {
    const Hdf5Handle creation = plain_creation_list();
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    Hdf5Handle text;
    if (entry.type == Stored::text) {
      text = Hdf5Handle(H5Tcopy(H5T_C_S1), H5Tclose);
      H5Tset_size(text, layout.station_bytes);
      H5Tset_strpad(text, H5T_STR_NULLPAD);
    }
    const std::string at = entry.group.empty() ? entry.name : entry.group + "/" + entry.name;
    const hid_t type = entry.type == Stored::text ? static_cast<hid_t>(text) : hdf5_type(entry.type);
    datasets.emplace_back(
        hdf5_check(H5Dcreate2(file, at.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT), shown, at), H5Dclose);
    const Hdf5Handle& dataset = datasets.back();
    if (!entry.unit.empty()) write_attribute(dataset, "units", entry.unit, shown);
    if (entry.type == Stored::f64) write_attribute(dataset, "_FillValue", fill, shown);
    if (entry.group.ends_with("QC")) {
      write_attribute(dataset, "flag_values", std::span<const int>(flag_numbers), shown);
      write_attribute(dataset, "flag_meanings", reasons, shown);
    }
    if (entry.name == "reportKind") write_attribute(dataset, "flag_meanings", kinds, shown);
    const haddr_t offset = H5Dget_offset(dataset);
    if (offset == HADDR_UNDEF && layout.locations > 0)
      fail(ErrorKind::failure, "{}: HDF5 gave no place to '{}'", shown, at);
    entry.offset = layout.locations == 0 ? 0 : static_cast<std::int64_t>(offset);
  }
  std::vector<ScaleUse> uses;
  for (std::size_t d = 1; d < datasets.size(); ++d) {
    const char* const scale = "/Location";
    attach_scales(file, datasets[d], std::span(&scale, 1), shown);
    uses.push_back({datasets[d], 0});
  }
  make_scale(datasets.front(), "Location", uses, shown);
  datasets.clear();
  if (!file.close()) hdf5_fail(shown, "cannot be closed");
}

void fill_in(const std::string& path, const std::string& shown, const Layout& layout,
             const std::vector<Array>& arrays) {
  const auto complain = [&] { fail(ErrorKind::failure, "{}: cannot be written: {}", shown, std::strerror(errno)); };
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) complain();
  struct Close {
    int descriptor;
    ~Close() { ::close(descriptor); }
  } const close{descriptor};
  for (const Array& entry : arrays) {
    const std::size_t width = entry.type == Stored::text  ? layout.station_bytes
                              : entry.type == Stored::i32 ? sizeof(std::int32_t)
                                                          : sizeof(double);
    std::size_t done = 0;
    while (done < entry.mine.size()) {
      const auto at = entry.offset + static_cast<std::int64_t>(layout.my_first * width + done);
      const ssize_t count = ::pwrite(descriptor, entry.mine.data() + done, entry.mine.size() - done, at);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) complain();
      done += static_cast<std::size_t>(count);
    }
  }
  if (::fsync(descriptor) != 0) complain();
}

/// Runs `work`; if it fails on any rank, all ranks throw.
template <class Work>
void together(const parallel::Communicator& ranks, Work work) {
  int kind = 0;
  std::string message;
  try {
    work();
  } catch (const Error& error) {
    kind = static_cast<int>(error.kind());
    message = error.what();
  }
  ranks.agree(kind, message);
}

}  // namespace

ObservationTable own_locations(const ObservationTable& table, const parallel::Communicator& ranks) {
  const std::vector<Location> locations = locations_of(table);
  const parallel::Range own = parallel::partition(locations.size(), static_cast<std::size_t>(ranks.size()),
                                                  static_cast<std::size_t>(ranks.rank()));
  std::vector<std::size_t> entries;
  for (std::size_t l = own.begin; l < own.end; ++l)
    for (const auto& [variable, entry] : locations[l].of) entries.push_back(entry);
  return table.select(entries);
}

void write_ioda(const std::filesystem::path& path, const ObservationTable& table, const parallel::Communicator& ranks) {
  const std::vector<Location> locations = locations_of(table);
  const Layout layout(table, locations, ranks);
  Arrays arrays(table, locations, layout);
  std::optional<AtomicFile> target;
  std::vector<std::int64_t> offsets(arrays.all.size());
  std::string temporary;
  together(ranks, [&] {
    if (!ranks.is_root()) return;
    target.emplace(path);
    temporary = target->temporary().string();
    lay_out(temporary, path.string(), layout, arrays.all);
    for (std::size_t a = 0; a < offsets.size(); ++a) offsets[a] = arrays.all[a].offset;
  });
  ranks.broadcast(std::as_writable_bytes(std::span(offsets)), 0).wait();
  std::vector<std::byte> name = as_bytes(temporary);
  name = ranks.all_gather_variable(name).front();
  temporary.assign(reinterpret_cast<const char*>(name.data()), name.size());
  for (std::size_t a = 0; a < offsets.size(); ++a) arrays.all[a].offset = offsets[a];
  together(ranks, [&] { fill_in(temporary, path.string(), layout, arrays.all); });
  together(ranks, [&] {
    if (target) target->commit();
  });
}

}  // namespace zonda::ingest
