// What a station has learnt, across restarts: JSON, whole numbers and shortest round-trip decimals.
#include <cmath>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "inference/edge/correction/station_correction.hpp"

namespace zonda::edge {
namespace {

constexpr std::string_view format = "zonda station correction 1";

template <class Numbers>
void append(std::string& out, const Numbers& numbers) {
  out += '[';
  for (std::size_t i = 0; i < numbers.size(); ++i) out += fmt::format("{}{}", i > 0 ? "," : "", numbers[i]);
  out += ']';
}

std::vector<float> floats(const JsonReader& from, const std::string& key, std::size_t most) {
  std::vector<float> values;
  for (const auto& item : from.array(key, most)) {
    if (!item.is_number() || !(std::abs(item.get<double>()) < 1e30))
      fail(ErrorKind::data, "{}: expected numbers", from.name(key));
    values.push_back(item.get<float>());
  }
  return values;
}

template <std::size_t N>
void exactly(std::array<float, N>& into, const JsonReader& from, const std::string& key) {
  const std::vector<float> values = floats(from, key, N);
  if (values.size() != N) fail(ErrorKind::data, "{}: {} numbers; expected {}", from.name(key), values.size(), N);
  std::copy(values.begin(), values.end(), into.begin());
}

}  // namespace

void StationCorrection::save(const std::filesystem::path& path) const {
  std::string out = fmt::format(R"({{"format":"{}","lead_class_s":{},"sensors":[)", format, config_.lead_class.count());
  for (const Sensor& sensor : sensors_) {
    out += fmt::format(R"({}{{"observed":"{}","quantity":"{}","departures":)", out.ends_with('[') ? "" : ",",
                       sensor.variable.observed, sensor.variable.quantity);
    append(out, sensor.quality.departures());
    out += ",\"filters\":[";
    for (const auto& [lead_class, filter] : sensor.filters) {
      const BiasFilter::State s = filter.state();
      out += fmt::format(R"({}{{"class":{},"variance":{},"last":{},"observations":{},"bias":)",
                         out.ends_with('[') ? "" : ",", lead_class, s.variance, s.last, s.observations);
      append(out, s.bias);
      out += ",\"covariance\":";
      append(out, s.covariance);
      out += "}";
    }
    out += "],\"runs\":[";
    for (const Run& run : sensor.runs) {
      std::vector<std::int64_t> leads;
      for (const Duration lead : run.leads) leads.push_back(lead.count());
      out += fmt::format(R"({}{{"initial":{},"leads_s":)", out.ends_with('[') ? "" : ",",
                         run.initial.time_since_epoch().count());
      append(out, leads);
      out += ",\"values\":";
      append(out, run.values);
      out += "}";
    }
    out += "]}";
  }
  write_file(path, out + "]}\n");
}

void StationCorrection::load(const std::filesystem::path& path) {
  constexpr std::int64_t far = std::int64_t{1} << 40;
  const std::string name = path.string();
  const nlohmann::json document = parse_json(read_file(path), name, 8);
  const JsonReader root(document, name);
  if (root.text("format") != format) fail(ErrorKind::data, "{}: expected '{}'", root.name("format"), format);
  const bool same_classes = root.integer("lead_class_s", 1, far) == config_.lead_class.count();
  std::vector<Sensor> sensors;
  for (const Sensor& sensor : sensors_)
    sensors.push_back({sensor.variable, SensorQualityControl(default_limits(sensor.variable.observed)), {}, {}});
  for (const auto& item : root.array("sensors", 1000)) {
    const JsonReader read(item, root.name("sensors"));
    const std::string& observed = read.text("observed");
    const std::string& quantity = read.text("quantity");
    for (Sensor& sensor : sensors) {
      if (sensor.variable.observed != observed || sensor.variable.quantity != quantity) continue;
      sensor.quality.restore(floats(read, "departures", 1000));
      if (!same_classes) continue;
      for (const auto& one : read.array("filters", 1000)) {
        const JsonReader filter(one, read.name("filters"));
        BiasFilter::State state;
        exactly(state.bias, filter, "bias");
        exactly(state.covariance, filter, "covariance");
        state.variance = filter.number("variance", 0, 1e30);
        state.last = filter.integer("last", -far, far);
        state.observations = static_cast<std::uint64_t>(filter.integer("observations", 0, far));
        const auto restored = BiasFilter::restore(parameters(observed), state);
        if (!restored) fail(ErrorKind::data, "{}: not a filter's state", filter.name("covariance"));
        sensor.filters.emplace(filter.integer("class", 0, 100'000), *restored);
      }
      for (const auto& one : read.array("runs", 1000)) {
        const JsonReader run(one, read.name("runs"));
        Run kept{Time(Duration(run.integer("initial", -far, far))), {}, floats(run, "values", 10'000)};
        for (const std::int64_t lead : run.integers("leads_s", 0, far, 10'000)) {
          if (!kept.leads.empty() && Duration(lead) <= kept.leads.back())
            fail(ErrorKind::data, "{}: expected ascending leads", run.name("leads_s"));
          kept.leads.emplace_back(lead);
        }
        if (kept.leads.size() != kept.values.size())
          fail(ErrorKind::data, "{}: {} values for {} leads", run.name("values"), kept.values.size(),
               kept.leads.size());
        sensor.runs.push_back(std::move(kept));
      }
    }
  }
  sensors_ = std::move(sensors);
}

}  // namespace zonda::edge
