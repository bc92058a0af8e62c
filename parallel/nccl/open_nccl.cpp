#include <dlfcn.h>

#include <cstring>
#include <filesystem>

#include "core/error.hpp"
#include "parallel/faults/tcp_store.hpp"
#include "parallel/nccl/device_communicator.hpp"

namespace zonda::parallel {
namespace {

struct Opened {
  const NcclModule* module = nullptr;
  std::string obstacle;
};

/// Beside the program, where it was built or installed.
const Opened& opened() {
  static const Opened result = [] {
    Opened found;
    const auto path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libzonda_nccl.so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* why = dlerror();
      found.obstacle = fmt::format("NCCL cannot be opened: {}", why != nullptr ? why : path.string());
      return found;
    }
    const auto module = reinterpret_cast<const NcclModule* (*)()>(dlsym(library, "zonda_nccl_module"));
    if (module == nullptr)
      found.obstacle = fmt::format("{} is no module of this program", path.string());
    else
      found.module = module();
    return found;
  }();
  return result;
}

const NcclModule& module() {
  if (opened().module == nullptr) fail(ErrorKind::usage, "{}", opened().obstacle);
  return *opened().module;
}

}  // namespace

std::string nccl_obstacle() {
  return opened().obstacle;
}

std::unique_ptr<DeviceCommunicator> open_nccl(const Communicator& ranks, int device, double deadline) {
  // A rank without the module would leave the others waiting.
  ranks.agree(static_cast<int>(ErrorKind::usage), nccl_obstacle());
  NcclId id{};
  std::string failure;
  if (ranks.is_root()) {
    try {
      id = module().make_id();
    } catch (const Error& error) {
      failure = error.what();
    }
  }
  ranks.agree(static_cast<int>(ErrorKind::temporary), failure);
  ranks.broadcast(id, 0).wait();
  return module().open(id, ranks.rank(), ranks.size(), device, deadline);
}

std::unique_ptr<DeviceCommunicator> open_nccl(TcpStore& store, const std::string& name, int rank, int ranks, int device,
                                              double deadline) {
  NcclId id{};
  const std::string key = "nccl/" + name;
  if (rank == 0) {
    id = module().make_id();
    store.set(key, std::string_view(reinterpret_cast<const char*>(id.data()), id.size()));
  } else {
    const std::string found = store.get(key);
    if (found.size() != id.size()) fail(ErrorKind::failure, "{} in the store is no NCCL id", key);
    std::memcpy(id.data(), found.data(), id.size());
  }
  return module().open(id, rank, ranks, device, deadline);
}

}  // namespace zonda::parallel
