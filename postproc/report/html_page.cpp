#include "postproc/report/html_page.hpp"

#include <fmt/core.h>

namespace zonda::postproc {
namespace {

constexpr std::string_view style = R"(
:root{color-scheme:light dark;--ink:#1c2430;--muted:#5f6b7a;--line:#e1e5ea;--paper:#ffffff;--panel:#f6f8fa;--accent:#0b5cab;--good:#0a7a4b;--bad:#b3401f}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--muted:#9aa6b5;--line:#2c3440;--paper:#12161c;--panel:#1a2029;--accent:#6fb1f0;--good:#54c491;--bad:#f08a66}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:40px}
h1{font-size:2rem;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:1.3rem;margin:44px 0 12px;padding-top:12px;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:26px 0 8px}
p{margin:8px 0 14px;max-width:75ch}
.subtitle,.note,figcaption{color:var(--muted)}
.note,figcaption{font-size:.9rem}
nav{margin:18px 0 0;display:flex;flex-wrap:wrap;gap:6px 18px;font-size:.95rem}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
dl.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:10px;margin:22px 0 0}
dl.facts div{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:9px 13px;min-width:0}
dl.facts dt{font-size:.78rem;color:var(--muted)}
dl.facts dd{margin:0;font-weight:600;overflow-wrap:anywhere}
.table{overflow-x:auto;margin:10px 0 18px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.94rem;min-width:50%}
th,td{padding:6px 14px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--muted);font-size:.84rem;vertical-align:bottom}
th:first-child,td:first-child{text-align:left;padding-left:2px}
table.text td,table.text th{text-align:left}
table.text td:last-child{white-space:normal;overflow-wrap:anywhere}
tbody tr:hover{background:var(--panel)}
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
.verdict{font-size:1.1rem;border-left:4px solid var(--accent);padding:4px 0 4px 14px;margin:14px 0}
figure{margin:18px 0 26px}
figure img{display:block;max-width:100%;height:auto;background:#fff;border:1px solid var(--line);border-radius:8px;padding:6px}
figcaption{margin-top:6px}
details{margin:10px 0}summary{cursor:pointer;color:var(--accent)}
pre{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:12px 14px;overflow-x:auto;font:13px/1.5 ui-monospace,"DejaVu Sans Mono",monospace}
code{font:.92em ui-monospace,"DejaVu Sans Mono",monospace}
footer{color:var(--muted);font-size:.88rem;padding-top:30px;padding-bottom:40px}
@media (max-width:600px){h1{font-size:1.5rem}header{padding-top:24px}th,td{padding:6px 9px}}
@media print{nav{display:none}figure{break-inside:avoid}}
)";

}  // namespace

std::string escape_html(std::string_view text) {
  std::string result;
  for (const char c : text) switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  return result;
}

std::string HtmlTable::render() const {
  std::string text = text_columns ? "<div class=\"table\"><table class=\"text\">" : "<div class=\"table\"><table>";
  if (!head.empty()) {
    text += "<thead><tr>";
    for (const std::string& cell : head) text += "<th>" + cell + "</th>";
    text += "</tr></thead>";
  }
  text += "\n<tbody>\n";
  for (const auto& row : rows) {
    text += "<tr>";
    for (const std::string& cell : row) text += "<td>" + cell + "</td>";
    text += "</tr>\n";
  }
  return text + "</tbody></table></div>\n";
}

void HtmlPage::section(const std::string& id, const std::string& title) {
  if (open_) body_ += "</section>\n";
  open_ = true;
  contents_.emplace_back(id, title);
  body_ += fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n", id, escape_html(title));
}

void HtmlPage::paragraph(std::string_view text, std::string_view css_class) {
  body_ += css_class.empty() ? "<p>" : fmt::format("<p class=\"{}\">", css_class);
  body_ += escape_html(text) + "</p>\n";
}

void HtmlPage::picture(const std::string& file, const std::string& alternative, const std::string& caption) {
  body_ += fmt::format(
      "<figure><a href=\"{0}\"><img src=\"{0}\" alt=\"{1}\" "
      "loading=\"lazy\"></a><figcaption>{2}</figcaption></figure>\n",
      escape_html(file), escape_html(alternative), escape_html(caption));
}

std::string HtmlPage::render(const std::string& footer) const {
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  page += fmt::format("<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n", escape_html(title_), style);
  page += fmt::format("<header>\n<h1>{}</h1>\n<div class=\"subtitle\">{}</div>\n", escape_html(title_),
                      escape_html(subtitle_));
  if (!facts_.empty()) {
    page += "<dl class=\"facts\">\n";
    for (const auto& [name, value] : facts_)
      page += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escape_html(name), escape_html(value));
    page += "</dl>\n";
  }
  page += "<nav>";
  for (const auto& [id, title] : contents_) page += fmt::format("<a href=\"#{}\">{}</a>", id, escape_html(title));
  page += "</nav>\n</header>\n<main>\n" + body_;
  if (open_) page += "</section>\n";
  return page + fmt::format("</main>\n<footer>{}</footer>\n</body>\n</html>\n", escape_html(footer));
}

}  // namespace zonda::postproc
