#include "core/json_reader.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.hpp"

namespace zonda {

using nlohmann::json;

json parse_json(std::string_view text, const std::string& name, int deepest) {
  std::vector<std::set<std::string>> keys;
  std::string fault;
  const auto strict = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth >= deepest && fault.empty()) fault = fmt::format("nested deeper than {} levels", deepest);
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.empty() && fault.empty() &&
        !keys.back().insert(parsed.get<std::string>()).second)
      fault = fmt::format("key '{}' twice in an object", parsed.get<std::string>());
    return true;
  };
  json value;
  try {
    value = json::parse(text, strict);
  } catch (const json::exception& error) {
    fail(ErrorKind::data, "{}: not JSON: {}", name, error.what());
  }
  if (!fault.empty()) fail(ErrorKind::data, "{}: not JSON: {}", name, fault);
  return value;
}

JsonReader::JsonReader(const json& value, std::string name) : value_(value), name_(std::move(name)) {
  if (!value.is_object()) fail(ErrorKind::data, "{}: expected an object, found {}", name_, value.type_name());
}

const json& JsonReader::member(const std::string& key, bool right_kind(const json&), std::string_view kind) const {
  const auto found = value_.find(key);
  if (found == value_.end()) fail(ErrorKind::data, "{}: expected {}, found nothing", name(key), kind);
  if (!right_kind(*found)) fail(ErrorKind::data, "{}: expected {}, found {}", name(key), kind, found->type_name());
  return *found;
}

const std::string& JsonReader::text(const std::string& key) const {
  return member(
             key, [](const json& v) { return v.is_string(); }, "text")
      .get_ref<const std::string&>();
}

const std::string& JsonReader::hexadecimal(const std::string& key, std::size_t digits) const {
  const std::string& word = text(key);
  if (word.size() != digits || word.find_first_not_of("0123456789abcdef") != std::string::npos)
    fail(ErrorKind::data, "{}: expected {} hexadecimal digits", name(key), digits);
  return word;
}

std::int64_t JsonReader::integer(const std::string& key, std::int64_t least, std::int64_t most) const {
  const json& value = member(
      key, [](const json& v) { return v.is_number_integer(); }, "an integer");
  const bool beyond = value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX};
  if (beyond || value.get<std::int64_t>() < least || value.get<std::int64_t>() > most)
    fail(ErrorKind::data, "{}: expected an integer from {} to {}, found {}", name(key), least, most, value.dump());
  return value.get<std::int64_t>();
}

double JsonReader::number(const std::string& key, double least, double most) const {
  const double value = member(
                           key, [](const json& v) { return v.is_number(); }, "a number")
                           .get<double>();
  if (!std::isfinite(value) || value < least || value > most)
    fail(ErrorKind::data, "{}: expected a number from {} to {}, found {}", name(key), least, most, value);
  return value;
}

bool JsonReader::boolean(const std::string& key) const {
  return member(
             key, [](const json& v) { return v.is_boolean(); }, "true or false")
      .get<bool>();
}

const json& JsonReader::array(const std::string& key, std::size_t most) const {
  const json& values = member(
      key, [](const json& v) { return v.is_array(); }, "a list");
  if (values.size() > most) fail(ErrorKind::data, "{}: at most {} items, found {}", name(key), most, values.size());
  return values;
}

std::vector<std::string> JsonReader::texts(const std::string& key, std::size_t most) const {
  const json& values = array(key, most);
  if (!std::all_of(values.begin(), values.end(), [](const json& v) { return v.is_string(); }))
    fail(ErrorKind::data, "{}: expected a list of texts", name(key));
  return values.get<std::vector<std::string>>();
}

std::vector<std::int64_t> JsonReader::integers(const std::string& key, std::int64_t least, std::int64_t most,
                                               std::size_t most_items) const {
  std::vector<std::int64_t> result;
  for (const json& value : array(key, most_items)) {
    const json one{{"item", value}};
    result.push_back(JsonReader(one, name(key)).integer("item", least, most));
  }
  return result;
}

JsonReader JsonReader::object(const std::string& key) const {
  return {member(
              key, [](const json& v) { return v.is_object(); }, "an object"),
          name(key)};
}

}  // namespace zonda
