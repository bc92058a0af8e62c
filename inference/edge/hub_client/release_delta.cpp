#include <algorithm>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "inference/edge/delta/bundle_delta.hpp"
#include "inference/edge/hub_client/trusted_hub.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

namespace {

std::uint64_t missing_bytes(const Release& release, const ContentStore& store) {
  std::uint64_t bytes = 0;
  for (const Release::File& file : release.files)
    if (!store.has(file.content.sha256)) bytes += file.content.bytes - store.partial_bytes(file.content.sha256);
  return bytes;
}

}  // namespace

bool TrustedHub::fetch_cheaply(const Release& release, const std::optional<Release>& here, ContentStore& store) {
  if (!here || !published_ || published_->name != release.name || published_->version != release.version) return false;
  const auto manifest = std::find_if(here->files.begin(), here->files.end(),
                                     [](const Release::File& file) { return file.name == "manifest.json"; });
  if (manifest == here->files.end() || missing_bytes(*here, store) > 0) return false;
  const auto delta = std::find_if(published_->deltas.begin(), published_->deltas.end(),
                                  [&](const PublishedDelta& d) { return d.base == manifest->content.sha256; });
  if (delta == published_->deltas.end()) return false;
  const auto target = repository_.find(delta->file.target);
  if (!target || static_cast<std::uint64_t>(target->length) >= missing_bytes(release, store)) return false;

  const fs::path workshop = settings_.directory / "delta";
  fs::remove_all(workshop);
  fs::create_directories(workshop / "base");
  bool made = false;
  try {
    const Content content = content_of(delta->file.target, *target);
    const Document fetched = get_document(transport_, content.url, content.bytes);
    if (fetched.reply.status != 200)
      fail(ErrorKind::temporary, "{}: the server answers {}", content.url, fetched.reply.status);
    require_target(delta->file.target, *target, fetched.body);
    write_file(workshop / "delta", fetched.body);
    for (const Release::File& file : here->files) store.link(file.content.sha256, workshop / "base" / file.name);
    apply_delta(workshop / "base", workshop / "delta", workshop / "made");
    // The store refuses what is not the content of its name.
    for (const Release::File& file : release.files)
      if (!store.has(file.content.sha256)) store.put(file.content.sha256, read_file(workshop / "made" / file.name));
    made = true;
    log::info("{} {} made from {} by a delta of {} bytes", release.name, release.version, here->version,
              target->length);
  } catch (const Error& error) {
    log::warning("no delta: {}; the files are fetched whole", error.what());
  }
  fs::remove_all(workshop);
  return made;
}

}  // namespace zonda::edge
