#include "model/training/checkpoint.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/provenance.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/tensor/memory.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

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

std::vector<TensorShape> checkpoint_shapes(const ParameterStore& store, std::span<const TensorShape> more) {
  std::vector<TensorShape> shapes;
  for (const Part& part : parts(store))
    for (TensorShape& shape : parameter_shapes(store, part.name)) shapes.push_back(std::move(shape));
  shapes.insert(shapes.end(), more.begin(), more.end());
  return shapes;
}

namespace {

/// Whole runs of a parameter of which each rank of `heads` holds a part: this rank gets some of them with the numbers
/// of all parts. Returns the first one's number in the whole.
std::size_t gather_runs(const ParameterCut& cut, std::int64_t first, std::span<const float> mine,
                        const parallel::Communicator& heads, std::vector<float>& whole) {
  const auto run = static_cast<std::size_t>(cut.run()), runs = mine.size() / run;
  const auto ranks = static_cast<std::size_t>(heads.size());
  const parallel::Range here = parallel::partition(runs, ranks, static_cast<std::size_t>(heads.rank()));
  std::vector<std::size_t> sent{0}, received{0};
  for (std::size_t r = 0; r < ranks; ++r) {
    sent.push_back(parallel::partition(runs, ranks, r).end * run * sizeof(float));
    received.push_back((r + 1) * here.size() * run * sizeof(float));
  }
  std::vector<float> incoming(ranks * here.size() * run);
  heads.all_to_all(std::as_bytes(mine), sent, std::as_writable_bytes(std::span(incoming)), received).wait();
  whole.resize(incoming.size());
  for (std::size_t r = 0; r < ranks; ++r)
    cut.put(static_cast<std::int64_t>(r), std::span(incoming).subspan(r * here.size() * run, here.size() * run), whole);
  return (static_cast<std::size_t>(first) + here.begin * run) * ranks;
}

}  // namespace

CheckpointParts checkpoint_parts(const ParameterStore& store, std::span<const ArenaRange> ranges,
                                 const parallel::Communicator& heads) {
  CheckpointParts parts_here;
  std::vector<CheckpointPart>& list = parts_here.list;
  std::size_t before = 0;
  for (const Part& part : parts(store)) {
    for (const ArenaRange range : ranges)
      for_parameters_within(
          store, range.first, range.count, [&](std::size_t parameter, std::int64_t first, std::int64_t numbers) {
            const Parameter& p = store.list()[parameter];
            const Tensor here = part.arena.slice(p.offset + first, numbers);
            if (!p.cut) {
              if (heads.is_root()) list.push_back({before + parameter, static_cast<std::size_t>(first), here});
            } else if (p.cut->together()) {
              list.push_back({before + parameter, static_cast<std::size_t>(p.cut->index(first)), here});
            } else {
              std::vector<float> whole;
              const std::size_t at = gather_runs(*p.cut, first, here.span<float>(), heads, whole);
              if (whole.empty()) return;
              parts_here.gathered.push_back(std::move(whole));
              std::vector<float>& kept = parts_here.gathered.back();
              list.push_back({before + parameter, at, Tensor::of(std::span(kept), {std::ssize(kept)})});
            }
          });
    before += store.list().size();
  }
  return parts_here;
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

void settle_checkpoints(const fs::path& directory, std::int64_t step, const CheckpointConfig& config) {
  const std::string name = fmt::format("step-{}\n", step);
  if (!fs::exists(directory / "LATEST") || read_file(directory / "LATEST") != name)
    write_file(directory / "LATEST", name);
  prune_checkpoints(directory, config);
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
                                 ParameterStore& store, std::span<const ArenaRange> values,
                                 std::span<const ArenaRange> optimiser) {
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
    for (const Part& part : parts(store))
      for (const ArenaRange range : std::string_view(part.name) == "value" ? values : optimiser)
        read_parameters(folder, store, part.arena, part.name, range.first, range.count);
    return header.at("position").get<TrainingPosition>();
  } catch (const json::exception& error) {
    fail(ErrorKind::data, "{}: not a training checkpoint: {}", path.string(), error.what());
  }
}

void read_checkpoint_numbers(const fs::path& directory, std::int64_t step, const std::string& name, std::size_t first,
                             std::span<float> numbers) {
  TensorFolder(folder_of(directory, step)).read_range(name, first, numbers);
}

CheckpointWriter::CheckpointWriter(fs::path directory, const TrainingIdentity& identity, const CheckpointConfig& config,
                                   const parallel::Communicator& ranks, json made_on)
    : directory_(std::move(directory)),
      identity_(identity),
      config_(config),
      ranks_(ranks),
      made_on_(std::move(made_on)) {}

CheckpointWriter::~CheckpointWriter() {
  if (thread_.joinable()) thread_.join();
}

fs::path CheckpointWriter::folder() const {
  return folder_of(directory_, position_.step);
}

void CheckpointWriter::begin(const TrainingPosition& position, std::vector<TensorShape> shapes,
                             std::span<const CheckpointPart> parts, Memory& memory, std::vector<fs::path> logs) {
  complete(false);
  const auto begin = Clock::now();
  position_ = position;
  shapes_ = std::move(shapes);
  logs_ = std::move(logs);
  pieces_.clear();
  error_.clear();
  written_ = 0;
  std::size_t total = 0;
  for (const CheckpointPart& part : parts) {
    const auto count = static_cast<std::size_t>(part.numbers.count());
    pieces_.push_back({part.tensor, part.first, total, count});
    total += count;
  }
  snapshot_.resize(total);
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    Memory& from = parts[i].numbers.device == Device::cpu ? host_memory() : memory;
    from.copy_out(snapshot_.data() + pieces_[i].at, parts[i].numbers.data, parts[i].numbers.bytes());
  }
  stage_ = Stage::numbers;
  start(&CheckpointWriter::write_numbers);
  stalled_ = seconds_since(begin);
}

void CheckpointWriter::start(void (CheckpointWriter::*work)()) {
  working_ = true;
  thread_ = std::thread([this, work] {
    const auto begin = Clock::now();
    try {
      (this->*work)();
    } catch (const std::exception& error) {
      error_ = error.what();
    }
    written_ += seconds_since(begin);
    working_ = false;
  });
}

void CheckpointWriter::write_numbers() {
  TensorPartsWriter file(folder(), ranks_.rank());
  for (const Piece& piece : pieces_)
    file.write(piece.tensor, piece.first, std::span<const float>(snapshot_).subspan(piece.at, piece.count));
  table_ = file.close();
}

void CheckpointWriter::write_folder() {
  for (const fs::path& log : logs_) sync_path(log);
  const json header = {{"kind", checkpoint_kind},
                       {"code", code_version()},
                       {"archive", identity_.archive},
                       {"configuration", identity_.configuration},
                       {"configuration_hash", identity_.hash()},
                       {"made_on", made_on_},
                       {"position", position_}};
  commit_tensor_folder(folder(), header, shapes_, tables_);
  settle_checkpoints(directory_, position_.step, config_);
}

void CheckpointWriter::proceed(bool required) {
  if (!pending()) return;
  const auto begin = Clock::now();
  if (thread_.joinable()) thread_.join();
  if (stage_ == Stage::numbers) {
    const std::string mine = json{{"error", error_}, {"table", error_.empty() ? table_ : json()}}.dump();
    const auto all = ranks_.all_gather_variable(std::as_bytes(std::span(mine)));
    stage_ = Stage::folder;
    if (ranks_.is_root()) {
      error_.clear();
      tables_.clear();
      for (std::size_t rank = 0; rank < all.size(); ++rank) {
        json of_rank = json::parse(reinterpret_cast<const char*>(all[rank].data()),
                                   reinterpret_cast<const char*>(all[rank].data()) + all[rank].size());
        if (const auto message = of_rank.at("error").get<std::string>(); !message.empty() && error_.empty())
          error_ = all.size() > 1 ? fmt::format("rank {}: {}", rank, message) : message;
        tables_.push_back(std::move(of_rank.at("table")));
      }
      if (error_.empty()) start(&CheckpointWriter::write_folder);
    }
    stalled_ += seconds_since(begin);
    return;
  }
  stage_ = Stage::none;
  if (ranks_.is_root() && !error_.empty()) abandon_tensor_folder(folder());
  const auto results = ranks_.all_gather_variable(std::as_bytes(std::span(error_)));
  stalled_ += seconds_since(begin);
  if (results[0].empty()) return;
  const std::string error(reinterpret_cast<const char*>(results[0].data()), results[0].size());
  if (required) fail(ErrorKind::failure, "the checkpoint of step {} was not written: {}", position_.step, error);
  log::error("the checkpoint of step {} was not written: {}; training goes on, older checkpoints stay", position_.step,
             error);
}

void CheckpointWriter::complete(bool required) {
  while (pending()) proceed(required);
}

}  // namespace zonda::model
