#include "inference/edge/station/forecast_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "inference/edge/forecast/forecast_file.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kept_forecasts = 3;

std::vector<fs::path> forecast_files(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".forecast" && entry.path().filename().string().front() != '.')
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());  // the names are times
  return files;
}

/// The physical range of each variable; a model that leaves it serves nobody.
void require_physical(const RegionalForecast& forecast) {
  for (std::size_t lead = 0; lead < forecast.leads.size(); ++lead) {
    for (std::size_t c = 0; c < forecast.channels.size(); ++c) {
      const Variable& variable = forecast.channels[c].info();
      for (const float value : forecast.field(lead, c)) {
        if (std::isfinite(value) && value >= variable.valid_min && value <= variable.valid_max) continue;
        fail(ErrorKind::numerical, "forecast of {}: {} at lead {} is {} {}; {} to {} is possible",
             zonda::to_string(forecast.initial), forecast.channels[c].name(), zonda::to_string(forecast.leads[lead]),
             value, variable.unit, variable.valid_min, variable.valid_max);
      }
    }
  }
}

}  // namespace

ForecastSchedule::ForecastSchedule(fs::path root, std::string station, DownloadPolicy policy, Parts parts)
    : root_(std::move(root)),
      parts_(std::move(parts)),
      store_(root_ / "feeds"),
      downloader_(parts_.transport, store_, parts_.clock, std::move(policy), station + ", feeds") {
  fs::create_directories(root_ / "forecasts");
  read_back();
}

fs::path ForecastSchedule::feed_path() const {
  return store_.path(feed_->content.sha256);
}

std::string ForecastSchedule::mark(const Release& release) const {
  return feed_ ? feed_->content.sha256 + " " + release.identity() : "";
}

void ForecastSchedule::read_back() {
  const fs::path record = root_ / "feeds" / "newest.json";
  try {
    if (fs::exists(record)) {
      const auto json = nlohmann::json::parse(read_file(record));
      OfferedFeed feed{json.at("name"),
                       {json.at("url"), json.at("sha256"), json.at("bytes")},
                       parse_time(json.at("cycle").get<std::string>())};
      if (store_.verify(feed.content.sha256)) feed_ = feed;
      done_ = json.value("done", "");
    }
  } catch (const std::exception& damage) {
    log::warning("{}: cannot be read ({}); the next feed replaces it", record.string(), damage.what());
  }
  auto files = forecast_files(root_ / "forecasts");
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    try {
      forecast_ = std::make_shared<RegionalForecast>(open_forecast(*file));
      return;
    } catch (const Error& damage) {
      log::warning("{}", damage.what());
    }
  }
}

bool ForecastSchedule::take(const OfferedFeed& feed) {
  if (feed_ && (feed.cycle < feed_->cycle || feed.content.sha256 == feed_->content.sha256)) return false;
  const std::vector<Content> contents{feed.content};
  downloader_.require_room(contents);
  downloader_.fetch(
      feed.content,
      [this](std::uint64_t, std::uint64_t) {
        if (parts_.heartbeat) parts_.heartbeat();
      },
      parts_.cancelled);
  const std::optional<OfferedFeed> before = std::exchange(feed_, feed);
  nlohmann::json record{{"name", feed.name},
                        {"url", feed.content.url},
                        {"sha256", feed.content.sha256},
                        {"bytes", feed.content.bytes},
                        {"cycle", zonda::to_string(feed.cycle)},
                        {"done", done_}};
  write_file(root_ / "feeds" / "newest.json", record.dump(2) + "\n");
  if (before) store_.remove(before->content.sha256);
  return true;
}

bool ForecastSchedule::due(const Release& release) const {
  return feed_ && done_ != mark(release);
}

void ForecastSchedule::give_up(const Release& release) {
  done_ = mark(release);
}

void ForecastSchedule::run(ModelRunner& model, const Release& release) {
  RegionalForecast forecast = model.run(feed_path(), parts_.cancelled);
  forecast.check();
  require_physical(forecast);
  const fs::path file = root_ / "forecasts" / (compact(forecast.initial) + ".forecast");
  write_forecast(forecast, file);
  forecast_ = std::make_shared<RegionalForecast>(open_forecast(file));
  done_ = mark(release);
  auto record = nlohmann::json::parse(read_file(root_ / "feeds" / "newest.json"));
  record["done"] = done_;
  write_file(root_ / "feeds" / "newest.json", record.dump(2) + "\n");
  keep_newest(kept_forecasts);
}

void ForecastSchedule::keep_newest(std::size_t count) const {
  const auto files = forecast_files(root_ / "forecasts");
  for (std::size_t i = 0; i + count < files.size(); ++i) {
    std::error_code ignored;
    fs::remove(files[i], ignored);
  }
}

}  // namespace zonda::edge
