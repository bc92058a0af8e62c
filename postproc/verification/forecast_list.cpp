#include "postproc/verification/forecast_list.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.hpp"
#include "core/grid.hpp"
#include "ingest/sources/source.hpp"
#include "parallel/partition.hpp"

namespace zonda::postproc {
namespace {

using Json = nlohmann::json;

Json to_json(const ForecastFile& file) {
  Json json{{"path", file.path.string()}, {"initial", file.initial.time_since_epoch().count()}, {"grid", file.grid}};
  if (file.member) json["member"] = *file.member;
  for (const Time time : file.valid_times) json["valid"].push_back(time.time_since_epoch().count());
  for (const Channel& channel : file.channels) json["channels"].push_back(channel.name());
  return json;
}

ForecastFile from_json(const Json& json) {
  ForecastFile file;
  file.path = json.at("path").get<std::string>();
  file.initial = Time(Duration(json.at("initial").get<std::int64_t>()));
  file.grid = json.at("grid");
  if (json.contains("member")) file.member = json.at("member").get<int>();
  for (const auto& time : json.at("valid")) file.valid_times.push_back(Time(Duration(time.get<std::int64_t>())));
  for (const auto& name : json.at("channels")) file.channels.push_back(parse_channel(name.get<std::string>()));
  return file;
}

std::string member_name(const ForecastFile& file) {
  return file.member ? fmt::format("member {}", *file.member) : std::string("no member number");
}

}  // namespace

std::vector<ForecastFile> describe_forecasts(const ingest::Source& source, const std::filesystem::path& path) {
  struct Contents {
    std::set<Time> times;
    std::set<Channel> channels;
  };
  std::map<std::pair<Time, std::optional<int>>, Contents> forecasts;
  for (const ingest::FieldKey& key : source.fields()) {
    if (const Variable* info = find_variable(key.channel.variable); info != nullptr && info->is_static) continue;
    if (!key.reference_time)
      fail(ErrorKind::data, "{}: {} has no forecast_reference_time: not a forecast", path.string(), key.channel.name());
    Contents& contents = forecasts[{*key.reference_time, key.member}];
    contents.times.insert(key.valid_time);
    contents.channels.insert(key.channel);
  }
  if (forecasts.empty()) fail(ErrorKind::data, "{}: holds no forecast field of a known variable", path.string());
  std::vector<ForecastFile> files;
  for (const auto& [start, contents] : forecasts) {
    ForecastFile file{path, start.first, start.second, {}, {}, source.grid(*contents.channels.begin()).to_string()};
    file.valid_times.assign(contents.times.begin(), contents.times.end());
    file.channels.assign(contents.channels.begin(), contents.channels.end());
    files.push_back(std::move(file));
  }
  return files;
}

std::vector<ForecastStart> group_by_start(std::vector<ForecastFile> files) {
  std::sort(files.begin(), files.end(), [](const ForecastFile& a, const ForecastFile& b) {
    return std::tie(a.initial, a.member, a.path) < std::tie(b.initial, b.member, b.path);
  });
  std::vector<ForecastStart> starts;
  for (ForecastFile& file : files) {
    if (starts.empty() || starts.back().initial != file.initial) starts.push_back({file.initial, {}});
    auto& members = starts.back().members;
    if (!members.empty() && members.back().member == file.member)
      fail(ErrorKind::data, "{} and {} hold the same forecast: initial time {}, {}", members.back().path.string(),
           file.path.string(), to_string(file.initial), member_name(file));
    members.push_back(std::move(file));
  }
  for (const ForecastStart& start : starts)
    if (start.members.size() != starts.front().members.size())
      fail(ErrorKind::data, "{}: initial time {} has {} members, {} has {}", start.members.front().path.string(),
           to_string(start.initial), start.members.size(), to_string(starts.front().initial),
           starts.front().members.size());
  return starts;
}

std::vector<ForecastStart> list_forecasts(const std::filesystem::path& directory,
                                          const parallel::Communicator& communicator) {
  int kind = 0;
  std::string message;
  std::string mine;
  try {
    std::error_code error;
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
      const std::string name = entry.path().filename().string();
      if (entry.path().extension() == ".nc" && !name.starts_with('.')) paths.push_back(entry.path());
    }
    if (error) fail(ErrorKind::data, "{}: the forecast folder cannot be read: {}", directory.string(), error.message());
    if (paths.empty()) fail(ErrorKind::data, "{}: holds no forecast (*.nc)", directory.string());
    std::sort(paths.begin(), paths.end());
    const auto share = parallel::partition(paths.size(), static_cast<std::size_t>(communicator.size()),
                                           static_cast<std::size_t>(communicator.rank()));
    Json list = Json::array();
    for (std::size_t i = share.begin; i < share.end; ++i)
      for (const ForecastFile& file : describe_forecasts(*ingest::open_source(paths[i]), paths[i]))
        list.push_back(to_json(file));
    mine = list.dump();
  } catch (const Error& error) {
    kind = error.exit_code();
    message = error.what();
  }
  communicator.agree(kind, message);
  std::vector<ForecastFile> files;
  for (const auto& part : communicator.all_gather_variable(std::as_bytes(std::span(mine))))
    for (const auto& item : Json::parse(std::string_view(reinterpret_cast<const char*>(part.data()), part.size())))
      files.push_back(from_json(item));
  return group_by_start(std::move(files));
}

}  // namespace zonda::postproc
