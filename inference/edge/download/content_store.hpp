#pragma once
// Files named by the SHA-256 of what they hold: fetched once, whatever release asks for them, and whole or absent.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/checksum.hpp"

namespace zonda::edge {

/// Throws Error(data) unless `text` is 64 lower-case hexadecimal digits: names of files come from a network.
void require_sha256(std::string_view text, std::string_view what);

class ContentStore {
 public:
  /// Folders `root` (whole files, read-only) and `root/partial` (files that are still coming).
  explicit ContentStore(std::filesystem::path root);
  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path path(const std::string& sha256) const;
  std::filesystem::path partial_path(const std::string& sha256) const;
  bool has(const std::string& sha256) const;
  /// Bytes that are already here of a file that is still coming.
  std::uint64_t partial_bytes(const std::string& sha256) const;
  /// Puts the bytes in as a whole file. Throws Error(data) where they are not what the name says.
  void put(const std::string& sha256, std::string_view contents);
  /// Makes `link` another name of a whole file (a hard link: bundles share what they have in common).
  void link(const std::string& sha256, const std::filesystem::path& link) const;
  /// Reads it through. False, and the file is removed, where it is not what its name says.
  bool verify(const std::string& sha256);
  void remove(const std::string& sha256);
  void remove_partial(const std::string& sha256);
  /// Removes every file that is not referenced, partial ones too; returns the bytes freed.
  std::uint64_t collect_garbage(const std::set<std::string>& referenced);
  std::uint64_t free_bytes() const;

 private:
  std::filesystem::path root_;
};

/// The end of a file that is still coming; what was there is hashed again first.
class PartialFile {
 public:
  /// `chunk`: bytes gathered before they go to the file; a process killed at any moment loses fewer.
  PartialFile(ContentStore& store, std::string sha256, std::size_t chunk);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  std::uint64_t bytes() const { return bytes_; }
  void append(std::span<const std::byte> piece);
  /// Forgets what is there.
  void restart();
  /// Writes what was gathered.
  void flush();
  /// Makes it a whole file, synced. Throws Error(data), and forgets it, where it is not what its name says.
  void commit();

 private:
  void write_gathered();
  ContentStore& store_;
  const std::string sha256_;
  const std::size_t chunk_;
  int descriptor_ = -1;
  std::uint64_t bytes_ = 0;
  std::string gathered_;
  Sha256 hash_;
};

}  // namespace zonda::edge
