#pragma once
#include <filesystem>
#include <string>

namespace zonda::assimilation {

/// The scores of the analyses in `directory` (see run_cycle): as aligned text, or as JSON with all of their summaries.
std::string cycle_table(const std::filesystem::path& directory, bool json);

}  // namespace zonda::assimilation
