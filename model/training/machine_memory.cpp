#include "model/training/machine_memory.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace zonda::model {

std::size_t machine_memory() {
  std::size_t bytes =
      static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream in(path);
    std::size_t limit = 0;
    if (in >> limit) bytes = std::min(bytes, limit);  // "max" is no number: no limit
  }
  return bytes;
}

std::size_t resident_memory() {
#ifdef __GLIBC__
  malloc_trim(0);  // what the heap keeps of earlier stages is given back, not counted twice
#endif
  std::ifstream in("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace zonda::model
