#include "inference/edge/download/http_transport.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>

#include "core/error.hpp"

namespace zonda::edge {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

/// `bytes 100-199/1000` (RFC 9110, 14.4).
struct ContentRange {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view value) {
  if (!value.starts_with("bytes ")) return std::nullopt;
  value.remove_prefix(6);
  const auto dash = value.find('-'), slash = value.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return std::nullopt;
  const auto first = whole_number(value.substr(0, dash));
  if (!first) return std::nullopt;
  return ContentRange{*first, whole_number(value.substr(slash + 1))};
}

/// One exchange as the callbacks of libcurl see it.
struct Exchange {
  const Request* request = nullptr;
  const BodySink* sink = nullptr;
  const std::function<bool()>* cancelled = nullptr;
  std::uint64_t maximum_rate = 0;  // bytes/s; libcurl's own cap does not hold for short transfers
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  Reply reply{};
  std::optional<std::uint64_t> content_length{};
  std::optional<ContentRange> range{};
  bool body_begun = false;
  std::exception_ptr thrown{};

  bool body_is_wanted() const { return reply.status == 200 || reply.status == 206; }

  void begin_body() {
    body_begun = true;
    reply.offset = 0;
    reply.total_bytes = content_length;
    if (reply.status == 206) {
      if (!range)
        fail(ErrorKind::temporary, "{}: a part of the file without Content-Range (an answer 206 needs one)",
             request->url);
      if (range->first != request->offset)
        fail(ErrorKind::temporary, "{}: asked for the bytes from {} on, the server sent those from {} on", request->url,
             request->offset, range->first);
      reply.offset = range->first;
      reply.total_bytes = range->total;
    }
    if (content_length && *content_length > request->maximum_bytes)
      fail(ErrorKind::data, "{}: {} bytes are announced, at most {} are expected", request->url, *content_length,
           request->maximum_bytes);
  }

  void take(std::span<const std::byte> piece) {
    if (!body_is_wanted()) return;  // the text of an error page
    if (!body_begun) begin_body();
    if (reply.body_bytes + piece.size() > request->maximum_bytes)
      fail(ErrorKind::data, "{}: more than the {} bytes expected", request->url, request->maximum_bytes);
    (*sink)(reply, piece);
    reply.body_bytes += piece.size();
    keep_to_rate();
  }

  bool stopped() const { return cancelled && *cancelled && (*cancelled)(); }

  void keep_to_rate() const {
    if (maximum_rate == 0) return;
    const std::chrono::duration<double> due(static_cast<double>(reply.body_bytes) / static_cast<double>(maximum_rate));
    while (!stopped()) {
      const std::chrono::duration<double> left = due - (std::chrono::steady_clock::now() - began);
      if (left.count() <= 0) return;
      std::this_thread::sleep_for(std::min(left, std::chrono::duration<double>(0.1)));
    }
  }
};

extern "C" std::size_t zonda_curl_header(char* text, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(text, size * count);
  if (line.starts_with("HTTP/")) {  // of each answer on the way through redirections
    exchange.reply = {};
    exchange.content_length.reset();
    exchange.range.reset();
    const auto blank = line.find(' ');
    if (blank != std::string_view::npos)
      exchange.reply.status = static_cast<int>(whole_number(line.substr(blank + 1, 3)).value_or(0));
    return size * count;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return size * count;
  const std::string name = lower(line.substr(0, colon));
  const std::string_view value = trim(line.substr(colon + 1));
  if (name == "etag") exchange.reply.etag = std::string(value.substr(0, 256));
  if (name == "content-length") exchange.content_length = whole_number(value);
  if (name == "content-range") exchange.range = parse_content_range(value);
  return size * count;
}

extern "C" std::size_t zonda_curl_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  try {
    exchange.take(std::as_bytes(std::span(data, size * count)));
    return size * count;
  } catch (...) {
    exchange.thrown = std::current_exception();
    return 0;
  }
}

extern "C" int zonda_curl_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const Exchange*>(user)->stopped() ? 1 : 0;
}

bool temporary_status(int status) {
  return status >= 500 || status == 429 || status == 408 || status == 0;
}

}  // namespace

struct HttpTransport::Session {
  HttpLimits limits;
  CURL* handle = nullptr;
  std::function<bool()> cancelled;
  char reason[CURL_ERROR_SIZE] = {};

  template <class Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode code = curl_easy_setopt(handle, option, value); code != CURLE_OK)
      fail(ErrorKind::failure, "libcurl refuses option {}: {}", static_cast<int>(option), curl_easy_strerror(code));
  }

  void prepare(const std::string& url, Exchange& exchange) {
    curl_easy_reset(handle);
    reason[0] = 0;
    set(CURLOPT_ERRORBUFFER, reason);
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_NOSIGNAL, 1L);
    const char* protocols = "http,https";
    set(CURLOPT_PROTOCOLS_STR, protocols);
    set(CURLOPT_REDIR_PROTOCOLS_STR, url.starts_with("https:") ? "https" : protocols);
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, static_cast<long>(limits.redirections));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect_seconds * 1000));
    set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(limits.minimum_bytes_per_second));
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(limits.slow_seconds)));
    set(CURLOPT_USERAGENT, limits.user_agent.c_str());
    if (!limits.certificate_authorities.empty()) set(CURLOPT_CAINFO, limits.certificate_authorities.c_str());
    set(CURLOPT_HEADERFUNCTION, zonda_curl_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&exchange));
    set(CURLOPT_WRITEFUNCTION, zonda_curl_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&exchange));
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, zonda_curl_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(&exchange));
  }

  Reply perform(Exchange& exchange) {
    const CURLcode code = curl_easy_perform(handle);
    const std::string& url = exchange.request->url;
    if (exchange.thrown) std::rethrow_exception(exchange.thrown);
    if (code == CURLE_OPERATION_TIMEDOUT && exchange.body_begun)
      fail(ErrorKind::temporary, "{}: slower than {} bytes/s for {} s", url, limits.minimum_bytes_per_second,
           limits.slow_seconds);
    if (code == CURLE_ABORTED_BY_CALLBACK) fail(ErrorKind::temporary, "{}: transfer stopped", url);
    if (code == CURLE_TOO_MANY_REDIRECTS || code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT)
      fail(ErrorKind::data, "{}: {}", url, reason[0] ? reason : curl_easy_strerror(code));
    if (code != CURLE_OK) fail(ErrorKind::temporary, "{}: {}", url, reason[0] ? reason : curl_easy_strerror(code));
    if (temporary_status(exchange.reply.status))
      fail(ErrorKind::temporary, "{}: the server answers {}", url, exchange.reply.status);
    if (exchange.body_is_wanted() && !exchange.body_begun) exchange.begin_body();  // an empty one
    return exchange.reply;
  }
};

HttpTransport::HttpTransport(HttpLimits limits) : session_(std::make_unique<Session>()) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  session_->limits = std::move(limits);
  session_->handle = curl_easy_init();
  if (!session_->handle) fail(ErrorKind::failure, "libcurl cannot be started");
}

HttpTransport::~HttpTransport() {
  curl_easy_cleanup(session_->handle);
}

void HttpTransport::set_maximum_rate(std::uint64_t bytes_per_second) {
  session_->limits.maximum_bytes_per_second = bytes_per_second;
}

void HttpTransport::set_cancelled(std::function<bool()> cancelled) {
  session_->cancelled = std::move(cancelled);
}

Reply HttpTransport::get(const Request& request, const BodySink& sink) {
  Exchange exchange{.request = &request,
                    .sink = &sink,
                    .cancelled = &session_->cancelled,
                    .maximum_rate = session_->limits.maximum_bytes_per_second};
  session_->prepare(request.url, exchange);
  const std::string range = fmt::format("{}-", request.offset);
  if (request.offset > 0) session_->set(CURLOPT_RANGE, range.c_str());
  curl_slist* headers = nullptr;
  if (!request.etag.empty()) headers = curl_slist_append(nullptr, ("If-None-Match: " + request.etag).c_str());
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> keep(headers, curl_slist_free_all);
  if (headers) session_->set(CURLOPT_HTTPHEADER, headers);
  return session_->perform(exchange);
}

Reply HttpTransport::post(const std::string& url, std::string_view content_type, std::string_view body) {
  const Request request{.url = url, .maximum_bytes = 65536};
  const BodySink ignore = [](const Reply&, std::span<const std::byte>) {};
  Exchange exchange{.request = &request,
                    .sink = &ignore,
                    .cancelled = &session_->cancelled,
                    .maximum_rate = session_->limits.maximum_bytes_per_second};
  session_->prepare(url, exchange);
  curl_slist* headers = curl_slist_append(nullptr, fmt::format("Content-Type: {}", content_type).c_str());
  headers = curl_slist_append(headers, "Expect:");
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> keep(headers, curl_slist_free_all);
  session_->set(CURLOPT_HTTPHEADER, headers);
  session_->set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  session_->set(CURLOPT_POSTFIELDS, body.data());
  return session_->perform(exchange);
}

}  // namespace zonda::edge
