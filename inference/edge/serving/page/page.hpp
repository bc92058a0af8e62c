#pragma once
#include <string>
#include <string_view>

namespace zonda::edge::page {

/// The whole page: markup, style and script in one document.
std::string_view html();
/// Allows this page's own style and script, by their SHA-256, and requests to the station; nothing else.
std::string security_policy();

}  // namespace zonda::edge::page
