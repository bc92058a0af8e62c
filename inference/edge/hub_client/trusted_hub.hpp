#pragma once
// The hub as a station sees it: signed metadata over a transport, and nothing that they do not vouch for.
#include <map>
#include <memory>
#include <string>

#include "inference/edge/catalogue/assignment_rules.hpp"
#include "inference/edge/catalogue/published_release.hpp"
#include "inference/edge/station/release.hpp"
#include "inference/edge/trust/trusted_repository.hpp"

namespace zonda::edge {

class TrustedHub final : public Hub {
 public:
  struct Settings {
    std::string url;                  ///< of the hub; metadata lie in URL/metadata, targets in URL/targets
    std::filesystem::path directory;  ///< keeps trusted metadata and small signed documents
    StationTraits station;
    std::optional<std::string> only_model = {};  ///< another one is refused
  };
  /// `shipped_root`: text of the root metadata that came with the station. Throws Error(data).
  TrustedHub(Settings settings, Transport& transport, std::string_view shipped_root);
  ~TrustedHub() override;

  Assignment poll(Time now) override;
  /// By the delta from the release that is here, where the hub published one and it saves bytes. A delta that does not
  /// give the signed files is not used.
  bool fetch_cheaply(const Release& release, const std::optional<Release>& here, ContentStore& store) override;
  /// To URL/v1/reports.
  void report(const std::string& inventory) override;
  /// Bytes that the polls so far received, bodies alone.
  std::uint64_t bytes_received() const;

 private:
  class Metadata;
  Content content_of(const std::string& path, const TargetFile& target) const;
  /// A small signed document, from the directory or the hub.
  std::string document(const std::string& path, std::size_t longest);
  std::optional<Release> assigned_release();
  std::optional<OfferedFeed> newest_feed() const;

  Settings settings_;
  Transport& transport_;
  std::unique_ptr<Metadata> metadata_;
  TrustedRepository repository_;
  ContentStore documents_;
  std::optional<PublishedRelease> published_;  ///< the assigned one
  std::string region_;                         ///< of the assigned model; feeds are its region's
};

}  // namespace zonda::edge
