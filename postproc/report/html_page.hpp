#pragma once
// A page that opens from disk: one file, its own style, no scripts; pictures lie beside it.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zonda::postproc {

/// Text as HTML shows it: & < > " are escaped.
std::string escape_html(std::string_view text);

/// A table; cells are HTML. The first column is left-aligned, the others right-aligned numbers.
struct HtmlTable {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
  bool text_columns = false;  ///< all columns left-aligned
  std::string render() const;
};

class HtmlPage {
 public:
  HtmlPage(std::string title, std::string subtitle) : title_(std::move(title)), subtitle_(std::move(subtitle)) {}
  /// Small facts under the title.
  void fact(const std::string& name, const std::string& value) { facts_.emplace_back(name, value); }
  /// A section with an entry in the page's contents.
  void section(const std::string& id, const std::string& title);
  void html(const std::string& text) { body_ += text; }
  /// A paragraph of plain text.
  void paragraph(std::string_view text, std::string_view css_class = "");
  void picture(const std::string& file, const std::string& alternative, const std::string& caption);
  std::string render(const std::string& footer) const;

 private:
  std::string title_, subtitle_, body_;
  std::vector<std::pair<std::string, std::string>> facts_, contents_;
  bool open_ = false;
};

}  // namespace zonda::postproc
