#include "ingest/observations/reading_account.hpp"

#include <cmath>

namespace zonda::ingest {

void ReadingAccount::used(const std::string& file, std::string_view kind) {
  ReportCount& count = reports[{file, std::string(kind)}];
  ++count.read;
  ++count.used;
}

void ReadingAccount::rejected(const std::string& file, std::string_view kind, QualityFlag reason,
                              const std::string& text) {
  ReportCount& count = reports[{file, std::string(kind)}];
  ++count.read;
  ++count.rejected[reason];
  complain(reason, text);
}

void ReadingAccount::complain(QualityFlag reason, const std::string& text) {
  if (complaints.size() < most_complaints) complaints.push_back({text, reason});
}

void ReadingAccount::append(const ReadingAccount& other) {
  for (const auto& [key, from] : other.reports) {
    ReportCount& count = reports[key];
    count.read += from.read;
    count.used += from.used;
    for (const auto& [reason, n] : from.rejected) count.rejected[reason] += n;
  }
  for (const Complaint& complaint : other.complaints) complain(complaint.reason, complaint.text);
}

bool ReadingAccount::balanced() const {
  for (const auto& [key, count] : reports) {
    std::uint64_t sum = count.used;
    for (const auto& [reason, n] : count.rejected) sum += n;
    if (sum != count.read) return false;
  }
  return true;
}

ValueAccount count_values(const ObservationTable& table) {
  ValueAccount account;
  for (std::size_t i = 0; i < table.size(); ++i) {
    ValueCount& count = account[{table.kind[i], table.variable[i]}];
    ++count.read;
    if (!table.accepted(i)) {
      ++count.rejected[table.flag[i]];
      continue;
    }
    ++count.used;
    count.minimum = std::fmin(count.minimum, table.value[i]);
    count.maximum = std::fmax(count.maximum, table.value[i]);
  }
  return account;
}

}  // namespace zonda::ingest
