#include "inference/edge/station/resident_memory.hpp"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

namespace zonda::edge {

void prefer_small_memory() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

void release_idle_memory() {
  ::malloc_trim(0);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char rights[5] = {};
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(), "%zx-%zx %4s %*s %*s %lu", &begin, &end, rights, &inode) != 4) continue;
    // Code alone: it is never written to, unlike data that the linker has relocated.
    if (inode == 0 || std::string_view(rights) != "r-xp") continue;
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

}  // namespace zonda::edge
