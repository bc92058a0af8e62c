#include "assimilation/cycling/member_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "assimilation/cycling/state_file.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "parallel/together.hpp"

namespace zonda::assimilation {

namespace fs = std::filesystem;

namespace {

constexpr const char* record_name = "cycle.json";
constexpr const char* mean_error_name = "mean-error.state";

fs::path member_file(const fs::path& folder, std::size_t k) {
  return folder / fmt::format("member_{:03d}.state", k);
}

/// Folders with a record, by name and so by time.
std::vector<fs::path> whole_folders(const fs::path& root) {
  std::vector<fs::path> folders;
  if (!fs::exists(root)) return folders;
  for (const auto& entry : fs::directory_iterator(root))
    if (fs::exists(entry.path() / record_name)) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace

MemberFiles::MemberFiles(fs::path root, const AtmosphereModel& model, parallel::Communicator communicator)
    : root_(std::move(root)),
      identity_(model.identity),
      state_size_(model.layout.state_size()),
      communicator_(std::move(communicator)) {}

fs::path MemberFiles::folder(Time time) const {
  return root_ / compact(time);
}

void MemberFiles::write(Time time, const Ensemble& ensemble, const CarriedStates& carried,
                        const nlohmann::ordered_json& record, std::size_t keep) const {
  parallel::together(communicator_, [&] {
    fs::create_directories(folder(time));
    for (std::size_t k = 0; k < ensemble.own().size(); ++k) {
      const std::size_t member = ensemble.own().begin + k;
      write_state(member_file(folder(time), member), {identity_, time, fmt::format("member {}", member)},
                  ensemble.member(k));
    }
  });
  parallel::together(communicator_, [&] {
    if (!communicator_.is_root()) return;
    if (!carried.truth.empty()) write_state(folder(time) / truth_name, {identity_, time, "truth"}, carried.truth);
    if (!carried.learned.empty())
      write_state(folder(time) / "learned.state", {identity_, time, "learned by the analysis"}, carried.learned);
    if (!carried.mean_error.empty())
      write_state(folder(time) / mean_error_name, {identity_, time, "mean error of the model's step"},
                  carried.mean_error);
    write_file(folder(time) / record_name, record.dump(1) + "\n");
    std::vector<fs::path> folders = whole_folders(root_);
    if (keep == 0 || folders.size() <= keep) return;
    folders.resize(folders.size() - keep);
    for (const fs::path& old : folders) {
      fs::remove(old / record_name);  // first: what is left of a folder is then not taken for a whole one
      fs::remove_all(old);
    }
  });
}

std::optional<Time> MemberFiles::last() const {
  std::optional<Time> time;
  parallel::together(communicator_, [&] {
    const std::vector<fs::path> folders = whole_folders(root_);
    if (folders.empty()) return;
    const auto json = nlohmann::ordered_json::parse(read_file(folders.back() / record_name), nullptr, false);
    if (!json.is_object() || !json.contains("time"))
      fail(ErrorKind::data, "{}: damaged", (folders.back() / record_name).string());
    time = parse_time(json["time"].get<std::string>());
  });
  return time;
}

nlohmann::ordered_json MemberFiles::record(Time time) const {
  return nlohmann::ordered_json::parse(read_file(folder(time) / record_name));
}

void MemberFiles::read(Time time, Ensemble& ensemble) const {
  parallel::together(communicator_, [&] { read_members(folder(time), identity_, time, ensemble); });
}

Vector MemberFiles::read_truth(Time time) const {
  return read_state(folder(time) / truth_name, identity_, time, state_size_);
}

Vector MemberFiles::read_mean_error(Time time, std::size_t size) const {
  return read_state(folder(time) / mean_error_name, identity_, time, size);
}

Vector MemberFiles::read_learned(Time time, std::size_t size) const {
  return read_state(folder(time) / "learned.state", identity_, time, size);
}

void MemberFiles::remove_all() const {
  if (communicator_.is_root()) fs::remove_all(root_);
  communicator_.barrier();
}

void read_members(const fs::path& folder, const std::string& identity, Time time, Ensemble& ensemble) {
  for (std::size_t k = 0; k < ensemble.own().size(); ++k)
    copy(read_state(member_file(folder, ensemble.own().begin + k), identity, time, ensemble.state_size()),
         ensemble.member(k));
}

}  // namespace zonda::assimilation
