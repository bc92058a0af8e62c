#pragma once
// The chain of jobs for the workflow managers of weather services: ecFlow and Cylc 8.
#include <filesystem>
#include <vector>

#include "jobs/batch_job.hpp"

namespace zonda::jobs {

/// `folder`/NAME.def (suite, families for stages cut into shares, triggers), NAME/ with a task script (.ecf) each, and
/// include/head.h, tail.h. Returns the files. https://ecflow.readthedocs.io
std::vector<std::filesystem::path> write_ecflow(const Site& site, const std::vector<BatchJob>& jobs,
                                                const JobFolders& folders, const std::filesystem::path& folder);

/// `folder`/flow.cylc. Returns the file. https://cylc.github.io
std::vector<std::filesystem::path> write_cylc(const Site& site, const std::vector<BatchJob>& jobs,
                                              const JobFolders& folders, const std::filesystem::path& folder);

}  // namespace zonda::jobs
