#include "inference/edge/station/slots.hpp"

#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

namespace {

/// Names come from a network; they stay within their folder.
void require_plain_name(const std::string& name) {
  const bool plain =
      !name.empty() && name.front() != '.' && name.size() < 200 &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == std::string::npos;
  if (!plain) fail(ErrorKind::data, "'{:.80}' is no name of a file in a bundle", name);
}

}  // namespace

std::string_view to_string(Slot slot) {
  return slot == Slot::a ? "a" : "b";
}

Slots::Slots(fs::path root) : root_(std::move(root)) {
  std::error_code error;
  fs::create_directories(root_, error);
  if (error) fail(ErrorKind::failure, "{}: cannot make the folder: {}", root_.string(), error.message());
}

fs::path Slots::path(Slot slot) const {
  return root_ / to_string(slot);
}

fs::path Slots::record(Slot slot) const {
  return root_ / (std::string(to_string(slot)) + ".json");
}

std::optional<Release> Slots::release(Slot slot) const {
  if (!fs::exists(record(slot))) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(read_file(record(slot)));
    Release release{json.at("name"), json.at("version"), {}};
    for (const auto& file : json.at("files"))
      release.files.push_back({file.at("name"), {file.at("url"), file.at("sha256"), file.at("bytes")}});
    for (const Release::File& file : release.files) {
      std::error_code missing;
      if (fs::file_size(path(slot) / file.name, missing) != file.content.bytes || missing) return std::nullopt;
    }
    return release;
  } catch (const nlohmann::json::exception& damage) {
    log::warning("{}: damaged ({}); the slot counts as empty", record(slot).string(), damage.what());
    return std::nullopt;
  }
}

std::optional<Slot> Slots::serving() const {
  std::error_code missing;
  const fs::path target = fs::read_symlink(root_ / "serving", missing);
  if (missing) return std::nullopt;
  for (const Slot slot : {Slot::a, Slot::b}) {
    if (target == to_string(slot) && release(slot)) return slot;
  }
  return std::nullopt;
}

Slot Slots::spare() const {
  return other(serving().value_or(Slot::b));
}

void Slots::fill(Slot slot, const Release& release, const ContentStore& store) {
  for (const Release::File& file : release.files) require_plain_name(file.name);
  empty(slot);
  nlohmann::json files = nlohmann::json::array();
  for (const Release::File& file : release.files) {
    store.link(file.content.sha256, path(slot) / file.name);
    files.push_back({{"name", file.name},
                     {"url", file.content.url},
                     {"sha256", file.content.sha256},
                     {"bytes", file.content.bytes}});
  }
  for (const auto& entry : fs::recursive_directory_iterator(path(slot))) {
    if (entry.is_directory()) sync_path(entry.path());
  }
  sync_path(path(slot));
  write_file(record(slot),
             nlohmann::json{{"name", release.name}, {"version", release.version}, {"files", files}}.dump(2) + "\n");
}

void Slots::serve(Slot slot) {
  const fs::path link = root_ / "serving", temporary = root_ / ".serving.tmp";
  std::error_code error;
  fs::remove(temporary, error);
  fs::create_symlink(to_string(slot), temporary, error);
  if (!error) fs::rename(temporary, link, error);
  if (error)
    fail(ErrorKind::failure, "{}: cannot be set to slot {}: {}", link.string(), to_string(slot), error.message());
  sync_path(root_);
}

void Slots::empty(Slot slot) {
  if (serving() == slot) fail(ErrorKind::failure, "slot {} serves; it cannot be emptied", to_string(slot));
  std::error_code error;
  fs::remove(record(slot), error);
  sync_path(root_);
  fs::remove_all(path(slot), error);
  if (error) fail(ErrorKind::failure, "{}: cannot be emptied: {}", path(slot).string(), error.message());
}

}  // namespace zonda::edge
