#pragma once
// When a forecast is made: as soon as a feed arrives that is newer than the last forecast, or another model serves.
#include <functional>
#include <memory>
#include <optional>

#include "inference/edge/download/downloader.hpp"
#include "inference/edge/station/model_runner.hpp"
#include "inference/edge/station/release.hpp"

namespace zonda::edge {

/// Folders: `feeds/` (a ContentStore and `newest.json`), `forecasts/` (`2026030100.forecast`, the newest few). What is
/// on the disk is taken up again after a restart.
class ForecastSchedule {
 public:
  struct Parts {
    Transport& transport;
    Clock& clock;
    std::function<void()> heartbeat = {};
    std::function<bool()> cancelled = {};
  };
  ForecastSchedule(std::filesystem::path root, std::string station, DownloadPolicy policy, Parts parts);

  /// Fetches the feed if it is newer than the one that is here. Throws Error(temporary, data, failure).
  /// Returns whether a newer one came.
  bool take(const OfferedFeed& feed);
  const std::optional<OfferedFeed>& feed() const { return feed_; }
  std::filesystem::path feed_path() const;

  /// A feed is here that no forecast was made from with this release.
  bool due(const Release& release) const;
  /// Runs the model on the feed that is here, and keeps the forecast. Throws what the model throws, and
  /// Error(numerical) naming channel and lead of a value outside its variable's physical range.
  void run(ModelRunner& model, const Release& release);
  /// The last one, if there is any.
  std::shared_ptr<const RegionalForecast> forecast() const { return forecast_; }
  /// With this release the feed that is here cannot be run (it is not tried again).
  void give_up(const Release& release);

 private:
  void read_back();
  void keep_newest(std::size_t count) const;
  std::string mark(const Release& release) const;

  const std::filesystem::path root_;
  Parts parts_;
  ContentStore store_;
  Downloader downloader_;
  std::optional<OfferedFeed> feed_;
  std::string done_;  ///< feed and release of the last run
  std::shared_ptr<const RegionalForecast> forecast_;
};

}  // namespace zonda::edge
