#pragma once
// The stages of the main job as functions of a run file; each is defined in the file of its verb.
#include "app/run_directory.hpp"
#include "app/run_file.hpp"
#include "app/verb.hpp"
#include "core/share.hpp"

namespace zonda::app {

void simulate(const RunFile& run_file, const RunDirectory& directory, const Session& session);
void ingest(const RunFile& run_file, const RunDirectory& directory, const Session& session);
void train(const RunFile& run_file, const RunDirectory& directory, const Session& session, bool resume);
void distill(const RunFile& run_file, const RunDirectory& directory, const Session& session, bool resume);
void cycle(const RunFile& run_file, const RunDirectory& directory, const Session& session, bool resume);
/// `share`: of the initial times, in a job array.
void forecast(const RunFile& run_file, const RunDirectory& directory, const Session& session, Share share = {});
void verify(const RunFile& run_file, const RunDirectory& directory, const Session& session);
void report(const RunFile& run_file, const RunDirectory& directory, const Session& session);

/// The closing table: model, persistence and climatology for the headline channel.
void print_headline(const RunFile& run_file, const RunDirectory& directory, const Session& session);

}  // namespace zonda::app
