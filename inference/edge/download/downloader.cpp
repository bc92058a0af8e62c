#include "inference/edge/download/downloader.hpp"

#include "core/error.hpp"
#include "core/log.hpp"

namespace zonda::edge {

Downloader::Downloader(Transport& transport, ContentStore& store, Clock& clock, DownloadPolicy policy,
                       std::string station)
    : transport_(transport),
      store_(store),
      clock_(clock),
      policy_(std::move(policy)),
      backoff_(policy_.backoff, station + ", transfers") {}

void Downloader::require_room(std::span<const Content> contents) const {
  std::uint64_t needed = 0;
  for (const Content& content : contents) {
    if (store_.has(content.sha256)) continue;
    const std::uint64_t here = store_.partial_bytes(content.sha256);
    needed += content.bytes > here ? content.bytes - here : 0;
  }
  const std::uint64_t available = store_.free_bytes();
  if (needed > 0 && available < needed + policy_.reserve_bytes)
    fail(ErrorKind::failure, "{}: {:.1f} MB free, {:.1f} MB needed for the download and {:.1f} MB kept in reserve",
         store_.root().string(), 1e-6 * static_cast<double>(available), 1e-6 * static_cast<double>(needed),
         1e-6 * static_cast<double>(policy_.reserve_bytes));
}

void Downloader::fetch(const Content& content, const Progress& progress, const std::function<bool()>& cancelled) {
  if (store_.has(content.sha256)) return;
  if (content.bytes == 0) return store_.put(content.sha256, "");
  PartialFile file(store_, content.sha256, policy_.chunk_bytes);
  if (file.bytes() > content.bytes) file.restart();
  const bool resumed = file.bytes() > 0;
  receive(file, content, progress, cancelled);
  try {
    file.commit();
  } catch (const Error& error) {
    // What an earlier transfer left may have been at fault: once more, from the first byte.
    if (error.kind() != ErrorKind::data || !resumed) throw;
    log::warning("{}; fetched again from the first byte", error.what());
    receive(file, content, progress, cancelled);
    file.commit();
  }
}

void Downloader::receive(PartialFile& file, const Content& content, const Progress& progress,
                         const std::function<bool()>& cancelled) {
  backoff_.succeeded();
  while (file.bytes() < content.bytes) {
    if (cancelled && cancelled()) fail(ErrorKind::temporary, "{}: transfer stopped", content.url);
    if (!policy_.window.open(clock_.utc()))
      fail(ErrorKind::temporary, "{}: outside the hours of large transfers, which begin in {}", content.url,
           to_string(policy_.window.until_open(clock_.utc())));
    const std::uint64_t before = file.bytes();
    try {
      attempt(file, content, progress);
      if (file.bytes() < content.bytes)
        fail(ErrorKind::temporary, "{}: ended after {} of {} bytes", content.url, file.bytes(), content.bytes);
    } catch (const Error& error) {
      file.flush();
      if (error.kind() != ErrorKind::temporary) throw;
      if (file.bytes() > before) backoff_.succeeded();
      if (backoff_.failures() + 1 >= policy_.attempts) throw;
      const Steady wait = backoff_.next();
      log::debug("{}; again in {:.1f} s from byte {}", error.what(), wait.count(), file.bytes());
      clock_.wait(wait, cancelled);
    }
  }
}

void Downloader::attempt(PartialFile& file, const Content& content, const Progress& progress) {
  const std::uint64_t offset = file.bytes();
  bool first = true;
  const Reply reply = transport_.get({.url = content.url, .offset = offset, .maximum_bytes = content.bytes},
                                     [&](const Reply& so_far, std::span<const std::byte> piece) {
                                       if (first && so_far.total_bytes && *so_far.total_bytes != content.bytes)
                                         fail(ErrorKind::data, "{}: the server has {} bytes, {} were signed",
                                              content.url, *so_far.total_bytes, content.bytes);
                                       if (first && so_far.offset != offset)
                                         file.restart();  // the server sends everything again
                                       first = false;
                                       if (file.bytes() + piece.size() > content.bytes)
                                         fail(ErrorKind::data, "{}: more than the {} bytes that were signed",
                                              content.url, content.bytes);
                                       file.append(piece);
                                       received_ += piece.size();
                                       if (progress) progress(file.bytes(), content.bytes);
                                     });
  if (reply.status == 416) {  // the server's file ends before what is here
    file.restart();
    fail(ErrorKind::temporary, "{}: the server has fewer bytes than were received before", content.url);
  }
  if (reply.status == 404 || reply.status == 410)
    fail(ErrorKind::temporary, "{}: not on the server (status {})", content.url, reply.status);
  if (reply.status != 200 && reply.status != 206)
    fail(ErrorKind::data, "{}: the server answers {}", content.url, reply.status);
}

}  // namespace zonda::edge
