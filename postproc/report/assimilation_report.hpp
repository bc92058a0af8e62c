#pragma once
// The part of the report about a cycle of analyses, out of its files alone: assimilation.json, NAME/summary.json,
// NAME/cycles.jsonl, NAME/analysis_*.nc.
#include <filesystem>

#include "postproc/report/html_page.hpp"

namespace zonda::postproc {

/// Adds the sections `analyses`, `ensembles`, `departures` and `increments` to the page; pictures go to
/// run_dir/report. Throws Error(data) where a file is missing or damaged.
void add_assimilation(HtmlPage& page, const std::filesystem::path& run_dir, bool coastlines);

}  // namespace zonda::postproc
