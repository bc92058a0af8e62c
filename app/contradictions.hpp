#pragma once
// Sections of a run file that contradict each other: each is right alone, but the stages could not work together.
#include "app/run_file.hpp"

namespace zonda::app {

/// Adds the checks across sections: periods within the archive's, steps that are multiples of the archive's.
void check_contradictions(config::Table& table, const Sections& sections);

}  // namespace zonda::app
