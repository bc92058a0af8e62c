#include "ingest/sources/path_pattern.hpp"

#include <glob.h>

#include <algorithm>

#include "core/error.hpp"

namespace zonda::ingest {

std::vector<std::filesystem::path> match_pattern(const std::string& pattern) {
  glob_t found{};
  const int result = ::glob(pattern.c_str(), GLOB_BRACE | GLOB_TILDE, nullptr, &found);
  std::vector<std::filesystem::path> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (result == GLOB_NOMATCH || (result == 0 && paths.empty())) fail(ErrorKind::data, "no file matches '{}'", pattern);
  if (result != 0) fail(ErrorKind::data, "'{}' cannot be looked up", pattern);
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace zonda::ingest
