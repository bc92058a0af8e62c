#pragma once
// What a table of observations holds and why some of it is not used, for machines and people: the report of a file or
// of a cycle's quality control.
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "ingest/observations/reading_account.hpp"

namespace zonda::ingest {

/// `files`, `reports` (read, used, rejected by reason, by file and kind), `values` (the same by kind and variable, with
/// the range of used ones and, where there is a background, mean and root mean square of departures of used and of
/// rejected ones), `first`, `last`, `stations`, `balanced`, `complaints`. Numbers of values are those of the table:
/// read = used + rejected always.
nlohmann::ordered_json summarise(const ObservationTable& table, const ReadingAccount& account);
/// The same as aligned text.
std::string summary_table(const ObservationTable& table, const ReadingAccount& account);

}  // namespace zonda::ingest
