#pragma once
// A hub in a folder, with releases and feeds, and a link that reads its files as a web server would give them.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "inference/edge/catalogue/assignment_rules.hpp"
#include "inference/edge/catalogue/published_release.hpp"
#include "inference/edge/catalogue/station_report.hpp"
#include "inference/edge/hub/repository.hpp"
#include "inference/edge/hub_client/trusted_hub.hpp"
#include "tests/inference/edge/station/small_world.hpp"

namespace zonda::edge {

inline const std::string hub_url = "http://hub";

class PublishedHub {
 public:
  PublishedHub(const fs::path& folder, Time now)
      : repository(Repository::create(folder / "hub", {folder / "root-1", folder / "root-2", folder / "root-3"}, 2,
                                      Lifetimes{}, "", now)) {}

  /// A release whose model behaves as SmallModel says.
  void publish(const std::string& version, const std::string& behaviour, Time now,
               const std::vector<std::string>& hardware = {}, std::size_t weight_bytes = 20000) {
    MemoryTransport files;
    PublishedRelease published;
    published.name = published.region = "europe";
    published.version = version;
    published.hardware = hardware;
    for (const Release::File& file : SmallHub::make_release(version, behaviour, weight_bytes, files).files) {
      const std::string target = "models/europe/" + version + "/" + file.name;
      repository.put_text("targets", target, files.files.at(file.content.url));
      published.files.push_back(
          {file.name, target, static_cast<std::int64_t>(file.content.bytes), file.content.sha256});
    }
    repository.put_text("targets", PublishedRelease::target_of("europe", version), published.to_json().dump());
    repository.publish(now, "publish", {{"version", version}});
  }
  void assign(const AssignmentRule& rule, Time now) {
    repository.put_text("assignment", AssignmentRules::target, AssignmentRules{{rule}}.to_json().dump());
    repository.publish(now, "assign", {{"version", rule.version}});
  }
  void feed(Time cycle, Time now) {
    repository.put_text("feeds", feed_target("europe", compact(cycle)), "feed of " + zonda::to_string(cycle));
    repository.publish(now, "feed", nlohmann::json::object());
  }
  std::string root() const { return read_file(repository.public_folder() / "metadata" / "root.json"); }

  Repository repository;
};

/// The public folder of a hub under hub_url; reports go to `reports`.
class FolderTransport final : public Transport {
 public:
  explicit FolderTransport(fs::path folder) : folder_(std::move(folder)) {}
  std::vector<std::string> asked;
  std::function<void(std::string_view)> reports = {};
  std::uint64_t bytes = 0;
  bool damages = false;  ///< a byte of what is sent is another

  Reply get(const Request& request, const BodySink& sink) override {
    asked.push_back(request.url);
    const fs::path file = folder_ / request.url.substr(hub_url.size() + 1);
    if (!fs::exists(file)) return {.status = 404};
    std::string text = read_file(file);
    const std::string tag = sha256(text);
    if (damages) text[text.size() / 2] ^= 1;
    if (tag == request.etag) return {.status = 304, .etag = tag};
    if (text.size() - request.offset > request.maximum_bytes) fail(ErrorKind::data, "{}: too long", request.url);
    Reply reply{
        .status = request.offset > 0 ? 206 : 200, .etag = tag, .offset = request.offset, .total_bytes = text.size()};
    sink(reply, std::as_bytes(std::span(text)).subspan(request.offset));
    reply.body_bytes = text.size() - request.offset;
    bytes += reply.body_bytes;
    return reply;
  }
  Reply post(const std::string& url, std::string_view, std::string_view body) override {
    if (!url.ends_with("/v1/reports")) return {.status = 404};
    if (reports) reports(body);
    return {.status = 202};
  }

 private:
  const fs::path folder_;
};

}  // namespace zonda::edge
