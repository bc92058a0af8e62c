#pragma once
// Climatology: the expected field at a day of the year and hour, from the truth's training period.
//
// From five years on: WeatherBench 2's mean over years in a 61-day window with triangular weights, wrapped over the
// year's end, every 6 h. Below: mean plus annual and daily harmonics by least squares, as many as the period can tell
// apart. Either way climatology(t) = sum_k weight_k(t) field_k, and the fields lie in a file that all ranks of a node
// share (mmap).
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"
#include "parallel/communicator.hpp"

namespace zonda::postproc {

class FieldSeries;

/// Which climatology a period allows.
struct ClimatologyDefinition {
  Time first, last;         ///< the period
  std::size_t samples = 0;  ///< times in it
  bool windowed = false;
  int annual = 0, daily = 0;  ///< number of harmonics where not windowed

  static constexpr std::size_t days = 366, slots = 4, window = 61;
  /// Number of stored fields a channel.
  std::size_t fields() const;
  /// Bytes of a stored value: harmonics in double (their sum must not lose what anomalies are made of), the many fields
  /// of a window in float.
  std::size_t value_bytes() const { return windowed ? sizeof(float) : sizeof(double); }
  /// climatology(time) = sum of weight * stored field.
  std::vector<std::pair<std::size_t, double>> combination(Time time) const;
  /// For the report: what it is, from when to when.
  std::string text() const;
};

/// The definition for the times of `series` in [first, last] (default: its training period). Windowed from five years
/// on; else one annual harmonic from 270 days, two from two years; one daily harmonic from three different hours a day,
/// two from eight. A shorter period would make the annual wave an extrapolation without data. Throws Error(data) if no
/// time is in the period.
ClimatologyDefinition define_climatology(const FieldSeries& series, std::optional<Time> first,
                                         std::optional<Time> last);

class Climatology {
 public:
  /// Fits and writes `file` (each rank a slab of rows; same bytes on any number of ranks), or takes the file as it is
  /// where its header says that it was made from the same data by the same definition. Collective. Throws Error(data)
  /// on missing values.
  static Climatology fit(const FieldSeries& series, const ClimatologyDefinition& definition,
                         const std::filesystem::path& file, const parallel::Communicator& communicator);
  /// Opens a file that fit() wrote. Throws Error(data) if it is damaged or of another kind.
  explicit Climatology(const std::filesystem::path& file);

  const ClimatologyDefinition& definition() const { return definition_; }
  const std::vector<Channel>& channels() const { return channels_; }
  /// `out [lat, lon]` for one channel (index into channels()) at a time. Thread safe.
  void evaluate(std::size_t channel, Time time, std::span<double> out) const;
  /// Points [first, first + out.size()) of it.
  void evaluate(std::size_t channel, Time time, std::size_t first, std::span<double> out) const;

 private:
  ClimatologyDefinition definition_;
  std::vector<Channel> channels_;
  std::size_t points_ = 0;
  std::shared_ptr<const std::byte> fields_;  ///< [channel, field, lat, lon], the mapped file
};

/// Writes rows [row_begin, row_end) of field `field` of channel `channel`: `values [rows, lon]`.
class ClimatologyFile {
 public:
  ClimatologyFile(const std::filesystem::path& path, const ClimatologyDefinition& definition, const Grid& grid);
  ~ClimatologyFile();
  ClimatologyFile(const ClimatologyFile&) = delete;
  ClimatologyFile& operator=(const ClimatologyFile&) = delete;
  void write(std::size_t channel, std::size_t field, std::size_t row_begin, std::span<const double> values);
  void sync();

  static constexpr std::size_t header_bytes = 65536;

 private:
  std::filesystem::path path_;
  std::size_t fields_, value_bytes_, nlat_, nlon_;
  int descriptor_;
};

/// The fit itself, for rows [row_begin, row_end): streams through the period's times, in blocks of rows of bounded
/// memory.
void fit_climatology_rows(const FieldSeries& series, const ClimatologyDefinition& definition, std::size_t row_begin,
                          std::size_t row_end, ClimatologyFile& file);

}  // namespace zonda::postproc
