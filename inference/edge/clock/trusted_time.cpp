#include "inference/edge/clock/trusted_time.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace zonda::edge {

TrustedTime::TrustedTime(Clock& clock, std::filesystem::path file)
    : clock_(clock), file_(std::move(file)), base_(Time{}), since_(clock.steady()) {
  if (!std::filesystem::exists(file_)) return;
  try {
    base_ = parse_time(nlohmann::json::parse(read_file(file_)).at("not_before").get<std::string>());
  } catch (const std::exception& damage) {
    log::warning("{}: the last known time cannot be read ({}); it is learnt anew from signed data", file_.string(),
                 damage.what());
  }
}

Time TrustedTime::bound() const {
  std::scoped_lock lock(mutex_);
  return base_ + Duration(static_cast<std::int64_t>(std::floor((clock_.steady() - since_).count())));
}

Time TrustedTime::now() const {
  return std::max(clock_.utc(), bound());
}

void TrustedTime::learn(Time past) {
  if (past <= bound()) return;
  std::scoped_lock lock(mutex_);
  base_ = past;
  since_ = clock_.steady();
}

void TrustedTime::remember() const {
  write_file(file_, nlohmann::json{{"not_before", to_string(bound())}}.dump(2) + "\n");
}

bool TrustedTime::calendar_is_behind(Duration tolerance) const {
  return clock_.utc() + tolerance < bound();
}

}  // namespace zonda::edge
