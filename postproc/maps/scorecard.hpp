#pragma once
// Scorecard: a table of coloured cells, better in blue, worse in red.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace zonda::postproc {

struct Scorecard {
  std::string title, subtitle;
  std::vector<std::string> columns;  ///< "6 h", "24 h" ...
  struct Row {
    std::string label;
    std::vector<std::optional<double>>
        values;  ///< change against the reference in percent; negative = better; empty = no value
  };
  std::vector<Row> rows;
};

/// Deterministic bytes. Throws Error(usage) for a row whose length differs from the columns'.
void draw_scorecard(const Scorecard& card, const std::filesystem::path& png);

}  // namespace zonda::postproc
