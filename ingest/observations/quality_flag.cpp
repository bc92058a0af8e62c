#include "ingest/observations/quality_flag.hpp"

namespace zonda::ingest {

const std::vector<QualityFlag>& quality_flags() {
  using enum QualityFlag;
  static const std::vector<QualityFlag> all{accepted,
                                            missing,
                                            rejected_at_source,
                                            bounds,
                                            domain,
                                            blacklisted,
                                            operator_failed,
                                            thinned,
                                            background,
                                            track,
                                            buddy,
                                            window,
                                            duplicate,
                                            damaged,
                                            unsupported,
                                            position,
                                            time,
                                            unit,
                                            level};
  return all;
}

std::string_view name(QualityFlag flag) {
  switch (flag) {
    case QualityFlag::accepted:
      return "accepted";
    case QualityFlag::missing:
      return "missing";
    case QualityFlag::rejected_at_source:
      return "rejected at source";
    case QualityFlag::bounds:
      return "bounds";
    case QualityFlag::domain:
      return "domain";
    case QualityFlag::blacklisted:
      return "blacklisted";
    case QualityFlag::operator_failed:
      return "operator failed";
    case QualityFlag::thinned:
      return "thinned";
    case QualityFlag::background:
      return "background";
    case QualityFlag::track:
      return "track";
    case QualityFlag::buddy:
      return "buddy";
    case QualityFlag::window:
      return "window";
    case QualityFlag::duplicate:
      return "duplicate";
    case QualityFlag::damaged:
      return "damaged";
    case QualityFlag::unsupported:
      return "unsupported";
    case QualityFlag::position:
      return "position";
    case QualityFlag::time:
      return "time";
    case QualityFlag::unit:
      return "unit";
    case QualityFlag::level:
      return "level";
  }
  return "unknown";
}

}  // namespace zonda::ingest
