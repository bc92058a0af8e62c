#pragma once
// What a disk would hold had the power gone at any moment: a test that links power_loss.cpp has its calls of fsync,
// rename, mkdir, link and unlink watched. After each of them two worlds are laid down, neither of which a file system
// may make worse:
//
//   names first     every name is on the disk at once, a file's bytes only as of its last fsync (none: it is empty)
//   names on fsync  a folder's names, too, are those of its last fsync
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace zonda::testing {

class PowerLoss {
 public:
  /// `watched` is taken to be on the disk as it is. Worlds go to `worlds`, outside of it. One at a time in a process.
  PowerLoss(const std::filesystem::path& watched, const std::filesystem::path& worlds);
  ~PowerLoss();
  PowerLoss(const PowerLoss&) = delete;
  PowerLoss& operator=(const PowerLoss&) = delete;

  /// From here on the worlds must hold promise `number`: what was done before is said to be on the disk.
  void promise(int number);
  struct World {
    std::filesystem::path folder;
    std::string after;  ///< `rename step-2`, for messages
    int promise;
  };
  /// Lays down the last worlds, and watches no longer.
  const std::vector<World>& stop();

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace zonda::testing
