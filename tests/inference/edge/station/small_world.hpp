#pragma once
// A hub, a link and models, each in some lines: what the agent sees of the world.
#include <gmock/gmock.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/philox.hpp"
#include "inference/edge/clock/simulated_clock.hpp"
#include "inference/edge/station/station.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

/// In memory where there is such a folder: these tests sync thousands of times.
inline fs::path test_folder(const std::string& name) {
  const fs::path memory = "/dev/shm";
  return (::access(memory.c_str(), W_OK) == 0 ? memory : fs::path(::testing::TempDir())) /
         ("zonda_" + std::to_string(::getuid()) + "_" + name);
}

/// Serves bytes by their URL.
class MemoryTransport final : public Transport {
 public:
  std::map<std::string, std::string> files;
  bool down = false;
  std::size_t cut_after = SIZE_MAX;  ///< bytes of a body, then the connection breaks
  std::function<void()> between_pieces = {};

  Reply get(const Request& request, const BodySink& sink) override {
    if (down) fail(ErrorKind::temporary, "{}: no connection", request.url);
    const auto found = files.find(request.url);
    if (found == files.end()) return {.status = 404};
    const std::string& file = found->second;
    Reply reply{.status = request.offset > 0 ? 206 : 200, .offset = request.offset, .total_bytes = file.size()};
    for (std::size_t at = request.offset; at < file.size();) {
      if (between_pieces) between_pieces();
      const std::size_t n = std::min<std::size_t>({file.size() - at, 8192, cut_after - reply.body_bytes});
      if (n == 0) fail(ErrorKind::temporary, "{}: cut", request.url);
      sink(reply, std::as_bytes(std::span(file.data() + at, n)));
      at += n;
      reply.body_bytes += n;
    }
    return reply;
  }
  Reply post(const std::string&, std::string_view, std::string_view) override { return {.status = 202}; }
};

/// Publishes releases and feeds into a MemoryTransport. `manifest.json` of a release says how its model behaves:
/// `good`, `fails its self-test`, `fails its forecast`, `breaks when opened`.
class SmallHub final : public Hub {
 public:
  explicit SmallHub(MemoryTransport& transport) : transport_(transport) {}
  Assignment assignment;
  std::vector<std::string> reports;
  int polls = 0;

  Assignment poll(Time) override {
    ++polls;
    if (transport_.down) fail(ErrorKind::temporary, "the hub: no connection");
    return assignment;
  }
  void report(const std::string& inventory) override { reports.push_back(inventory); }

  static Release make_release(const std::string& version, const std::string& behaviour, std::size_t weight_bytes,
                              MemoryTransport& transport) {
    Release release{"europe", version, {}};
    std::string weights(weight_bytes, 0);
    const Philox random(7, version);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<char>(random.bits(i / 4)[i % 4]);
    for (const auto& [name, bytes] : std::map<std::string, std::string>{
             {"manifest.json", behaviour + " " + version + " " + sha256(weights)}, {"weights.bin", weights}}) {
      const std::string url = "hub:/" + version + "/" + name;
      transport.files[url] = bytes;
      release.files.push_back({name, {url, sha256(bytes), bytes.size()}});
    }
    return release;
  }
  void assign(const std::string& version, const std::string& behaviour = "good", std::size_t weight_bytes = 100000) {
    assignment.model = make_release(version, behaviour, weight_bytes, transport_);
  }
  void offer_feed(Time cycle) {
    const std::string bytes = "feed of " + zonda::to_string(cycle), url = "hub:/feeds/" + compact(cycle);
    transport_.files[url] = bytes;
    assignment.feed = OfferedFeed{compact(cycle), {url, sha256(bytes), bytes.size()}, cycle};
  }

 private:
  MemoryTransport& transport_;
};

class SmallModel final : public ModelRunner {
 public:
  explicit SmallModel(const fs::path& bundle) : bundle_(bundle) {
    const std::string manifest = read_file(bundle / "manifest.json");
    const auto last = manifest.rfind(' '), before = manifest.rfind(' ', last - 1);
    behaviour_ = manifest.substr(0, before);
    version_ = manifest.substr(before + 1, last - before - 1);
    if (behaviour_ == "breaks when opened") throw std::runtime_error("it breaks when it is opened");
    weights_hash_ = manifest.substr(last + 1);
  }
  void self_test() override {
    if (behaviour_ == "fails its self-test") fail(ErrorKind::numerical, "the output is not the golden one");
    if (sha256_file(bundle_ / "weights.bin") != weights_hash_) fail(ErrorKind::data, "weights.bin: damaged");
  }
  RegionalForecast run(const fs::path& feed, const std::function<bool()>&) override {
    const Time cycle = parse_time(read_file(feed).substr(8));
    const float value = behaviour_ == "fails its forecast" ? 1e6F : 280.0F;
    const Grid grid = Grid::regional(60, 40, 3, 0, 20, 4);
    RegionalForecast forecast(grid);
    forecast.channels = {parse_channel("2t")};
    forecast.initial = forecast.computed = cycle;
    forecast.leads = {Duration(0), Duration(21600)};
    forecast.values = std::vector<float>(2 * grid.size(), value);
    forecast.model = version_;
    forecast.feed = feed.filename().string();
    return forecast;
  }

 private:
  fs::path bundle_;
  std::string behaviour_, version_, weights_hash_;
};

inline OpenModel open_small_model() {
  return [](const fs::path& bundle) { return std::make_shared<SmallModel>(bundle); };
}

}  // namespace zonda::edge
