#pragma once
// ecCodes, as all readers of GRIB and BUFR share it: one thread at a time, and refusals instead of messages.
#include <mutex>

namespace zonda::ingest {

/// Held while the library is called. What it cannot decode ends in Error(data), not in the process's end.
[[nodiscard]] std::unique_lock<std::mutex> use_eccodes();

}  // namespace zonda::ingest
