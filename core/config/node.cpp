#include "core/config/node.hpp"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/emitterstyle.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cctype>
#include <sstream>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration): unistd.h has it only as a GNU extension

namespace zonda::config {
namespace {

constexpr int deepest = 64;

/// Builds Nodes from the parser's events, which still show duplicate keys, tags, anchors and aliases.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view text, std::string source, std::vector<Fault>& faults)
      : source_(std::move(source)), faults_(faults) {
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      lines_.push_back(text.substr(0, end));
      text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    Node node;
    node.place = place(mark);
    add(std::move(node));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    fault(place(mark), "aliases (*name) are not supported; write the value again");
    add(Node{});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    Node node;
    node.kind = Node::Kind::scalar;
    node.place = place(mark);
    node.scalar = value;
    node.quoted = tag == "!";
    if (node.quoted) require_closed_quote(node.place);
    if (!node.quoted && (value == "~" || value == "null" || value == "Null" || value == "NULL" || value.empty())) {
      node.kind = Node::Kind::null;
    }
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    open(Node::Kind::sequence, mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    open(Node::Kind::map, mark);
  }
  void OnMapEnd() override { close(); }

  Node take() { return std::move(root_); }

 private:
  struct Open {
    Node node;
    bool has_key = false;
    std::string key;
    Place key_place;
  };

  Place place(const YAML::Mark& mark) const { return Place{source_, mark.line + 1, mark.column + 1}; }
  void fault(const Place& where, std::string message) { faults_.push_back(Fault{where, path(), std::move(message)}); }
  std::string path() const {
    std::string text;
    for (const Open& level : open_) {
      if (level.node.kind == Node::Kind::map && level.has_key) text += (text.empty() ? "" : ".") + level.key;
    }
    return text;
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) fault(place(mark), "anchors (&name) are not supported; write the value again");
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    // yaml-cpp gives quoted scalars the non-specific tag "!", plain ones "?".
    if (!tag.empty() && tag != "?" && tag != "!") fault(place(mark), fmt::format("tags ({}) are not supported", tag));
  }
  /// yaml-cpp takes the rest of the file where a closing quote is missing.
  void require_closed_quote(const Place& where) {
    const auto line = static_cast<std::size_t>(where.line - 1), column = static_cast<std::size_t>(where.column - 1);
    if (line >= lines_.size() || column >= lines_[line].size()) return;
    const std::string_view text = lines_[line].substr(column);
    const char quote = text.front();
    if (quote != '\'' && quote != '"') return;
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (quote == '"' && text[i] == '\\') {
        ++i;
      } else if (text[i] == quote) {
        if (quote == '"' || i + 1 >= text.size() || text[i + 1] != quote) return;
        ++i;  // '' is a quote within single quotes
      }
    }
    fault(where, fmt::format("the quote ({}) is not closed on its line", quote));
  }
  void open(Node::Kind kind, const YAML::Mark& mark) {
    if (static_cast<int>(open_.size()) >= deepest) {
      throw YAML::ParserException(mark, fmt::format("nested more than {} levels deep", deepest));
    }
    Open level;
    level.node.kind = kind;
    level.node.place = place(mark);
    open_.push_back(std::move(level));
  }
  void close() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }
  void add(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& level = open_.back();
    if (level.node.kind == Node::Kind::sequence) {
      level.node.items.push_back(std::move(node));
      return;
    }
    if (!level.has_key) {
      if (node.kind == Node::Kind::sequence || node.kind == Node::Kind::map) {
        fault(node.place, "a key must be a word, not a list or map");
      }
      level.key = node.scalar;
      level.key_place = node.place;
      if (level.key == "<<") fault(node.place, "merge keys (<<) are not supported; write the keys out");
      level.has_key = true;
      return;
    }
    level.has_key = false;
    for (std::size_t i = 0; i < level.node.entries.size(); ++i) {
      if (level.node.entries[i].first == level.key) {
        const std::string parent = path();
        faults_.push_back(Fault{
            level.key_place, (parent.empty() ? "" : parent + ".") + level.key,
            fmt::format("duplicate key '{}'; it stands in line {} already", level.key, level.node.key_places[i].line)});
      }
    }
    level.node.entries.emplace_back(std::move(level.key), std::move(node));
    level.node.key_places.push_back(level.key_place);
    level.key.clear();
  }

  std::string source_;
  std::vector<Fault>& faults_;
  std::vector<std::string_view> lines_;
  std::vector<Open> open_;
  Node root_;
};

/// The first byte of `text` that is no UTF-8, or the text's length.
std::size_t first_bad_byte(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = at(i);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    if (length == 0) return i;
    for (std::size_t k = 1; k < length; ++k)
      if ((at(i + k) & 0xC0U) != 0x80U) return i;
    // Not the shortest form, a surrogate, or beyond Unicode.
    const unsigned second = at(i + 1);
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
        (lead == 0xF4 && second > 0x8F))
      return i;
    i += length;
  }
  return text.size();
}

Place place_of(std::string_view text, std::size_t byte, const std::string& source) {
  const std::string_view before = text.substr(0, byte);
  const std::size_t line_begin = before.find_last_of('\n') + 1;  // npos + 1 is 0
  return Place{source, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
               static_cast<int>(byte - line_begin) + 1};
}

Node& find_or_add(Node& map, const std::string& key, const Place& place) {
  if (map.kind != Node::Kind::map) {
    map = Node{};
    map.kind = Node::Kind::map;
    map.place = place;
  }
  for (auto& [name, node] : map.entries) {
    if (name == key) return node;
  }
  map.entries.emplace_back(key, Node{});
  map.key_places.push_back(place);
  map.entries.back().second.place = place;
  return map.entries.back().second;
}

void stamp(Node& node, const Place& place) {
  node.place = place;
  for (Place& key : node.key_places) key = place;
  for (Node& item : node.items) stamp(item, place);
  for (auto& entry : node.entries) stamp(entry.second, place);
}

/// Indices address list items: `ingest.sources.0.path=...`.
Node& step_into(Node& node, const std::string& key, const Place& place) {
  if (node.kind == Node::Kind::sequence) {
    const bool is_index = !key.empty() && key.size() < 6 &&
                          std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isdigit(c); });
    if (is_index && static_cast<std::size_t>(std::stoi(key)) < node.items.size()) {
      return node.items[static_cast<std::size_t>(std::stoi(key))];
    }
    fail(ErrorKind::usage, "{}: '{}' is not an index of a list of {} items", place.to_string(), key, node.items.size());
  }
  if (node.kind == Node::Kind::scalar) {
    fail(ErrorKind::usage, "{}: '{}' ({}) is not a map: it has no '{}'", place.to_string(), node.scalar,
         node.place.to_string(), key);
  }
  return find_or_add(node, key, place);
}

}  // namespace

std::string Place::to_string() const {
  return line == 0 ? source : fmt::format("{}:{}:{}", source, line, column);
}

void throw_faults(std::vector<Fault> faults) {
  if (faults.empty()) return;
  std::stable_sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
  std::string message;
  for (const Fault& f : faults) {
    if (!message.empty()) message += '\n';
    message += f.place.to_string() + ": ";
    if (!f.path.empty()) message += f.path + ": ";
    message += f.message;
  }
  throw Error(ErrorKind::usage, message);
}

Node::Node() = default;
Node::~Node() = default;
Node::Node(const Node&) = default;
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(const Node&) = default;
Node& Node::operator=(Node&&) noexcept = default;

const Node* Node::find(std::string_view key) const {
  for (const auto& [name, node] : entries) {
    if (name == key) return &node;
  }
  return nullptr;
}

Node parse_yaml(std::string_view text, const std::string& source) {
  std::vector<Fault> faults;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // byte order mark
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    throw_faults({Fault{place_of(text, zero, source), "", "not a text file: it holds a zero byte"}});
  }
  if (const std::size_t bad = first_bad_byte(text); bad != text.size()) {
    throw_faults({Fault{place_of(text, bad, source), "", "not UTF-8 text"}});
  }
  Builder builder(text, source, faults);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    const bool any = parser.HandleNextDocument(builder);
    if (any && parser.HandleNextDocument(builder)) {
      faults.push_back(
          Fault{Place{source, 1, 1}, "", "several documents in one file; expected one (remove the '---' lines)"});
    }
  } catch (const YAML::Exception& error) {
    faults.push_back(Fault{Place{source, std::max(0, error.mark.line) + 1, std::max(0, error.mark.column) + 1}, "",
                           "YAML syntax: " + error.msg});
  }
  throw_faults(std::move(faults));
  return builder.take();
}

Node read_yaml(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) fail(ErrorKind::usage, "{}: no such file", path.string());
  if (std::filesystem::is_directory(path, error))
    fail(ErrorKind::usage, "{}: a folder, expected a YAML file", path.string());
  return parse_yaml(read_file(path), path.string());
}

void apply_override(Node& document, std::string_view assignment, const std::string& source) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    fail(ErrorKind::usage, "{}: '{}' is not an override; expected key.path=value", source, assignment);
  }
  const Place place{source + " '" + std::string(assignment) + "'", 0, 0};
  Node value = parse_yaml(assignment.substr(equals + 1), source);
  stamp(value, place);
  // A document that is no map is the reader's to refuse: it names the file.
  if (document.kind == Node::Kind::scalar || document.kind == Node::Kind::sequence) return;
  Node* node = &document;
  std::string_view path = assignment.substr(0, equals);
  for (bool more = true; more;) {
    const std::size_t dot = path.find('.');
    const std::string key(path.substr(0, dot));
    if (key.empty()) fail(ErrorKind::usage, "{}: empty key in '{}'", source, assignment);
    node = &step_into(*node, key, place);
    more = dot != std::string_view::npos;
    if (more) path.remove_prefix(dot + 1);
  }
  *node = std::move(value);
}

void apply_environment(Node& document) {
  std::vector<std::string> assignments;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (!text.starts_with("ZONDA_") || equals == std::string_view::npos) continue;
    std::string name(text.substr(6, equals - 6));
    if (name.find("__") == std::string::npos) continue;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (std::size_t at = name.find("__"); at != std::string::npos; at = name.find("__")) name.replace(at, 2, ".");
    assignments.push_back(name + std::string(text.substr(equals)));
  }
  std::sort(assignments.begin(), assignments.end());
  for (const std::string& assignment : assignments) apply_override(document, assignment, "environment");
}

}  // namespace zonda::config
