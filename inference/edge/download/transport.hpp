#pragma once
// One exchange with a server. The abstract class is what agents, verifiers and simulations see; HTTP is behind it.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace zonda::edge {

struct Request {
  std::string url;
  std::uint64_t offset = 0;         ///< from this byte on (Range); 0: everything
  std::uint64_t maximum_bytes = 0;  ///< of the body that is still to come; more is refused
  std::string etag = {};            ///< If-None-Match; empty: unconditional
};

struct Reply {
  int status = 0;  ///< 200, 206, 304, 404 and the like; never 5xx
  std::string etag = {};
  std::uint64_t offset = 0;                       ///< where the body begins: 0 where the server ignored the range
  std::optional<std::uint64_t> total_bytes = {};  ///< of the whole resource, if the server tells
  std::uint64_t body_bytes = 0;
};

/// Takes a body piece by piece. `reply` is complete but for body_bytes.
using BodySink = std::function<void(const Reply& reply, std::span<const std::byte> piece)>;

class Transport {
 public:
  virtual ~Transport() = default;
  /// Bodies of 200 and 206 go to `sink` alone. Throws Error(temporary): no connection, cut, too slow, 429, 5xx, a range
  /// that was not asked for. Throws Error(data): more bytes than `maximum_bytes`, a refused redirection.
  virtual Reply get(const Request& request, const BodySink& sink) = 0;
  /// Sends a small body. The answer's body is thrown away. Throws as get().
  virtual Reply post(const std::string& url, std::string_view content_type, std::string_view body) = 0;
};

/// A whole small document, at most `maximum_bytes`.
struct Document {
  Reply reply;
  std::string body;
};
Document get_document(Transport& transport, const std::string& url, std::uint64_t maximum_bytes,
                      const std::string& etag = {});

}  // namespace zonda::edge
