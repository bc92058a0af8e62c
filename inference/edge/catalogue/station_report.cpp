#include "inference/edge/catalogue/station_report.hpp"

#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "inference/edge/trust/canonical_json.hpp"

namespace zonda::edge {

using nlohmann::json;

std::string StationReport::signed_by(const SecretKey& key) const {
  json part{{"schema", "zonda.report.1"},
            {"station", key.public_key().id()},
            {"time", to_string(time)},
            {"region", region},
            {"hardware", hardware},
            {"model", model},
            {"version", version},
            {"state", state},
            {"tried", tried},
            {"reason", reason}};
  // As text: what is signed must hold no fractions, and what stations add may.
  if (!more.is_null()) part["more"] = more.dump();
  const std::string signature = key.sign(canonical_json(part));
  return json{{"signed", part}, {"key", key.public_key().to_json()}, {"signature", signature}}.dump();
}

StationReport StationReport::parse(std::string_view text) {
  const std::string name = "station report";
  if (text.size() > longest) fail(ErrorKind::data, "{}: more than {} bytes", name, longest);
  const json parsed = parse_json(text, name, 8);
  const JsonReader file(parsed, name);
  const JsonReader part = file.object("signed");
  const PublicKey key = PublicKey::from_json(file.object("key").value(), name);
  if (part.text("schema") != "zonda.report.1") fail(ErrorKind::data, "{}: expected schema zonda.report.1", name);
  if (part.text("station") != key.id())
    fail(ErrorKind::data, "{}: the key is not station {}'s", name, part.text("station"));
  if (!key.verifies(canonical_json(part.value()), file.text("signature")))
    fail(ErrorKind::data, "{}: the signature is wrong", name);
  StationReport report;
  report.station = key.id();
  try {
    report.time = parse_time(part.text("time"));
  } catch (const Error& error) {
    fail(ErrorKind::data, "{}: {}", part.name("time"), error.what());
  }
  report.region = part.text("region");
  report.hardware = part.texts("hardware", 64);
  report.model = part.text("model");
  report.version = part.text("version");
  report.state = part.text("state");
  if (report.state != "healthy" && report.state != "failed" && report.state != "updating")
    fail(ErrorKind::data, "{}: expected healthy, failed or updating, found '{}'", part.name("state"), report.state);
  report.tried = part.text("tried");
  report.reason = part.text("reason");
  if (part.has("more")) report.more = parse_json(part.text("more"), part.name("more"), 16);
  return report;
}

}  // namespace zonda::edge
