#pragma once
// The stages of a run file as a workflow for jobs/.
#include "app/stages.hpp"
#include "core/share.hpp"
#include "jobs/workflow.hpp"

namespace zonda::app {

/// A chain: each stage reads what the one before wrote. The three references must outlive it. `share`: of the stages
/// that can be cut.
jobs::Workflow make_workflow(const RunFile& run_file, const RunDirectory& directory, const Session& session,
                             Share share = {});

/// All stages that a run file may have, in order.
const std::vector<std::string>& known_stages();

}  // namespace zonda::app
