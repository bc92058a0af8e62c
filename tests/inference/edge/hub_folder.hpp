#pragma once
// A hub in a folder of its own, and a client that reads its files as a web server would give them, or others.
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "inference/edge/hub/repository.hpp"
#include "inference/edge/trust/trusted_repository.hpp"

namespace zonda::edge::testing {

namespace fs = std::filesystem;

class Folder {
 public:
  explicit Folder(const std::string& name)
      : path(fs::temp_directory_path() / ("zonda-" + name + "-" + std::to_string(::getpid()))) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const fs::path path;
};

/// Files of a folder; `instead` stands before them, and what it holds as nothing is missing.
class FolderFetcher : public MetadataFetcher {
 public:
  explicit FolderFetcher(fs::path metadata) : metadata_(std::move(metadata)) {}
  std::optional<std::string> fetch(const std::string& name, std::size_t longest) override {
    asked.push_back(name);
    std::optional<std::string> text;
    if (const auto found = instead.find(name); found != instead.end())
      text = found->second;
    else if (fs::exists(metadata_ / name))
      text = read_file(metadata_ / name);
    if (text && text->size() > longest) fail(ErrorKind::data, "{}: more than {} bytes", name, longest);
    return text;
  }
  std::map<std::string, std::optional<std::string>> instead;
  std::vector<std::string> asked;

 private:
  fs::path metadata_;
};

inline const Time day0 = parse_time("2026-03-01");
inline std::vector<fs::path> root_folders(const fs::path& folder) {
  return {folder / "root-1", folder / "root-2", folder / "root-3"};
}
inline Repository new_hub(const fs::path& folder) {
  return Repository::create(folder / "hub", root_folders(folder), 2, Lifetimes{}, "", day0);
}

}  // namespace zonda::edge::testing
