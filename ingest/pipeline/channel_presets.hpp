#pragma once
// Channel lists of published models, by name.
#include <string>
#include <vector>

#include "core/variables.hpp"

namespace zonda::ingest {

/// `fengwu`: 69 channels, surface first, then z, q, u, v, t each from 50 to 1000 hPa (Chen et al. 2023, arXiv
/// 2304.02948). `fengwu-ghr`: 74 channels, surface first, then z, q, u, v, t each from 1000 to 50 hPa (Han et al. 2024,
/// arXiv 2402.00059). Throws Error(usage) listing the names.
std::vector<Channel> channel_preset(const std::string& name);
std::vector<std::string> channel_preset_names();

}  // namespace zonda::ingest
