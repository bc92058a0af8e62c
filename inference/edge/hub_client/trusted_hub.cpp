#include "inference/edge/hub_client/trusted_hub.hpp"

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "inference/edge/catalogue/published_release.hpp"

namespace zonda::edge {

/// Metadata files over the transport. An unchanged timestamp costs the headers alone.
class TrustedHub::Metadata final : public MetadataFetcher {
 public:
  Metadata(std::string url, Transport& transport) : url_(std::move(url)), transport_(transport) {}

  std::optional<std::string> fetch(const std::string& name, std::size_t longest) override {
    const bool changes_in_place = name == "timestamp.json";
    const Document document =
        get_document(transport_, url_ + "/" + name, longest, changes_in_place ? timestamp_.reply.etag : "");
    received += document.reply.body_bytes;
    if (document.reply.status == 404) return std::nullopt;
    if (document.reply.status == 304 && changes_in_place) return timestamp_.body;
    if (document.reply.status != 200)
      fail(ErrorKind::temporary, "{}/{}: the server answers {}", url_, name, document.reply.status);
    if (changes_in_place) timestamp_ = document;
    return document.body;
  }

  void forget() { timestamp_ = {}; }

  std::uint64_t received = 0;

 private:
  const std::string url_;
  Transport& transport_;
  Document timestamp_;
};

TrustedHub::TrustedHub(Settings settings, Transport& transport, std::string_view shipped_root)
    : settings_(std::move(settings)),
      transport_(transport),
      metadata_(std::make_unique<Metadata>(settings_.url + "/metadata", transport)),
      repository_(settings_.directory / "metadata", shipped_root),
      documents_(settings_.directory / "documents") {}

TrustedHub::~TrustedHub() = default;

std::uint64_t TrustedHub::bytes_received() const {
  return metadata_->received;
}

Content TrustedHub::content_of(const std::string& path, const TargetFile& target) const {
  return {settings_.url + "/targets/" + target.address(path), target.sha256, static_cast<std::uint64_t>(target.length)};
}

std::string TrustedHub::document(const std::string& path, std::size_t longest) {
  const auto target = repository_.find(path);
  if (!target) fail(ErrorKind::data, "{}: no such target is signed", path);
  if (target->length < 0 || static_cast<std::size_t>(target->length) > longest)
    fail(ErrorKind::data, "{}: {} bytes are signed, at most {} make sense", path, target->length, longest);
  if (documents_.has(target->sha256)) {
    const std::string kept = read_file(documents_.path(target->sha256));
    if (sha256(kept) == target->sha256) return kept;
  }
  const Content content = content_of(path, *target);
  const Document fetched = get_document(transport_, content.url, content.bytes);
  metadata_->received += fetched.reply.body_bytes;
  if (fetched.reply.status != 200)
    fail(ErrorKind::temporary, "{}: the server answers {}", content.url, fetched.reply.status);
  require_target(path, *target, fetched.body);
  documents_.put(target->sha256, fetched.body);
  return fetched.body;
}

std::optional<Release> TrustedHub::assigned_release() {
  if (!repository_.find(AssignmentRules::target)) return std::nullopt;  // nothing is assigned to anybody yet
  const AssignmentRules rules = AssignmentRules::parse(document(AssignmentRules::target, 1 << 20));
  const auto assigned = rules.assigned(settings_.station);
  if (!assigned) return std::nullopt;
  if (settings_.only_model && assigned->name != *settings_.only_model)
    fail(ErrorKind::data, "the hub assigns the model '{}'; this station takes '{}' alone (model.name)", assigned->name,
         *settings_.only_model);
  const PublishedRelease published =
      PublishedRelease::parse(document(PublishedRelease::target_of(assigned->name, assigned->version), 1 << 20),
                              assigned->name, assigned->version);
  published.require_hardware(settings_.station.hardware);
  region_ = published.region;
  published_ = published;
  Release release{published.name, published.version, {}};
  for (const PublishedFile& file : published.files) {
    const auto target = repository_.find(file.target);
    if (!target || target->sha256 != file.sha256 || target->length != file.length)
      fail(ErrorKind::data, "{}: the catalogue does not sign what the release says", file.target);
    release.files.push_back({file.name, content_of(file.target, *target)});
  }
  return release;
}

std::optional<OfferedFeed> TrustedHub::newest_feed() const {
  const std::string prefix = "feeds/" + (region_.empty() ? settings_.station.region : region_) + "/";
  std::optional<OfferedFeed> newest;
  for (const auto& [path, target] : repository_.delegated("feeds").targets) {
    if (!path.starts_with(prefix) || !path.ends_with(".feed")) continue;
    const std::string name = path.substr(prefix.size(), path.size() - prefix.size() - 5);
    if (name.size() != 10 || name.find_first_not_of("0123456789") != std::string::npos) continue;
    const Time cycle = parse_time(
        fmt::format("{}-{}-{}T{}", name.substr(0, 4), name.substr(4, 2), name.substr(6, 2), name.substr(8, 2)));
    // A cycle after the end of the metadata that speak of it is none.
    if (!repository_.fresh(cycle) || (newest && cycle <= newest->cycle)) continue;
    newest = OfferedFeed{name, content_of(path, target), cycle};
  }
  return newest;
}

Assignment TrustedHub::poll(Time now) {
  try {
    repository_.refresh(*metadata_, now);
  } catch (const Error&) {
    metadata_->forget();  // what was damaged on the way must not be answered with `unchanged` for ever
    throw;
  }
  Assignment assignment;
  assignment.expired = !repository_.fresh(now);
  assignment.model = assigned_release();
  assignment.feed = newest_feed();
  return assignment;
}

void TrustedHub::report(const std::string& inventory) {
  const Reply reply = transport_.post(settings_.url + "/v1/reports", "application/json", inventory);
  if (reply.status >= 300) fail(ErrorKind::temporary, "the hub answers {} to the inventory", reply.status);
}

}  // namespace zonda::edge
