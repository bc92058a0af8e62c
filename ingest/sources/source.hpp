#pragma once
// A source: anybody's files as an inventory of fields that can be read one by one. Opened by looking at the content,
// not the name.
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"

namespace zonda::ingest {

/// What one two-dimensional field is.
struct FieldKey {
  Channel channel;
  Time valid_time;
  std::optional<Time> reference_time;  ///< the start of the forecast it comes from, where the file says so
  std::optional<int> member;
  Duration accumulation{
      0};  ///< length of the period that ends at valid_time; 0: instantaneous, or not told by the file
  friend auto operator<=>(const FieldKey&, const FieldKey&) = default;
};

/// Names and units a user gives where a file's own are missing or wrong.
struct NameMapping {
  std::map<std::string, std::string> variables;  ///< name in the file -> short name ("geopotential_height": "z")
  std::map<std::string, std::string> units;      ///< name in the file -> unit to believe ("T": "degC")
};

class Source {
 public:
  virtual ~Source() = default;
  /// All fields that could be named, ordered by (valid_time, channel, ...). Unknown variables are listed in ignored().
  /// Long series (60 years of ERA5: millions of fields) are better walked channel by channel: channels(), fields_of().
  virtual const std::vector<FieldKey>& fields() const = 0;
  /// In the order of Channel's comparison.
  virtual std::vector<Channel> channels() const;
  /// The fields of one channel, ordered as in fields(); empty if there is none. Needs no list of all fields.
  virtual std::vector<FieldKey> fields_of(const Channel& channel) const;
  virtual bool contains(const FieldKey& key) const;
  virtual const std::vector<std::string>& ignored() const = 0;
  /// The grid of a channel; static fields have valid_time of the first time or epoch 0 where the file has no time.
  /// Throws Error(data): no such channel, or its unit cannot be converted (as read() does, but before any data).
  virtual Grid grid(const Channel& channel) const = 0;
  /// `[lat, lon]` on grid(key.channel), rows north first, SI units, missing values as NaN, accumulations as the amount
  /// over key.accumulation. Thread safe. Throws Error(data) naming file, variable, level and time.
  virtual void read(const FieldKey& key, std::span<float> values) const = 0;
  /// Rows [row_begin, row_end) of it, `[row, lon]`. Formats that can read a part hold no more than that part.
  virtual void read_rows(const FieldKey& key, std::size_t row_begin, std::size_t row_end,
                         std::span<float> values) const;
  /// For messages and provenance.
  virtual std::string describe() const = 0;
};

/// Opens NetCDF (classic, 64-bit offset, 4), GRIB 1/2, or a Zarr v2 folder, told apart by their first bytes or
/// .zgroup/.zmetadata. Throws Error(data): missing, unreadable, or of no known kind.
std::unique_ptr<Source> open_source(const std::filesystem::path& path, const NameMapping& mapping = {});

/// Several files as one source (a glob's matches, sorted); a field found twice with different values is an error.
std::unique_ptr<Source> open_sources(const std::vector<std::filesystem::path>& paths, const NameMapping& mapping = {});

}  // namespace zonda::ingest
