#pragma once
// Folders that are still there, and whole, after the power has gone.
#include <filesystem>

namespace zonda {

/// Makes the folder and those above it that are missing; all are on the disk when it returns. Throws Error(failure)
/// with the system's reason.
void create_durable_folder(const std::filesystem::path& folder);

/// Lets `made` (beside it, its files synced) take the place of `target`, of which there always is one: the old or the
/// new. On the disk when it returns, and the old one removed. Throws Error(failure).
void replace_folder(const std::filesystem::path& made, const std::filesystem::path& target);

}  // namespace zonda
