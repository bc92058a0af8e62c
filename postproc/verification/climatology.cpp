#include "postproc/verification/climatology.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/atomic_file.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "parallel/partition.hpp"
#include "postproc/verification/field_series.hpp"

namespace zonda::postproc {
namespace {

constexpr const char* format_name = "zonda climatology 2";

nlohmann::ordered_json header(const FieldSeries& series, const ClimatologyDefinition& definition) {
  nlohmann::ordered_json json;
  json["format"] = format_name;
  json["identity"] = series.identity();
  json["grid"] = series.grid().to_string();
  for (const Channel& channel : series.channels()) json["channels"].push_back(channel.name());
  json["first"] = to_string(definition.first);
  json["last"] = to_string(definition.last);
  json["samples"] = definition.samples;
  json["windowed"] = definition.windowed;
  json["annual"] = definition.annual;
  json["daily"] = definition.daily;
  return json;
}

/// The header's text, or "" where there is no such file.
std::string stored_header(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return "";
  std::string text(ClimatologyFile::header_bytes, '\0');
  const ssize_t got = ::pread(descriptor, text.data(), text.size(), 0);
  ::close(descriptor);
  if (got != static_cast<ssize_t>(text.size())) return "";
  text.resize(std::strlen(text.c_str()));
  return text;
}

}  // namespace

std::size_t ClimatologyDefinition::fields() const {
  if (windowed) return days * slots;
  return 1 + 2 * static_cast<std::size_t>(annual + daily);
}

std::vector<std::pair<std::size_t, double>> ClimatologyDefinition::combination(Time time) const {
  std::vector<std::pair<std::size_t, double>> result;
  if (windowed) {
    const auto day = static_cast<std::size_t>(day_of_year(time));
    const double slot = second_of_day(time) / (86400.0 / slots);
    const auto lower = static_cast<std::size_t>(slot);
    const double fraction = slot - static_cast<double>(lower);
    const std::size_t index = day * slots + lower;
    result.emplace_back(index, 1 - fraction);
    if (fraction > 0) result.emplace_back((index + 1) % (days * slots), fraction);
    return result;
  }
  result.emplace_back(0, 1.0);
  const auto wave = [&](double phase) {
    result.emplace_back(result.size(), std::cos(phase));
    result.emplace_back(result.size(), std::sin(phase));
  };
  for (int k = 1; k <= annual; ++k) wave(2 * constants::pi * k * year_fraction(time));
  for (int k = 1; k <= daily; ++k) wave(2 * constants::pi * k * second_of_day(time) / 86400);
  return result;
}

std::string ClimatologyDefinition::text() const {
  std::string what;
  if (windowed) {
    what = "mean over years in a 61-day window with triangular weights, every 6 h";
  } else {
    what = "mean";
    if (annual > 0) what += fmt::format(" plus {} annual harmonic{}", annual, annual > 1 ? "s" : "");
    if (daily > 0) what += fmt::format(" plus {} daily harmonic{}", daily, daily > 1 ? "s" : "");
    if (annual + daily > 0) what += " by least squares";
  }
  return fmt::format("{}; {} times from {} to {}{}", what, samples, to_string(first), to_string(last),
                     windowed     ? ""
                     : annual > 0 ? " (the period is under five years)"
                                  : " (the period is under 270 days: too short for an annual cycle)");
}

ClimatologyDefinition define_climatology(const FieldSeries& series, std::optional<Time> first,
                                         std::optional<Time> last) {
  const auto training = series.training_period();
  ClimatologyDefinition definition;
  definition.first = first.value_or(training.first);
  definition.last = last.value_or(training.second);
  std::set<double> hours;
  for (const Time time : series.times()) {
    if (time < definition.first || time > definition.last) continue;
    ++definition.samples;
    hours.insert(second_of_day(time));
  }
  if (definition.samples == 0)
    fail(ErrorKind::data, "climatology: the archive has no time between {} and {} (it holds {} to {})",
         to_string(definition.first), to_string(definition.last), to_string(series.times().front()),
         to_string(series.times().back()));
  const double length = std::chrono::duration<double, std::ratio<86400>>(definition.last - definition.first).count();
  definition.windowed = length >= 5 * 365 - 1;
  if (definition.windowed) return definition;
  if (length >= 2 * 365 - 1) {
    definition.annual = 2;
  } else if (length >= 270) {
    definition.annual = 1;
  }
  // The mean of a single day's few hours says nothing about the cycle of others.
  if (length >= 3 && hours.size() >= 3) definition.daily = hours.size() >= 8 ? 2 : 1;
  return definition;
}

ClimatologyFile::ClimatologyFile(const std::filesystem::path& path, const ClimatologyDefinition& definition,
                                 const Grid& grid)
    : path_(path),
      fields_(definition.fields()),
      value_bytes_(definition.value_bytes()),
      nlat_(grid.nlat()),
      nlon_(grid.nlon()) {
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail(ErrorKind::failure, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
}

ClimatologyFile::~ClimatologyFile() {
  ::close(descriptor_);
}

void ClimatologyFile::write(std::size_t channel, std::size_t field, std::size_t row_begin,
                            std::span<const double> values) {
  const std::size_t offset = header_bytes + (((channel * fields_ + field) * nlat_ + row_begin) * nlon_) * value_bytes_;
  const std::vector<float> narrow(values.begin(), value_bytes_ == sizeof(float) ? values.end() : values.begin());
  const std::span<const std::byte> bytes = narrow.empty() ? std::as_bytes(values) : std::as_bytes(std::span(narrow));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(ErrorKind::failure, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
    done += static_cast<std::size_t>(n);
  }
}

void ClimatologyFile::sync() {
  if (::fsync(descriptor_) != 0)
    fail(ErrorKind::failure, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
}

Climatology Climatology::fit(const FieldSeries& series, const ClimatologyDefinition& definition,
                             const std::filesystem::path& file, const parallel::Communicator& communicator) {
  const std::string wanted = header(series, definition).dump();
  if (wanted.size() >= ClimatologyFile::header_bytes)
    fail(ErrorKind::usage, "climatology: {} channels are too many for the file's header", series.channels().size());
  std::int64_t fresh = stored_header(file) == wanted ? 0 : 1;
  // One rank may see an older state of a shared file system: all do what the most careful one finds.
  communicator.all_reduce(std::span(&fresh, 1), parallel::Reduction::max).wait();
  if (fresh == 0) return Climatology(file);

  int kind = 0;
  std::string message;
  const auto guarded = [&](auto&& work) {
    try {
      work();
    } catch (const Error& error) {
      kind = error.exit_code();
      message = error.what();
    }
    communicator.agree(kind, message);
  };
  const std::size_t bytes = ClimatologyFile::header_bytes + series.channels().size() * definition.fields() *
                                                                series.grid().size() * definition.value_bytes();
  std::optional<AtomicFile> output;
  const std::filesystem::path temporary = file.parent_path() / ("." + file.filename().string() + ".tmp");
  guarded([&] {
    if (!communicator.is_root()) return;
    output.emplace(file);
    std::string text = wanted;
    text.resize(ClimatologyFile::header_bytes, '\0');
    const int descriptor = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const bool good = descriptor >= 0 && ::ftruncate(descriptor, static_cast<off_t>(bytes)) == 0 &&
                      ::pwrite(descriptor, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
    const int reason = errno;
    if (descriptor >= 0) ::close(descriptor);
    if (!good) fail(ErrorKind::failure, "{}: cannot be written: {}", temporary.string(), std::strerror(reason));
  });
  guarded([&] {
    const auto rows = parallel::partition(series.grid().nlat(), static_cast<std::size_t>(communicator.size()),
                                          static_cast<std::size_t>(communicator.rank()));
    if (rows.size() == 0) return;
    ClimatologyFile slab(temporary, definition, series.grid());
    fit_climatology_rows(series, definition, rows.begin, rows.end, slab);
    slab.sync();
  });
  guarded([&] {
    if (output) output->commit();
  });
  return Climatology(file);
}

Climatology::Climatology(const std::filesystem::path& file) {
  const std::string text = stored_header(file);
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || json.value("format", "") != format_name)
    fail(ErrorKind::data, "{}: not a climatology of this version (expected '{}')", file.string(), format_name);
  definition_.first = parse_time(json.at("first").get<std::string>());
  definition_.last = parse_time(json.at("last").get<std::string>());
  definition_.samples = json.at("samples").get<std::size_t>();
  definition_.windowed = json.at("windowed").get<bool>();
  definition_.annual = json.at("annual").get<int>();
  definition_.daily = json.at("daily").get<int>();
  for (const auto& name : json.at("channels")) channels_.push_back(parse_channel(name.get<std::string>()));
  points_ = Grid::parse(json.at("grid").get<std::string>()).size();
  const std::size_t bytes =
      ClimatologyFile::header_bytes + channels_.size() * definition_.fields() * points_ * definition_.value_bytes();
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(ErrorKind::data, "{}: cannot be opened: {}", file.string(), std::strerror(errno));
  struct stat status {};
  const bool whole = ::fstat(descriptor, &status) == 0 && static_cast<std::size_t>(status.st_size) == bytes;
  void* mapped = whole ? ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, 0) : MAP_FAILED;
  ::close(descriptor);
  if (mapped == MAP_FAILED)
    fail(ErrorKind::data, "{}: expected {} bytes, found {}", file.string(), bytes, status.st_size);
  const std::shared_ptr<void> mapping(mapped, [bytes](void* address) { ::munmap(address, bytes); });
  fields_ = {mapping, static_cast<const std::byte*>(mapped) + ClimatologyFile::header_bytes};
}

void Climatology::evaluate(std::size_t channel, Time time, std::span<double> out) const {
  evaluate(channel, time, 0, out.first(points_));
}

void Climatology::evaluate(std::size_t channel, Time time, std::size_t first, std::span<double> out) const {
  std::fill(out.begin(), out.end(), 0.0);
  const auto add = [&](const auto* stored, double weight) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += weight * stored[first + i];
  };
  for (const auto& [field, weight] : definition_.combination(time)) {
    const std::byte* stored =
        fields_.get() + (channel * definition_.fields() + field) * points_ * definition_.value_bytes();
    if (definition_.windowed) {
      add(reinterpret_cast<const float*>(stored), weight);
    } else {
      add(reinterpret_cast<const double*>(stored), weight);
    }
  }
}

}  // namespace zonda::postproc
