#include "core/config/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/error.hpp"

namespace zonda::config {
namespace {

std::string kind_of(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return fmt::format("'{}'", node.scalar);
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "";
}

/// Digits that YAML 1.1 would read as octal, or that hide a typing error.
bool has_leading_zero(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  return text.size() > 1 && text.front() == '0' && text[1] >= '0' && text[1] <= '9';
}

template <class T>
struct Reader;

/// A failed reading: what was expected.
struct Mismatch {
  std::string expected;
  const Node* item = nullptr;  // of a list, where that is what is wrong
  std::size_t index = 0;
};

[[noreturn]] void mismatch(std::string expected) {
  throw Mismatch{.expected = std::move(expected)};
}

const std::string& plain(const Node& node, const char* expected) {
  if (node.kind != Node::Kind::scalar || node.quoted) mismatch(expected);
  return node.scalar;
}

template <>
struct Reader<bool> {
  static constexpr const char* type = "boolean";
  static void read(const Node& node, bool& value) {
    const std::string& text = plain(node, "true or false");
    if (text != "true" && text != "false") mismatch("true or false");
    value = text == "true";
  }
  static Json dump(bool value) { return value; }
  static Json schema() { return {{"type", "boolean"}}; }
};

template <class I>
struct IntegerReader {
  static constexpr const char* type = "integer";
  static void read(const Node& node, I& value) {
    const char* const expected = std::is_signed_v<I> ? "a whole number" : "a whole number, not negative";
    const std::string& text = plain(node, expected);
    I parsed{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (has_leading_zero(text)) mismatch("a whole number without leading zeros");
    if (error == std::errc::result_out_of_range) {
      mismatch(
          fmt::format("a whole number from {} to {}", std::numeric_limits<I>::min(), std::numeric_limits<I>::max()));
    }
    if (error != std::errc() || end != text.data() + text.size()) mismatch(expected);
    value = parsed;
  }
  static Json dump(I value) { return value; }
  static Json schema() {
    Json schema{{"type", "integer"}};
    if (!std::is_signed_v<I>) schema["minimum"] = 0;
    return schema;
  }
};
template <>
struct Reader<int> : IntegerReader<int> {};
template <>
struct Reader<std::int64_t> : IntegerReader<std::int64_t> {};
template <>
struct Reader<std::uint64_t> : IntegerReader<std::uint64_t> {};

template <>
struct Reader<double> {
  static constexpr const char* type = "number";
  static void read(const Node& node, double& value) {
    const std::string& text = plain(node, "a number");
    std::string_view figures = text;
    if (figures.starts_with('+') && !figures.starts_with("+-")) figures.remove_prefix(1);
    double parsed = 0;
    const auto [end, error] = std::from_chars(figures.data(), figures.data() + figures.size(), parsed);
    if (has_leading_zero(text)) mismatch("a number without leading zeros");
    if (error != std::errc() || end != figures.data() + figures.size() || !std::isfinite(parsed)) mismatch("a number");
    value = parsed;
  }
  static Json dump(double value) { return value; }
  static Json schema() { return {{"type", "number"}}; }
};

template <>
struct Reader<std::string> {
  static constexpr const char* type = "string";
  static void read(const Node& node, std::string& value) {
    if (node.kind != Node::Kind::scalar) mismatch("text");
    value = node.scalar;
  }
  static Json dump(const std::string& value) { return value; }
  static Json schema() { return {{"type", "string"}}; }
};

template <>
struct Reader<std::filesystem::path> {
  static constexpr const char* type = "path";
  static void read(const Node& node, std::filesystem::path& value) {
    if (node.kind != Node::Kind::scalar) mismatch("a path");
    value = node.scalar;
  }
  static Json dump(const std::filesystem::path& value) { return value.string(); }
  static Json schema() { return {{"type", "string"}, {"format", "path"}}; }
};

template <>
struct Reader<Time> {
  static constexpr const char* type = "date";
  static void read(const Node& node, Time& value) {
    if (node.kind != Node::Kind::scalar) mismatch("a date such as 2018-10-06T18:00:00Z");
    try {
      value = parse_time(node.scalar);
    } catch (const Error&) {
      mismatch("a date in UTC such as 2018-10-06 or 2018-10-06T18:00:00Z");
    }
  }
  static Json dump(Time value) { return to_string(value); }
  static Json schema() { return {{"type", "string"}, {"format", "date-time"}}; }
};

template <>
struct Reader<Duration> {
  static constexpr const char* type = "duration";
  static void read(const Node& node, Duration& value) {
    if (node.kind != Node::Kind::scalar) mismatch("a duration such as 6h or 10d");
    try {
      value = parse_duration(node.scalar);
    } catch (const Error&) {
      mismatch("a duration such as 6h, 30min, 10d or PT6H");
    }
  }
  static Json dump(Duration value) { return to_string(value); }
  static Json schema() {
    return {{"type", "string"}, {"pattern", "^([0-9]+(s|min|h|d)|P([0-9]+[DW])*(T([0-9]+[HMS])+)?)$"}};
  }
};

template <class T>
struct Reader<std::optional<T>> {
  static constexpr const char* type = Reader<T>::type;
  static void read(const Node& node, std::optional<T>& value) {
    if (node.kind == Node::Kind::null) {
      value.reset();
      return;
    }
    T parsed{};
    Reader<T>::read(node, parsed);
    value = parsed;
  }
  static Json dump(const std::optional<T>& value) { return value ? Reader<T>::dump(*value) : Json(nullptr); }
  static Json schema() {
    Json schema = Reader<T>::schema();
    schema["type"] = Json::array({schema["type"], "null"});
    return schema;
  }
};

template <class T>
struct Reader<std::vector<T>> {
  static constexpr const char* type = "list";
  static void read(const Node& node, std::vector<T>& value) {
    if (node.kind != Node::Kind::sequence) mismatch(fmt::format("a list of {}s, such as [a, b]", Reader<T>::type));
    std::vector<T> parsed;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      T element{};
      try {
        Reader<T>::read(node.items[i], element);
      } catch (const Mismatch& wrong) {
        throw Mismatch{wrong.expected, &node.items[i], i};
      }
      parsed.push_back(std::move(element));
    }
    value = std::move(parsed);
  }
  static Json dump(const std::vector<T>& value) {
    Json list = Json::array();
    for (const T& element : value) list.push_back(Reader<T>::dump(element));
    return list;
  }
  static Json schema() { return {{"type", "array"}, {"items", Reader<T>::schema()}}; }
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string as_text(double value) {
  return fmt::format("{:g}", value);
}

std::string below(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

}  // namespace

Key& Key::required() {
  required_ = true;
  return *this;
}
Key& Key::range(double minimum, double maximum) {
  minimum_ = minimum;
  maximum_ = maximum;
  return *this;
}
Key& Key::one_of(std::vector<std::string> words) {
  words_ = std::move(words);
  return *this;
}
Key& Key::at_least(std::size_t items) {
  least_ = items;
  return *this;
}

Key& Table::add(std::string name, std::string doc) {
  Key& key = keys_.emplace_back();
  key.name_ = std::move(name);
  key.doc_ = std::move(doc);
  return key;
}

template <class T>
Key& Table::add_value(std::string name, T& value, std::string doc) {
  Key& key = add(std::move(name), std::move(doc));
  key.type_ = Reader<T>::type;
  key.read_ = [&value, &key](const Node& node, const std::string& path, std::vector<Fault>& faults) {
    const auto complain = [&](const Place& place, std::string message, std::optional<std::size_t> item = {}) {
      faults.push_back(Fault{place, item ? fmt::format("{}[{}]", path, *item) : path, std::move(message)});
    };
    try {
      Reader<T>::read(node, value);
    } catch (const Mismatch& wrong) {
      if (wrong.item != nullptr) {
        return complain(wrong.item->place, fmt::format("expected {}, found {}", wrong.expected, kind_of(*wrong.item)),
                        wrong.index);
      }
      return complain(node.place, fmt::format("expected {}, found {}", wrong.expected, kind_of(node)));
    }
    const auto check = [&](const Json& json, const Place& place, std::optional<std::size_t> item = {}) {
      if (json.is_number()) {
        const auto number = json.get<double>();
        if ((key.minimum_ && number < *key.minimum_) || (key.maximum_ && number > *key.maximum_)) {
          complain(place,
                   fmt::format("expected {} to {}, found {}", as_text(*key.minimum_), as_text(*key.maximum_),
                               as_text(number)),
                   item);
        }
      }
      if (json.is_string() && !key.words_.empty()) {
        const auto word = json.get<std::string>();
        if (std::find(key.words_.begin(), key.words_.end(), word) == key.words_.end()) {
          complain(place, unknown_word("value", word, key.words_), item);
        }
      }
    };
    const Json json = Reader<T>::dump(value);
    if (json.is_array()) {
      if (json.size() < key.least_) {
        complain(node.place, fmt::format("expected at least {} items, found {}", key.least_, json.size()));
      }
      for (std::size_t i = 0; i < json.size(); ++i) check(json[i], node.items[i].place, i);
    } else {
      check(json, node.place);
    }
  };
  key.dump_ = [&value] { return Reader<T>::dump(value); };
  key.schema_ = [&key] {
    Json schema = Reader<T>::schema();
    Json& target = schema.contains("items") ? schema["items"] : schema;
    if (key.minimum_) {
      target["minimum"] = *key.minimum_;
      target["maximum"] = *key.maximum_;
    }
    if (!key.words_.empty()) target["enum"] = key.words_;
    if (key.least_ > 0) schema["minItems"] = key.least_;
    return schema;
  };
  return key;
}

// NOLINTNEXTLINE(bugprone-macro-parentheses): T is a type
#define ZONDA_KEY(T)                                             \
  Key& Table::key(std::string name, T& value, std::string doc) { \
    return add_value(std::move(name), value, std::move(doc));    \
  }
ZONDA_KEY(bool)
ZONDA_KEY(int)
ZONDA_KEY(std::int64_t)
ZONDA_KEY(std::uint64_t)
ZONDA_KEY(double)
ZONDA_KEY(std::string)
ZONDA_KEY(std::filesystem::path)
ZONDA_KEY(Time)
ZONDA_KEY(Duration)
ZONDA_KEY(std::optional<double>)
ZONDA_KEY(std::optional<int>)
ZONDA_KEY(std::optional<std::string>)
ZONDA_KEY(std::optional<Time>)
ZONDA_KEY(std::optional<Duration>)
ZONDA_KEY(std::vector<int>)
ZONDA_KEY(std::vector<double>)
ZONDA_KEY(std::vector<std::string>)
ZONDA_KEY(std::vector<Time>)
ZONDA_KEY(std::vector<Duration>)
#undef ZONDA_KEY

Key& Table::add_section(std::string name, std::string doc, Describe describe) {
  Key& key = add(std::move(name), std::move(doc));
  key.type_ = "map";
  key.is_section_ = true;
  key.read_ = [describe](const Node& node, const std::string& path, std::vector<Fault>& faults) {
    Table table;
    describe(table);
    table.read(node, path, faults);
  };
  key.dump_ = [describe] {
    Table table;
    describe(table);
    return table.dump();
  };
  key.schema_ = [describe = std::move(describe)] {
    Table table;
    describe(table);
    return table.schema();
  };
  return key;
}

Key& Table::add_optional_section(std::string name, std::string doc, std::function<void(bool)> make,
                                 std::function<bool()> present, Describe describe) {
  Key& key = add_section(std::move(name), std::move(doc), describe);
  key.read_ = [describe, make = std::move(make)](const Node& node, const std::string& path,
                                                 std::vector<Fault>& faults) {
    make(true);
    Table table;
    describe(table);
    table.read(node, path, faults);
  };
  key.dump_ = [describe = std::move(describe), present = std::move(present)]() -> Json {
    if (!present()) return nullptr;
    Table table;
    describe(table);
    return table.dump();
  };
  return key;
}

Key& Table::add_list(std::string name, std::string doc, std::function<void(std::size_t)> resize,
                     std::function<std::size_t()> size, std::function<void(Table&, std::size_t)> describe) {
  Key& key = add(std::move(name), std::move(doc));
  key.type_ = "list of maps";
  key.is_section_ = true;
  key.read_ = [describe, resize = std::move(resize), &key](const Node& node, const std::string& path,
                                                           std::vector<Fault>& faults) {
    if (node.kind != Node::Kind::sequence) {
      faults.push_back(Fault{node.place, path, fmt::format("expected a list of maps, found {}", kind_of(node))});
      return;
    }
    if (node.items.size() < key.least_) {
      faults.push_back(
          Fault{node.place, path, fmt::format("expected at least {} items, found {}", key.least_, node.items.size())});
    }
    resize(node.items.size());
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      Table table;
      describe(table, i);
      table.read(node.items[i], fmt::format("{}[{}]", path, i), faults);
    }
  };
  key.dump_ = [describe, size = std::move(size)] {
    Json list = Json::array();
    for (std::size_t i = 0; i < size(); ++i) {
      Table table;
      describe(table, i);
      list.push_back(table.dump());
    }
    return list;
  };
  key.schema_ = [describe = std::move(describe), &key] {
    Table table;
    describe(table, std::numeric_limits<std::size_t>::max());
    Json schema{{"type", "array"}, {"items", table.schema()}};
    if (key.least_ > 0) schema["minItems"] = key.least_;
    return schema;
  };
  return key;
}

void Table::check(std::string name, std::function<std::string()> complaint) {
  checks_.emplace_back(std::move(name), std::move(complaint));
}

void Table::read(const Node& node, const std::string& path, std::vector<Fault>& faults) const {
  if (node.kind == Node::Kind::null) {
    for (const Key& key : keys_) {
      if (key.required_) faults.push_back(Fault{node.place, below(path, key.name_), "required key is missing"});
    }
    return;
  }
  if (node.kind != Node::Kind::map) {
    faults.push_back(Fault{node.place, path, fmt::format("expected a map of keys, found {}", kind_of(node))});
    return;
  }
  const std::size_t before = faults.size();
  std::vector<std::string> names;
  for (const Key& key : keys_) names.push_back(key.name_);
  for (std::size_t i = 0; i < node.entries.size(); ++i) {
    const auto& [name, value] = node.entries[i];
    const auto found =
        std::find_if(keys_.begin(), keys_.end(), [&word = name](const Key& key) { return key.name_ == word; });
    if (found == keys_.end()) {
      faults.push_back(Fault{node.key_places[i], below(path, name), unknown_word("key", name, names)});
    } else {
      found->read_(value, below(path, name), faults);
    }
  }
  for (const Key& key : keys_) {
    if (key.required_ && node.find(key.name_) == nullptr) {
      faults.push_back(Fault{node.place, below(path, key.name_), "required key is missing"});
    }
  }
  if (faults.size() != before) return;
  for (const auto& [name, complaint] : checks_) {
    std::string message;
    try {
      message = complaint();
    } catch (const Error& error) {
      message = error.what();
    }
    if (message.empty()) continue;
    const Node* at = name.empty() ? nullptr : node.find(name);
    faults.push_back(Fault{at == nullptr ? node.place : at->place, name.empty() ? path : below(path, name), message});
  }
}

Json Table::dump() const {
  Json json = Json::object();
  for (const Key& key : keys_) {
    Json value = key.dump_();
    if (!value.is_null()) json[key.name_] = std::move(value);
  }
  return json;
}

Json Table::schema() const {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Key& key : keys_) {
    Json schema = key.schema_();
    schema["description"] = key.doc_;
    if (!key.is_section_ && !key.required_) {
      if (Json value = key.dump_(); !value.is_null()) schema["default"] = std::move(value);
    }
    properties[key.name_] = std::move(schema);
    if (key.required_) required.push_back(key.name_);
  }
  Json json{{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  if (!required.empty()) json["required"] = std::move(required);
  return json;
}

namespace {

void reference_rows(const Json& schema, const std::string& prefix, std::string& out) {
  const Json& properties = schema["properties"];
  for (const auto& [name, property] : properties.items()) {
    const bool is_list = property.value("type", Json()) == "array" && property["items"].contains("properties");
    const bool is_map = property.contains("properties");
    const std::string path = below(prefix, name);
    std::string type = is_map                        ? "map"
                       : is_list                     ? "list of maps"
                       : property["type"].is_array() ? property["type"][0]
                                                     : property["type"];
    if (property.contains("format")) type = property["format"];
    if (property.contains("pattern")) type = "duration";
    const Json& limits = property.contains("items") ? property["items"] : property;
    if (property.contains("items") && !is_list) type = "list of " + limits["type"].get<std::string>();
    if (limits.contains("enum")) type = joined(limits["enum"].get<std::vector<std::string>>());
    if (limits.contains("maximum")) {
      type +=
          fmt::format(" {} to {}", as_text(limits["minimum"].get<double>()), as_text(limits["maximum"].get<double>()));
    }
    bool required = false;
    if (schema.contains("required")) {
      for (const Json& key : schema["required"]) required = required || key == name;
    }
    const std::string value = property.contains("default") ? "`" + property["default"].dump() + "`"
                              : required                   ? "required"
                                                           : "";
    out += fmt::format("| `{}` | {} | {} | {} |\n", path, type, value, property.value("description", ""));
    if (is_map) reference_rows(property, path, out);
    if (is_list) reference_rows(property["items"], path + "[]", out);
  }
}

void emit(const Json& value, int indent, std::string& out) {
  const std::string pad(static_cast<std::size_t>(indent), ' ');
  for (const auto& [name, item] : value.items()) {
    if (item.is_object() && !item.empty()) {
      out += pad + name + ":\n";
      emit(item, indent + 2, out);
    } else if (item.is_array() && !item.empty() && item[0].is_object()) {
      out += pad + name + ":\n";
      for (const Json& element : item) {
        std::string block;
        emit(element, indent + 4, block);
        if (block.empty()) block = std::string(static_cast<std::size_t>(indent) + 4, ' ') + "{}\n";
        block[static_cast<std::size_t>(indent) + 2] = '-';
        out += block;
      }
    } else {
      out += pad + name + ": " + item.dump() + "\n";  // JSON scalars and flow lists are YAML
    }
  }
}

}  // namespace

std::string Table::reference(const std::string& prefix) const {
  std::string out;
  reference_rows(schema(), prefix, out);
  return out;
}

std::string to_yaml(const Json& value) {
  std::string out;
  emit(value, 0, out);
  return out;
}

}  // namespace zonda::config
