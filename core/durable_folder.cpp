#include "core/durable_folder.hpp"

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda {

namespace fs = std::filesystem;

namespace {

fs::path above(const fs::path& path) {
  return path.parent_path().empty() ? fs::path(".") : path.parent_path();
}

}  // namespace

void create_durable_folder(const fs::path& folder) {
  std::vector<fs::path> missing;
  std::error_code error;
  for (fs::path path = folder.lexically_normal(); !path.empty() && !fs::is_directory(path, error);
       path = path.parent_path())
    missing.push_back(path);
  fs::create_directories(folder, error);
  if (error) fail(ErrorKind::failure, "{}: cannot make the folder: {}", folder.string(), error.message());
  for (const fs::path& path : missing) sync_path(above(path));
}

void replace_folder(const fs::path& made, const fs::path& target) {
  std::error_code error;
  sync_path(made);
  fs::rename(made, target, error);
  if (!error) return sync_path(above(target));
  // A folder is never renamed over a full one.
  if (::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    sync_path(above(target));
    fs::remove_all(made, error);
    return;
  }
  if (errno != EINVAL && errno != ENOSYS)
    fail(ErrorKind::failure, "{}: cannot be replaced: {}", target.string(), std::strerror(errno));
  // A file system without exchange (NFS): for a moment the old one has another name.
  const fs::path aside = target.string() + ".old.tmp";
  fs::remove_all(aside, error);
  fs::rename(target, aside, error);
  if (!error) fs::rename(made, target, error);
  if (error) fail(ErrorKind::failure, "{}: cannot be replaced: {}", target.string(), error.message());
  sync_path(above(target));
  fs::remove_all(aside, error);
}

}  // namespace zonda
