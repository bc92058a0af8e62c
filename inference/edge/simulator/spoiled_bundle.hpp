#pragma once
// A release for a fire drill.
#include <filesystem>

namespace zonda::edge {

/// A copy of a bundle whose files are whole and whose checksums are right, and whose self-test cannot pass: the golden
/// output is another. Throws Error(data): no bundle there.
void write_spoiled_bundle(const std::filesystem::path& bundle, const std::filesystem::path& to);

}  // namespace zonda::edge
