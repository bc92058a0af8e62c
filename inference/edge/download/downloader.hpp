#pragma once
#include <functional>
#include <span>
#include <string>

#include "inference/edge/download/backoff.hpp"
#include "inference/edge/download/content_store.hpp"
#include "inference/edge/download/transfer_window.hpp"
#include "inference/edge/download/transport.hpp"

namespace zonda::edge {

/// A file that signed metadata speaks of.
struct Content {
  std::string url;
  std::string sha256;
  std::uint64_t bytes = 0;
};

struct DownloadPolicy {
  std::size_t chunk_bytes = 64 * 1024;  ///< a resumed transfer repeats fewer bytes than this
  int attempts = 8;                     ///< failures in a row, without one new byte, until it is given up
  BackoffLimits backoff = {};
  TransferWindow window = TransferWindow();
  std::uint64_t reserve_bytes = 64ULL << 20;  ///< of the disk, left free
};

/// Fetches contents into a store: resumed where an earlier transfer ended, tried again after growing random waits,
/// hashed while the bytes come, never longer than announced.
class Downloader {
 public:
  /// `station` names the stream of random waits.
  Downloader(Transport& transport, ContentStore& store, Clock& clock, DownloadPolicy policy, std::string station);
  /// Called with the bytes that are here and those of the whole.
  using Progress = std::function<void(std::uint64_t bytes, std::uint64_t of)>;
  /// Returns once the content is in the store. Throws Error(temporary): given up for now, what came is kept;
  /// Error(data): what the server sends is not what was signed; Error(failure): no room on the disk.
  void fetch(const Content& content, const Progress& progress = {}, const std::function<bool()>& cancelled = {});
  /// Throws Error(failure) unless the disk has room for the contents that are not in the store, and the reserve.
  void require_room(std::span<const Content> contents) const;
  std::uint64_t bytes_received() const { return received_; }

 private:
  void receive(PartialFile& file, const Content& content, const Progress& progress,
               const std::function<bool()>& cancelled);
  void attempt(PartialFile& file, const Content& content, const Progress& progress);
  Transport& transport_;
  ContentStore& store_;
  Clock& clock_;
  DownloadPolicy policy_;
  Backoff backoff_;
  std::uint64_t received_ = 0;
};

}  // namespace zonda::edge
