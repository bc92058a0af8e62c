#include "inference/edge/download/transport.hpp"

namespace zonda::edge {

Document get_document(Transport& transport, const std::string& url, std::uint64_t maximum_bytes,
                      const std::string& etag) {
  Document document;
  document.reply = transport.get({.url = url, .maximum_bytes = maximum_bytes, .etag = etag},
                                 [&document](const Reply&, std::span<const std::byte> piece) {
                                   document.body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
                                 });
  return document;
}

}  // namespace zonda::edge
