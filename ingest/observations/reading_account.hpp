#pragma once
// The books of reading: nothing that was read is lost without a reason.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ingest/observations/observation_table.hpp"

namespace zonda::ingest {

/// Reports (BUFR subsets, rows) of one file and kind: read = used + rejected by reason.
struct ReportCount {
  std::uint64_t read = 0, used = 0;
  std::map<QualityFlag, std::uint64_t> rejected;
};

/// What is wrong with one report or value, in words.
struct Complaint {
  std::string text;  ///< `FILE, message 7, station 10033: ...`
  QualityFlag reason;
};

/// Words are kept of the first complaints; all are counted.
inline constexpr std::size_t most_complaints = 200;

struct ReadingAccount {
  struct Key {
    std::string file, kind;  ///< kind "" where the report could not be told
    auto operator<=>(const Key&) const = default;
  };
  std::map<Key, ReportCount> reports;
  std::vector<Complaint> complaints;

  void used(const std::string& file, std::string_view kind);
  void rejected(const std::string& file, std::string_view kind, QualityFlag reason, const std::string& text);
  void complain(QualityFlag reason, const std::string& text);
  void append(const ReadingAccount& other);
  /// Whether read = used + rejected in every line.
  bool balanced() const;
};

/// Values by kind, variable and flag; they always sum to the table's size.
struct ValueCount {
  std::uint64_t read = 0, used = 0;
  double minimum = not_known, maximum = not_known;  ///< of the used ones
  std::map<QualityFlag, std::uint64_t> rejected;
};
using ValueAccount = std::map<std::pair<ReportKind, VariableNumber>, ValueCount>;
ValueAccount count_values(const ObservationTable& table);

/// What a reader returns.
struct ReadObservations {
  ObservationTable table;
  ReadingAccount account;
};

}  // namespace zonda::ingest
