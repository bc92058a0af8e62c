#include "tests/core/power_loss.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

namespace zonda::testing {

namespace fs = std::filesystem;

namespace {

using Inode = ino_t;

struct stat status_of(const fs::path& path) {
  struct stat status {};
  ::lstat(path.c_str(), &status);
  return status;
}

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

std::recursive_mutex mutex;
PowerLoss::State* watching = nullptr;

}  // namespace

struct PowerLoss::State {
  fs::path watched, worlds;
  std::map<Inode, std::string> bytes;                                    // of files, as of their last fsync
  std::map<Inode, std::map<std::string, std::pair<Inode, bool>>> names;  // of folders; whether it is a folder
  std::map<Inode, int> held;
  std::vector<World> laid;
  std::set<std::string> known;  // worlds that are there already, with the promise they are held to
  int promised = 0;
  bool busy = false;

  /// An open descriptor keeps a number from being given to another file.
  void hold(Inode inode, const fs::path& path) {
    if (!held.contains(inode)) held[inode] = ::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  }
  void keep(const fs::path& path) {
    const struct stat status = status_of(path);
    hold(status.st_ino, path);
    if (S_ISREG(status.st_mode)) bytes[status.st_ino] = bytes_of(path);
    if (!S_ISDIR(status.st_mode)) return;
    auto& list = names[status.st_ino];
    list.clear();
    for (const auto& entry : fs::directory_iterator(path)) {
      const struct stat inside = status_of(entry.path());
      hold(inside.st_ino, entry.path());
      list[entry.path().filename().string()] = {inside.st_ino, S_ISDIR(inside.st_mode)};
    }
  }
  void keep_all(const fs::path& folder) {
    keep(folder);
    for (const auto& entry : fs::recursive_directory_iterator(folder)) keep(entry.path());
  }

  /// The world as path -> bytes; folders end in `/`.
  using Tree = std::map<std::string, std::string>;
  void with_names_on_fsync(Inode folder, const std::string& prefix, Tree& tree) const {
    const auto list = names.find(folder);
    if (list == names.end()) return;  // never synced: it is empty
    for (const auto& [name, entry] : list->second) {
      if (entry.second) {
        tree[prefix + name + "/"];
        with_names_on_fsync(entry.first, prefix + name + "/", tree);
      } else {
        const auto kept = bytes.find(entry.first);
        tree[prefix + name] = kept == bytes.end() ? "" : kept->second;
      }
    }
  }
  Tree with_names_first() const {
    Tree tree;
    for (const auto& entry : fs::recursive_directory_iterator(watched)) {
      const std::string name = entry.path().lexically_relative(watched).string();
      if (entry.is_directory()) {
        tree[name + "/"];
        continue;
      }
      const auto kept = bytes.find(status_of(entry.path()).st_ino);
      tree[name] = kept == bytes.end() ? "" : kept->second;
    }
    return tree;
  }
  void lay(const Tree& tree, const std::string& after) {
    std::string whole = std::to_string(promised) + "\n";
    for (const auto& [name, content] : tree) whole += name + "\n" + std::to_string(content.size()) + "\n" + content;
    if (!known.insert(whole).second) return;
    const fs::path folder = worlds / std::to_string(laid.size());
    fs::create_directories(folder);
    for (const auto& [name, content] : tree) {
      if (name.ends_with('/')) {
        fs::create_directories(folder / name);
        continue;
      }
      std::ofstream(folder / name, std::ios::binary) << content;
      fs::permissions(folder / name, fs::perms::owner_read | fs::perms::owner_write);  // as keys want it
    }
    laid.push_back({folder, after, promised});
  }
  void lay_both(const std::string& after) {
    Tree synced;
    with_names_on_fsync(status_of(watched).st_ino, "", synced);
    lay(synced, after + ", names on fsync");
    lay(with_names_first(), after + ", names first");
  }

  ~State() {
    for (const auto& [inode, descriptor] : held) ::close(descriptor);
  }

  /// `synced`: what a call made sure of.
  void happened(const std::string& what, const fs::path& path, bool synced) {
    if (busy || path.lexically_relative(watched).string().starts_with("..")) return;
    busy = true;
    if (synced) keep(path);
    lay_both(what + " " + path.lexically_relative(watched).string());
    busy = false;
  }
};

PowerLoss::PowerLoss(const fs::path& watched, const fs::path& worlds) : state_(std::make_unique<State>()) {
  const std::scoped_lock lock(mutex);
  state_->watched = fs::canonical(watched);
  state_->worlds = worlds;
  state_->keep_all(state_->watched);
  watching = state_.get();
}

PowerLoss::~PowerLoss() {
  const std::scoped_lock lock(mutex);
  watching = nullptr;
}

void PowerLoss::promise(int number) {
  const std::scoped_lock lock(mutex);
  state_->promised = number;
  state_->busy = true;
  state_->lay_both("promise " + std::to_string(number));
  state_->busy = false;
}

const std::vector<PowerLoss::World>& PowerLoss::stop() {
  const std::scoped_lock lock(mutex);
  state_->busy = true;
  state_->lay_both("the end");
  watching = nullptr;
  return state_->laid;
}

namespace {

template <class Call>
Call next(const char* name) {
  return reinterpret_cast<Call>(::dlsym(RTLD_NEXT, name));
}

fs::path path_of(int descriptor) {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor), ignored);
}

fs::path absolute_of(int folder, const char* name) {
  const fs::path path(name);
  if (path.is_absolute()) return path;
  return (folder == AT_FDCWD ? fs::current_path() : path_of(folder)) / path;
}

/// A call that worked.
int tell(int result, const char* what, const fs::path& path, bool synced = false) {
  const int reason = errno;
  const std::scoped_lock lock(mutex);
  if (result == 0 && watching != nullptr) watching->happened(what, path, synced);
  errno = reason;
  return result;
}

}  // namespace
}  // namespace zonda::testing

using zonda::testing::absolute_of;
using zonda::testing::next;
using zonda::testing::path_of;
using zonda::testing::tell;

extern "C" {

int fsync(int descriptor) {
  static const auto call = next<int (*)(int)>("fsync");
  return tell(call(descriptor), "fsync", path_of(descriptor), true);
}
int fdatasync(int descriptor) {
  static const auto call = next<int (*)(int)>("fdatasync");
  return tell(call(descriptor), "fdatasync", path_of(descriptor), true);
}
int rename(const char* from, const char* to) noexcept {
  static const auto call = next<int (*)(const char*, const char*)>("rename");
  return tell(call(from, to), "rename", absolute_of(AT_FDCWD, to));
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  static const auto call = next<int (*)(int, const char*, int, const char*, unsigned)>("renameat2");
  return tell(call(from_folder, from, to_folder, to, flags), "renameat2", absolute_of(to_folder, to));
}
int mkdir(const char* path, mode_t mode) noexcept {
  static const auto call = next<int (*)(const char*, mode_t)>("mkdir");
  return tell(call(path, mode), "mkdir", absolute_of(AT_FDCWD, path));
}
int link(const char* from, const char* to) noexcept {
  static const auto call = next<int (*)(const char*, const char*)>("link");
  return tell(call(from, to), "link", absolute_of(AT_FDCWD, to));
}
int unlink(const char* path) noexcept {
  static const auto call = next<int (*)(const char*)>("unlink");
  return tell(call(path), "unlink", absolute_of(AT_FDCWD, path));
}
int remove(const char* path) noexcept {
  static const auto call = next<int (*)(const char*)>("remove");
  return tell(call(path), "remove", absolute_of(AT_FDCWD, path));
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  static const auto call = next<int (*)(int, const char*, int)>("unlinkat");
  return tell(call(folder, path, flags), "unlinkat", absolute_of(folder, path));
}
}
