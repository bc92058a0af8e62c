#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "assimilation/covariance/harmonic_synthesis.hpp"
#include "assimilation/covariance/spectral_statistics.hpp"
#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kind = "zonda spectral covariance 1";

/// What a state must share with the statistics: the grid, and each field's levels and place.
Json describe(const AtmosphereLayout& layout) {
  Json fields = Json::array();
  for (const LaidField& field : layout.fields)
    fields.push_back({{"variable", field.variable}, {"a", field.a}, {"b", field.b}, {"offset", field.offset}});
  return {{"grid", layout.grid.to_string()}, {"fields", fields}};
}

/// Calls use(vector) for every vector of numbers, in the order of the file.
template <class Statistics, class Use>
void for_each_vector(Statistics& statistics, Use use) {
  for (auto& rows : statistics.deviations) use(rows);
  for (auto& matrix : statistics.regressions) use(matrix);
  for (auto& group : statistics.covariances)
    for (auto& matrix : group) use(matrix);
}

SpectralStatistics shaped(const AtmosphereLayout& layout, int truncation) {
  const StatisticalFields fields(layout);
  const std::size_t waves = static_cast<std::size_t>(truncation + 1);
  SpectralStatistics result;
  result.truncation = truncation;
  result.deviations.assign(fields.dependents(), Vector(layout.grid.nlat()));
  result.regressions.assign(waves, Vector(fields.dependents() * fields.winds.size()));
  for (const auto& group : fields.groups) result.covariances.emplace_back(waves, Vector(group.size * group.size));
  return result;
}

}  // namespace

void write_statistics(const std::filesystem::path& path, const SpectralStatistics& statistics,
                      const AtmosphereLayout& layout, const std::string& identity) {
  statistics.check(layout);
  std::string values;
  for_each_vector(statistics, [&](const Vector& vector) {
    values.append(reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(double));
  });
  const Json header{{"kind", kind},
                    {"identity", identity},
                    {"layout", describe(layout)},
                    {"truncation", statistics.truncation},
                    {"samples", statistics.samples},
                    {"bytes", values.size()},
                    {"sha256", sha256(values)}};
  write_file(path, header.dump() + "\n" + values);
}

namespace {

/// Calls refuse(why) where the header does not fit.
template <class Refuse>
void check_header(const Json& header, const std::string& values, const AtmosphereLayout& layout,
                  const std::string& identity, Refuse refuse) {
  if (!header.is_object() || header.value("kind", "") != kind) refuse("not a file of background covariances");
  if (header.at("bytes") != values.size() || header.at("sha256") != sha256(values))
    refuse("damaged, the checksum does not fit");
  const std::string grid = header.at("layout").at("grid");
  if (grid != layout.grid.to_string())
    refuse("covariances on the grid " + grid + ", expected " + layout.grid.to_string());
  if (header.at("layout") != describe(layout)) refuse("covariances of other variables or levels than the state's");
  const std::string found = header.at("identity");
  if (found != identity)
    refuse("covariances of another model (" + found.substr(0, 12) + ", expected " + identity.substr(0, 12) + ")");
  const int truncation = header.at("truncation");
  if (truncation < 1 || truncation > HarmonicSynthesis::representable(layout.grid))
    refuse("no truncation of this grid");
}

}  // namespace

SpectralStatistics read_statistics(const std::filesystem::path& path, const AtmosphereLayout& layout,
                                   const std::string& identity) {
  const std::string contents = read_file(path);
  const std::size_t end = std::min(contents.find('\n'), contents.size());
  const std::string values = contents.substr(std::min(end + 1, contents.size()));
  const auto refuse = [&](const std::string& why) { fail(ErrorKind::data, "{}: {}", path.string(), why); };
  const Json header = Json::parse(contents.substr(0, end), nullptr, false);
  try {
    check_header(header, values, layout, identity, refuse);
  } catch (const Json::exception&) {
    refuse("damaged, its header lacks what it should hold");
  }
  SpectralStatistics result = shaped(layout, header["truncation"]);
  result.samples = header.value("samples", std::size_t{0});
  std::size_t at = 0;
  for_each_vector(result, [&](Vector& vector) {
    const std::size_t bytes = vector.size() * sizeof(double);
    if (at + bytes > values.size()) refuse("too short");
    std::memcpy(vector.data(), values.data() + at, bytes);
    at += bytes;
  });
  if (at != values.size()) refuse("too long");
  return result;
}

}  // namespace zonda::assimilation
