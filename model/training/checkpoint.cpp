#include "model/training/checkpoint.hpp"

#include <algorithm>
#include <charconv>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/provenance.hpp"
#include "model/forecast_state/forecast_model.hpp"

namespace zonda::model {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr const char* checkpoint_kind = "zonda training checkpoint";

fs::path folder_of(const fs::path& directory, std::int64_t step) {
  return directory / fmt::format("step-{}", step);
}

struct Part {
  const char* name;
  Tensor arena;
};

std::vector<Part> parts(const ParameterStore& store) {
  return {{"value", store.values()},
          {"first_moment", store.first_moment()},
          {"second_moment", store.second_moment()},
          {"average", store.average()}};
}

}  // namespace

void to_json(json& j, const TrainingPosition& p) {
  j = {{"step", p.step},       {"updates", p.updates},
       {"phase", p.phase},     {"phase_step", p.phase_step},
       {"seconds", p.seconds}, {"metrics_bytes", p.metrics_bytes},
       {"guard", p.guard},     {"events_bytes", p.events_bytes}};
}

void from_json(const json& j, TrainingPosition& p) {
  j.at("step").get_to(p.step);
  j.at("updates").get_to(p.updates);
  j.at("phase").get_to(p.phase);
  j.at("phase_step").get_to(p.phase_step);
  j.at("seconds").get_to(p.seconds);
  j.at("metrics_bytes").get_to(p.metrics_bytes);
  j.at("events_bytes").get_to(p.events_bytes);
  p.guard = j.at("guard");
}

std::string TrainingIdentity::hash() const {
  return sha256(archive + configuration.dump());
}

void clear_temporary(const fs::path& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error))
    if (entry.path().extension() == ".tmp") {
      log::debug("{}: left by a run that was stopped; removed", entry.path().string());
      fs::remove_all(entry.path(), error);
    }
}

void write_checkpoint(const fs::path& directory, const TrainingIdentity& identity, const TrainingPosition& position,
                      const ParameterStore& store, std::span<const NamedTensor> more) {
  const json header = {{"kind", checkpoint_kind},
                       {"code", code_version()},
                       {"archive", identity.archive},
                       {"configuration", identity.configuration},
                       {"configuration_hash", identity.hash()},
                       {"position", position}};
  std::vector<NamedTensor> tensors;
  std::vector<Buffer> copies;
  for (const Part& part : parts(store))
    for (NamedTensor& tensor : parameter_tensors(store, part.arena, part.name, copies))
      tensors.push_back(std::move(tensor));
  tensors.insert(tensors.end(), more.begin(), more.end());
  write_tensor_folder(folder_of(directory, position.step), header, tensors);
  write_file(directory / "LATEST", fmt::format("step-{}\n", position.step));
}

std::vector<std::int64_t> list_checkpoints(const fs::path& directory) {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = 0;
    if (!name.starts_with("step-")) continue;
    const auto [rest, status] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
    if (status == std::errc() && rest == name.data() + name.size()) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

void prune_checkpoints(const fs::path& directory, const CheckpointConfig& config) {
  const std::vector<std::int64_t> steps = list_checkpoints(directory);
  for (std::size_t i = 0; i + static_cast<std::size_t>(config.keep) < steps.size(); ++i) {
    if (config.keep_every > 0 && steps[i] % config.keep_every == 0) continue;
    // Renamed first: a folder that is half deleted must not look like a checkpoint.
    const fs::path folder = folder_of(directory, steps[i]), aside = folder.string() + ".tmp";
    std::error_code error;
    fs::rename(folder, aside, error);
    fs::remove_all(aside, error);
  }
}

std::optional<std::int64_t> newest_checkpoint(const fs::path& directory) {
  std::vector<std::int64_t> steps = list_checkpoints(directory);
  if (steps.empty()) return std::nullopt;
  for (std::size_t i = steps.size(); i-- > 0;) {
    try {
      TensorFolder(folder_of(directory, steps[i])).verify();
      return steps[i];
    } catch (const Error& error) {
      log::error("checkpoint refused: {}{}", error.what(), i > 0 ? "; falling back to the one before" : "");
    }
  }
  fail(ErrorKind::data, "{}: every checkpoint is damaged; remove the folder to train from the start",
       directory.string());
}

std::string first_difference(const json& there, const json& here, const std::string& prefix) {
  if (there.is_object() && here.is_object()) {
    for (const auto& [key, value] : here.items()) {
      const std::string path = prefix.empty() ? key : prefix + '.' + key;
      if (!there.contains(key)) return path + ": absent there, " + value.dump() + " here";
      if (std::string found = first_difference(there.at(key), value, path); !found.empty()) return found;
    }
    for (const auto& [key, value] : there.items())
      if (!here.contains(key))
        return (prefix.empty() ? key : prefix + '.' + key) + ": " + value.dump() + " there, absent here";
    return {};
  }
  return there == here ? std::string() : prefix + ": " + there.dump() + " there, " + here.dump() + " here";
}

TrainingPosition read_checkpoint(const fs::path& directory, std::int64_t step, const TrainingIdentity& identity,
                                 ParameterStore& store) {
  const fs::path path = folder_of(directory, step);
  const TensorFolder folder(path);
  const json& header = folder.header();
  try {
    if (const std::string kind = header.value("kind", "unknown"); kind != checkpoint_kind)
      fail(ErrorKind::data, "{}: is a '{}', expected a '{}'", path.string(), kind, checkpoint_kind);
    if (const auto archive = header.at("archive").get<std::string>(); archive != identity.archive)
      fail(ErrorKind::data, "{}: a checkpoint of a model trained on archive {}, this archive is {}", path.string(),
           archive.substr(0, 16), identity.archive.substr(0, 16));
    if (const std::string difference = first_difference(header.at("configuration"), identity.configuration);
        !difference.empty())
      fail(ErrorKind::usage,
           "{}: a checkpoint of another model or configuration: {}. Undo the change, or train into another directory",
           path.string(), difference);
    for (const Part& part : parts(store)) read_parameters(folder, store, part.arena, part.name);
    return header.at("position").get<TrainingPosition>();
  } catch (const json::exception& error) {
    fail(ErrorKind::data, "{}: not a training checkpoint: {}", path.string(), error.what());
  }
}

void read_checkpoint_rows(const fs::path& directory, std::int64_t step, const std::string& name, std::size_t first,
                          std::size_t rows, std::span<float> values) {
  TensorFolder(folder_of(directory, step)).read_rows(name, first, first + rows, values);
}

}  // namespace zonda::model
