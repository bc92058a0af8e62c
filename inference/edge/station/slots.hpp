#pragma once
// Two slots for models, of which one serves: a new model is laid out in the other, and one rename makes it serve.
#include <filesystem>
#include <optional>
#include <string_view>

#include "inference/edge/download/content_store.hpp"
#include "inference/edge/station/release.hpp"

namespace zonda::edge {

enum class Slot { a, b };
std::string_view to_string(Slot slot);
inline Slot other(Slot slot) {
  return slot == Slot::a ? Slot::b : Slot::a;
}

/// Folder `root`: `a/`, `b/` (bundles, hard links to contents), `a.json`, `b.json` (which release; written last, so
/// that a slot without it is empty), `serving` (a symbolic link to `a` or `b`).
class Slots {
 public:
  explicit Slots(std::filesystem::path root);
  std::filesystem::path path(Slot slot) const;
  /// What a whole slot holds; nothing for an empty one, or one that lost a file.
  std::optional<Release> release(Slot slot) const;
  /// The slot that serves, if it holds a release.
  std::optional<Slot> serving() const;
  /// The one that does not serve.
  Slot spare() const;
  /// Lays a release out in a slot that does not serve. All contents must be in the store. Throws Error(failure).
  void fill(Slot slot, const Release& release, const ContentStore& store);
  /// Atomic and synced: before or after, whatever happens. Throws Error(failure).
  void serve(Slot slot);
  void empty(Slot slot);
  /// Where a slot's release is written down.
  std::filesystem::path record(Slot slot) const;

 private:
  std::filesystem::path root_;
};

}  // namespace zonda::edge
