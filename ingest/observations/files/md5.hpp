#pragma once
#include <string>
#include <string_view>

namespace zonda::ingest {

/// Lower-case hexadecimal MD5 (RFC 1321), which old formats keep of their headers; no guard against intent.
std::string md5(std::string_view bytes);

}  // namespace zonda::ingest
