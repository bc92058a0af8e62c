#pragma once
// Strict reading of JSON that others wrote: no duplicate keys, bounded depth, every wrong member named.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace zonda {

/// UTF-8, one value, keys once in an object, at most `deepest` levels of nesting. Throws Error(data): `NAME: not JSON:
/// reason`.
nlohmann::json parse_json(std::string_view text, const std::string& name, int deepest = 32);

/// A view of an object; members are asked for by name and kind. Throws Error(data): `NAME: member: expected ..., found
/// ...`. The object must outlive the view.
class JsonReader {
 public:
  JsonReader(const nlohmann::json& value, std::string name);

  bool has(const std::string& key) const { return value_.contains(key); }
  const std::string& text(const std::string& key) const;
  /// Lower-case hexadecimal digits, `digits` of them.
  const std::string& hexadecimal(const std::string& key, std::size_t digits) const;
  std::int64_t integer(const std::string& key, std::int64_t least, std::int64_t most) const;
  double number(const std::string& key, double least, double most) const;
  bool boolean(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key, std::size_t most) const;
  std::vector<std::int64_t> integers(const std::string& key, std::int64_t least, std::int64_t most,
                                     std::size_t most_items) const;
  JsonReader object(const std::string& key) const;
  const nlohmann::json& array(const std::string& key, std::size_t most) const;
  /// What a member is, for messages: `file.json: roles.root`.
  std::string name(const std::string& key) const { return name_ + ": " + key; }
  const nlohmann::json& value() const { return value_; }

 private:
  const nlohmann::json& member(const std::string& key, bool right_kind(const nlohmann::json&),
                               std::string_view kind) const;
  const nlohmann::json& value_;
  std::string name_;
};

}  // namespace zonda
