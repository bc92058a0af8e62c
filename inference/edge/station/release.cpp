#include "inference/edge/station/release.hpp"

#include <algorithm>

namespace zonda::edge {

std::string Release::identity() const {
  std::vector<std::string> lines;
  for (const File& file : files) lines.push_back(file.name + " " + file.content.sha256 + "\n");
  std::sort(lines.begin(), lines.end());
  Sha256 hash;
  for (const std::string& line : lines) hash.add(std::as_bytes(std::span(line)));
  return hash.hexadecimal();
}

}  // namespace zonda::edge
