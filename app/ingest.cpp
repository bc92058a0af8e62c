#include "ingest/pipeline/ingest.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/stages.hpp"
#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/share.hpp"
#include "ingest/sources/path_pattern.hpp"

namespace zonda::app {
namespace {

void check_archive(const RunDirectory& directory, const Session& session) {
  const ingest::VerifyReport report = ingest::verify_ingest(session.world, directory.archive());
  if (session.json) {
    const nlohmann::ordered_json record{
        {"files", report.files}, {"chunks", report.chunks}, {"bytes", report.bytes}, {"faults", report.faults}};
    print_result(session, record.dump(2));
  } else {
    print_result(session, report.to_string());
  }
  if (!report.faults.empty()) {
    fail(ErrorKind::data, "{}: {} faults; the first: {}", directory.archive().string(), report.faults.size(),
         report.faults.front());
  }
}

/// inputs.json: size and SHA-256 of the source files, for the provenance. Files that were hashed before and have their
/// size still are not read again.
void record_sources(const ingest::IngestConfig& config, const RunDirectory& directory, const Session& session) {
  if (!session.speaks()) return;
  const std::filesystem::path path = directory.root / "inputs.json";
  nlohmann::ordered_json before = nlohmann::ordered_json::object(), inputs = before;
  if (std::filesystem::exists(path)) before = nlohmann::ordered_json::parse(read_file(path), nullptr, false);
  for (const ingest::SourceConfig& source : config.sources) {
    for (const std::string& pattern : source.path) {
      for (const std::filesystem::path& file : ingest::match_pattern(pattern)) {
        if (std::filesystem::is_directory(file))
          continue;  // a Zarr store: its chunks are named by the archive's journal
        const auto bytes = std::filesystem::file_size(file);
        const std::string name = file.string();
        const bool known =
            before.is_object() && before.contains(name) && before[name].value("bytes", std::uintmax_t{0}) == bytes;
        inputs[name] = known ? before[name] : nlohmann::ordered_json{{"bytes", bytes}, {"sha256", sha256_file(file)}};
      }
    }
  }
  write_file(path, inputs.dump(2) + "\n");
}

}  // namespace

void ingest(const RunFile& run_file, const RunDirectory& directory, const Session& session) {
  ingest::run_ingest(*run_file.sections.ingest, session.world, directory.archive());
  record_sources(*run_file.sections.ingest, directory, session);
}

Verb ingest_verb() {
  struct Words : RunFileWords {
    std::string part = "all", share;
  };
  return {"ingest", "Sources to archive", "zonda ingest configs/quickstart.yaml",
          [](CLI::App& command, Session& session) {
            auto words = std::make_shared<Words>();
            add_run_file_words(command, *words);
            command.add_option("--part", words->part, "all, plan, load, finalise, append or verify")
                ->check(CLI::IsMember({"all", "plan", "load", "finalise", "append", "verify"}))
                ->capture_default_str();
            command.add_option("--share", words->share, "With --part load: i/N, this job's share of the work units");
            return [&session, words] {
              const RunFile run_file = load_run_file(*words);
              require_section(run_file, run_file.sections.ingest.has_value(), "ingest");
              const ingest::IngestConfig& config = *run_file.sections.ingest;
              if (words->part == "plan") return print_result(session, ingest::plan_ingest(config).to_string());
              const Share share = words->share.empty() ? Share{} : parse_share(words->share);
              const RunDirectory directory = open_run_directory(run_file, session.world);
              if (words->part == "verify") return check_archive(directory, session);
              if (words->part == "load") return ingest::load_ingest(config, session.world, directory.archive(), share);
              if (words->part == "finalise") return ingest::finalise_ingest(config, session.world, directory.archive());
              if (words->part == "append") return ingest::append_ingest(config, session.world, directory.archive());
              ingest(run_file, directory, session);
            };
          }};
}

}  // namespace zonda::app
