#pragma once
// The table of a configuration section: one description reads the file, fills defaults, makes the JSON Schema, the full
// configuration and the reference page.
//
//   struct TrainConfig { int steps = 1000; double learning_rate = 5e-4; };
//   void describe(config::Table& table, TrainConfig& c) {
//     table.key("steps", c.steps, "Optimiser steps").range(1, 1e9);
//     table.key("learning_rate", c.learning_rate, "Peak learning rate").range(0, 1);
//   }
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/config/node.hpp"
#include "core/time.hpp"

namespace zonda::config {

using Json = nlohmann::ordered_json;

class Table;

/// One key. The fluent calls add what is expected of its value.
class Key {
 public:
  Key& required();
  Key& range(double minimum, double maximum);
  Key& one_of(std::vector<std::string> words);
  /// At least this many items (lists).
  Key& at_least(std::size_t items);

 private:
  friend class Table;
  std::string name_, doc_, type_;
  bool required_ = false, is_section_ = false;
  std::optional<double> minimum_, maximum_;
  std::vector<std::string> words_;
  std::size_t least_ = 0;
  std::function<void(const Node&, const std::string& path, std::vector<Fault>&)> read_;
  std::function<Json()> dump_;
  std::function<Json()> schema_;
};

class Table {
 public:
  Key& key(std::string name, bool& value, std::string doc);
  Key& key(std::string name, int& value, std::string doc);
  Key& key(std::string name, std::int64_t& value, std::string doc);
  Key& key(std::string name, std::uint64_t& value, std::string doc);
  Key& key(std::string name, double& value, std::string doc);
  Key& key(std::string name, std::string& value, std::string doc);
  Key& key(std::string name, std::filesystem::path& value, std::string doc);
  Key& key(std::string name, Time& value, std::string doc);
  Key& key(std::string name, Duration& value, std::string doc);
  Key& key(std::string name, std::optional<double>& value, std::string doc);
  Key& key(std::string name, std::optional<int>& value, std::string doc);
  Key& key(std::string name, std::optional<std::string>& value, std::string doc);
  Key& key(std::string name, std::optional<Time>& value, std::string doc);
  Key& key(std::string name, std::optional<Duration>& value, std::string doc);
  Key& key(std::string name, std::vector<int>& value, std::string doc);
  Key& key(std::string name, std::vector<double>& value, std::string doc);
  Key& key(std::string name, std::vector<std::string>& value, std::string doc);
  Key& key(std::string name, std::vector<Time>& value, std::string doc);
  Key& key(std::string name, std::vector<Duration>& value, std::string doc);

  /// A nested map; `describe(Table&, T&)` is found beside T.
  template <class T>
  Key& section(std::string name, T& value, std::string doc) {
    return add_section(std::move(name), std::move(doc), [&value](Table& t) { describe(t, value); });
  }
  /// A nested map that may be absent.
  template <class T>
  Key& section(std::string name, std::optional<T>& value, std::string doc) {
    return add_optional_section(
        std::move(name), std::move(doc),
        [&value](bool present) {
          if (present && !value) value.emplace();
          if (!present) value.reset();
        },
        [&value] { return value.has_value(); }, [&value](Table& t) { describe(t, value ? *value : t.keep<T>()); });
  }
  /// A list of maps.
  template <class T>
  Key& list(std::string name, std::vector<T>& value, std::string doc) {
    return add_list(
        std::move(name), std::move(doc), [&value](std::size_t n) { value.assign(n, T{}); },
        [&value] { return value.size(); },
        [&value](Table& t, std::size_t i) { describe(t, i < value.size() ? value[i] : t.keep<T>()); });
  }
  /// A check across keys, run after all of them were read without a fault. It returns the complaint, or "".
  /// `name` is the key the complaint points at ("" = the section itself).
  void check(std::string name, std::function<std::string()> complaint);

  /// Reads a map into the bound values, appending every fault.
  void read(const Node& node, const std::string& path, std::vector<Fault>& faults) const;
  Json dump() const;    ///< every key with its present value
  Json schema() const;  ///< JSON Schema (draft 2020-12) object
  /// Markdown rows `| key | type | default | meaning |`, nested keys dotted.
  std::string reference(const std::string& prefix = "") const;

 private:
  using Describe = std::function<void(Table&)>;
  Key& add(std::string name, std::string doc);
  Key& add_section(std::string name, std::string doc, Describe describe);
  Key& add_optional_section(std::string name, std::string doc, std::function<void(bool)> make,
                            std::function<bool()> present, Describe describe);
  Key& add_list(std::string name, std::string doc, std::function<void(std::size_t)> resize,
                std::function<std::size_t()> size, std::function<void(Table&, std::size_t)> describe);
  template <class T>
  Key& add_value(std::string name, T& value, std::string doc);

  /// A value with its defaults that lives as long as the table: what a schema describes where there is none.
  template <class T>
  T& keep() {
    auto value = std::make_shared<T>();
    kept_.push_back(value);
    return *value;
  }

  std::vector<std::shared_ptr<void>> kept_;
  std::deque<Key> keys_;
  std::vector<std::pair<std::string, std::function<std::string()>>> checks_;
};

/// Reads a whole document into `value`; throws Error(usage) with all faults at once.
template <class T>
void read(const Node& document, T& value) {
  Table table;
  describe(table, value);
  std::vector<Fault> faults;
  table.read(document, "", faults);
  throw_faults(std::move(faults));
}

template <class T>
Json dump(const T& value) {
  T copy = value;
  Table table;
  describe(table, copy);
  return table.dump();
}

/// `value` as YAML text with every default filled in (config.full.yaml).
std::string to_yaml(const Json& value);

}  // namespace zonda::config
