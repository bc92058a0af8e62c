// Any bytes as what sensors send: CSV and JSON, and the checks that follow.
#include <cstdint>
#include <cstdlib>

#include "core/error.hpp"
#include "inference/edge/correction/sensor_quality_control.hpp"
#include "inference/edge/correction/sensor_report.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zonda;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto parse : {edge::parse_reports_csv, edge::parse_reports_json}) {
    try {
      for (const edge::SensorReport& report : parse(text, "fuzz")) {
        edge::SensorQualityControl sensor(edge::default_limits(report.variable));
        if (sensor.check(report.time, report.value).empty() && sensor.check(report.time, report.value).empty())
          std::abort();
        sensor.check_departure(report.value);
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
    }
  }
  return 0;
}
