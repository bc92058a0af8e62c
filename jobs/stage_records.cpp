#include "jobs/stage_records.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace zonda::jobs {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

Json to_json(const StageRecord& record) {
  return {{"fingerprint", record.fingerprint},
          {"seconds", record.seconds},
          {"peak_memory_bytes", record.peak_memory_bytes}};
}

StageRecord from_json(const Json& json) {
  return {json.value("fingerprint", ""), json.value("seconds", 0.0), json.value("peak_memory_bytes", std::size_t{0})};
}

Json read_record(const fs::path& path) {
  Json record = Json::parse(read_file(path), nullptr, false);
  if (!record.is_object())
    fail(ErrorKind::data, "{}: not a record of stages; remove it to run them again", path.string());
  return record;
}

/// All shares of a cut as one record.
StageRecord together(const std::map<std::size_t, StageRecord>& cut) {
  StageRecord all = cut.begin()->second;
  all.seconds = 0;
  for (const auto& [i, record] : cut) {
    all.seconds += record.seconds;
    all.peak_memory_bytes = std::max(all.peak_memory_bytes, record.peak_memory_bytes);
  }
  return all;
}

}  // namespace

fs::path exit_code_file(const fs::path& run_directory, const std::string& stage, Share share) {
  const std::string name = share.whole() ? stage : fmt::format("{}.{}-of-{}", stage, share.i, share.of);
  return run_directory / "stages" / (name + ".exit");
}

std::optional<int> recorded_exit_code(const fs::path& run_directory, const std::string& stage, std::size_t shares) {
  for (std::size_t i = 0; i < shares; ++i) {
    const fs::path path = exit_code_file(run_directory, stage, shares == 1 ? Share{} : Share{i, shares});
    if (!fs::exists(path)) continue;
    const std::string text = read_file(path);
    int code = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), code).ec == std::errc{}) return code;
  }
  return std::nullopt;
}

void record_exit_code(const fs::path& run_directory, const std::string& stage, Share share, int exit_code) {
  std::error_code ignored;
  if (exit_code == static_cast<int>(ErrorKind::temporary)) {
    fs::remove(exit_code_file(run_directory, stage, share), ignored);  // of an earlier try
    return;
  }
  fs::create_directories(run_directory / "stages", ignored);
  try {
    write_file(exit_code_file(run_directory, stage, share), fmt::format("{}\n", exit_code));
  } catch (const Error& error) {  // the stage's own is what ends the run
    log::warning("{}", error.what());
  }
}

StageRecords::StageRecords(fs::path run_directory) : directory_(std::move(run_directory)) {
  try {
    if (const fs::path path = directory_ / "stages.json"; fs::exists(path)) {
      const Json stages = read_record(path);
      for (const auto& [stage, record] : stages.items()) whole_[stage] = from_json(record);
    }
    if (!fs::is_directory(directory_ / "stages")) return;
    for (const auto& entry : fs::directory_iterator(directory_ / "stages")) {
      if (entry.path().extension() != ".json" || entry.path().filename().string().starts_with('.')) continue;
      const Json record = read_record(entry.path());
      const Share share = parse_share(record.value("share", ""));
      cuts_[record.value("stage", "")][share.of][share.i] = from_json(record);
    }
  } catch (const Json::exception&) {
    fail(ErrorKind::data, "{}: the records of stages are damaged; remove stages.json and stages/ to run them again",
         directory_.string());
  }
}

std::size_t StageRecords::shares_done(const std::string& stage, const std::string& fingerprint, std::size_t of) const {
  const auto cuts = cuts_.find(stage);
  if (cuts == cuts_.end()) return 0;
  const auto cut = cuts->second.find(of);
  if (cut == cuts->second.end()) return 0;
  return static_cast<std::size_t>(std::count_if(cut->second.begin(), cut->second.end(), [&](const auto& share) {
    return share.second.fingerprint == fingerprint;
  }));
}

bool StageRecords::done(const std::string& stage, const std::string& fingerprint) const {
  if (const auto record = whole_.find(stage); record != whole_.end() && record->second.fingerprint == fingerprint)
    return true;
  const auto cuts = cuts_.find(stage);
  return cuts != cuts_.end() && std::any_of(cuts->second.begin(), cuts->second.end(), [&](const auto& cut) {
           return shares_done(stage, fingerprint, cut.first) == cut.first;
         });
}

std::vector<std::string> StageRecords::finished(const Workflow& workflow) const {
  std::vector<std::string> finished;
  for (const std::size_t i : workflow.order()) {
    const Stage& stage = workflow.stages()[i];
    const bool before = std::all_of(stage.after.begin(), stage.after.end(), [&](const std::string& name) {
      return std::find(finished.begin(), finished.end(), name) != finished.end();
    });
    const bool there =
        std::all_of(stage.results.begin(), stage.results.end(), [](const fs::path& path) { return fs::exists(path); });
    if (before && there && done(stage.name, stage.fingerprint)) finished.push_back(stage.name);
  }
  return finished;
}

void StageRecords::add_share(const std::string& stage, Share share, const StageRecord& record) const {
  fs::create_directories(directory_ / "stages");
  Json json{{"stage", stage}, {"share", share.to_string()}};
  json.update(to_json(record));
  write_file(directory_ / "stages" / fmt::format("{}.{}-of-{}.json", stage, share.i, share.of), json.dump(2) + "\n");
}

void StageRecords::add(const std::string& stage, const StageRecord& record, const std::vector<std::string>& kept) {
  std::map<std::string, StageRecord> all;
  for (const std::string& name : kept) {
    if (const auto whole = whole_.find(name); whole != whole_.end()) {
      all[name] = whole->second;
    } else if (const auto cuts = cuts_.find(name); cuts != cuts_.end()) {
      for (const auto& [of, cut] : cuts->second)
        if (cut.size() == of) all[name] = together(cut);
    }
  }
  all[stage] = record;
  whole_ = std::move(all);
  Json json = Json::object();
  for (const auto& [name, each] : whole_) json[name] = to_json(each);
  write_file(directory_ / "stages.json", json.dump(2) + "\n");
}

}  // namespace zonda::jobs
