#pragma once
// A YAML document as Zonda reads it: strict, with the place of everything.
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zonda::config {

/// Where a word stands: `configs/a.yaml:12:3`, or `command line` / `environment` with line 0.
struct Place {
  std::string source;
  int line = 0, column = 0;
  std::string to_string() const;
};

struct Fault {
  Place place;
  std::string path;  ///< dotted key path
  std::string message;
};

/// Throws Error(usage) with one line per fault, in file order; returns if there are none.
void throw_faults(std::vector<Fault> faults);

class Node {
 public:
  enum class Kind { null, scalar, sequence, map };
  // Defined where a pair with a Node is complete.
  Node();
  ~Node();
  Node(const Node&);
  Node(Node&&) noexcept;
  Node& operator=(const Node&);
  Node& operator=(Node&&) noexcept;
  Kind kind = Kind::null;
  Place place;
  std::string scalar;
  bool quoted = false;                                ///< a quoted scalar is a string, whatever it looks like
  std::vector<Node> items;                            ///< sequence
  std::vector<std::pair<std::string, Node>> entries;  ///< map, in file order
  std::vector<Place> key_places;                      ///< of each entry's key
  const Node* find(std::string_view key) const;
};

/// Parses YAML text. Syntax errors, duplicate keys, merge keys (`<<`), anchors, aliases, tags and several documents are
/// faults. Throws Error(usage) with all that were found.
Node parse_yaml(std::string_view text, const std::string& source);
/// Reads a file; Error(usage) if it is missing.
Node read_yaml(const std::filesystem::path& path);
/// Sets `key.path=value` in the document (value is YAML); maps on the way are made. Throws Error(usage).
void apply_override(Node& document, std::string_view assignment, const std::string& source = "command line");
/// Applies every environment variable `ZONDA_A__B=value` as `a.b=value` (double underscore between keys; names without
/// one are not configuration).
void apply_environment(Node& document);

}  // namespace zonda::config
