#include "inference/edge/trust/canonical_json.hpp"

#include <nlohmann/json.hpp>

#include "core/error.hpp"

namespace zonda::edge {
namespace {

void write_text(const std::string& text, std::string& out) {
  out += '"';
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  out += '"';
}

void write(const nlohmann::json& value, std::string& out) {
  switch (value.type()) {
    case nlohmann::json::value_t::object: {
      // nlohmann's objects are sorted by bytes, which for UTF-8 is the order of code points.
      char before = '{';
      for (const auto& [key, member] : value.items()) {
        out += before;
        write_text(key, out);
        out += ':';
        write(member, out);
        before = ',';
      }
      out += value.empty() ? "{}" : "}";
      break;
    }
    case nlohmann::json::value_t::array: {
      char before = '[';
      for (const auto& item : value) {
        out += before;
        write(item, out);
        before = ',';
      }
      out += value.empty() ? "[]" : "]";
      break;
    }
    case nlohmann::json::value_t::string:
      write_text(value.get_ref<const std::string&>(), out);
      break;
    case nlohmann::json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      break;
    case nlohmann::json::value_t::null:
      out += "null";
      break;
    case nlohmann::json::value_t::number_integer:
    case nlohmann::json::value_t::number_unsigned:
      out += value.dump();
      break;
    default:
      fail(ErrorKind::data, "canonical JSON has no numbers with a fraction, found {}", value.dump());
  }
}

}  // namespace

std::string canonical_json(const nlohmann::json& value) {
  std::string out;
  write(value, out);
  return out;
}

}  // namespace zonda::edge
