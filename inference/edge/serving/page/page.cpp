#include "inference/edge/serving/page/page.hpp"

#include "core/checksum.hpp"
#include "inference/edge/serving/base64.hpp"
#include "station_page.hpp"

namespace zonda::edge::page {
namespace {

/// What stands between two marks, as browsers hash it.
std::string hash_of(std::string_view begin, std::string_view end) {
  const std::string_view text = html();
  const std::size_t from = text.find(begin) + begin.size();
  const std::string hexadecimal = sha256(text.substr(from, text.find(end, from) - from));
  std::string bytes;
  for (std::size_t i = 0; i < hexadecimal.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16));
  return "'sha256-" + base64(bytes) + "'";
}

}  // namespace

std::string_view html() {
  static const std::string whole = [] {
    std::string text;
    for (const std::string_view piece : generated::pieces) text += piece;
    return text;
  }();
  return whole;
}

std::string security_policy() {
  static const std::string policy =
      "default-src 'none'; script-src " + hash_of("<script>", "</script>") + "; style-src " +
      hash_of("<style>", "</style>") +
      "; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return policy;
}

}  // namespace zonda::edge::page
