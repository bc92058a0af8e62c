#include "model/network/layer_cut.hpp"

#include <algorithm>

#include "model/network/token_move.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t fewest_rows = 16;        // of a part: products' rows do not depend on others from here on
constexpr std::int64_t fewest_inner_rows = 64;  // of those worked on meanwhile
constexpr std::size_t most_runs = 8;

/// Sequences [begin, end) of one kind.
struct Run {
  std::size_t begin, end;
  bool edge;
};

std::vector<bool> of_sequences(const SequenceTable& table, const LayerCut::Portions& rows) {
  std::vector<bool> any(static_cast<std::size_t>(table.sequences()));
  for (std::size_t s = 0; s < any.size() && !rows.empty(); ++s)
    any[s] =
        std::any_of(rows.begin() + table.offsets[s], rows.begin() + table.offsets[s + 1], [](int p) { return p >= 0; });
  return any;
}

bool all(const std::vector<bool>& flags) {
  return std::all_of(flags.begin(), flags.end(), [](bool b) { return b; });
}

bool none_of(const std::vector<bool>& flags) {
  return std::none_of(flags.begin(), flags.end(), [](bool b) { return b; });
}

std::vector<Run> runs_of(const std::vector<bool>& edge) {
  std::vector<Run> runs;
  for (std::size_t s = 0; s < edge.size(); ++s)
    if (runs.empty() || runs.back().edge != edge[s])
      runs.push_back({s, s + 1, edge[s]});
    else
      runs.back().end = s + 1;
  return runs;
}

}  // namespace

LayerCut LayerCut::around_the_edge(const LayerTokens& tokens, const Portions& arriving, const Portions& leaving) {
  const SequenceTable& table = tokens.table();
  if (table.sequences() == 0) return {};
  const std::vector<bool> needs = of_sequences(table, arriving), gives = of_sequences(table, leaving);
  const bool all_need = all(needs), all_give = all(gives);
  std::vector<bool> edge(needs.size());
  for (std::size_t s = 0; s < edge.size(); ++s) edge[s] = (needs[s] && !all_need) || (gives[s] && !all_give);
  const bool may_be_before = !all_need && !none_of(needs), may_be_behind = !all_give && !none_of(gives);
  const auto rows = [&](const Run& run) { return std::int64_t{table.offsets[run.end]} - table.offsets[run.begin]; };
  const std::vector<Run> runs = runs_of(edge);
  std::int64_t inner = 0;
  for (const Run& run : runs)
    if (!run.edge) inner += rows(run);
  if (none_of(edge) || inner < fewest_inner_rows || runs.size() > most_runs ||
      std::any_of(runs.begin(), runs.end(), [&](const Run& run) { return rows(run) < fewest_rows; }))
    return {};

  LayerCut cut;
  cut.turns_ = {{"forward, while rows come", {}}, {"forward, the edge", {}}, {"forward, while rows go", {}}};
  enum { before, at_the_edge, behind };
  const auto add = [&](std::size_t turn, const Run& run) {
    cut.turns_[turn].parts.push_back({table.offsets[run.begin], tokens.part(run.begin, run.end)});
  };
  std::int64_t ahead = may_be_before ? (may_be_behind ? inner / 2 : inner) : 0;  // rows still to be worked on before
  for (const Run& run : runs) {
    if (run.edge) {
      add(at_the_edge, run);
    } else if (ahead <= 0) {
      add(behind, run);
    } else {
      Run first = run, second = run;
      while (first.end > first.begin + 1 && rows({first.begin, first.end - 1, false}) >= ahead) --first.end;
      second.begin = first.end;
      if (first.end < run.end && (rows(first) < fewest_rows || rows(second) < fewest_rows)) first = run;
      add(before, first);
      if (first.end < run.end) add(behind, second);
      ahead -= rows(first);
    }
  }
  cut.settle(arriving, leaving);
  return cut;
}

LayerCut LayerCut::in_halves(const LayerTokens& tokens, const Portions& arriving, const Portions& leaving) {
  const auto all = static_cast<std::size_t>(tokens.table().sequences()), half = tokens.first_half();
  LayerCut cut;
  if (half == 0 || half == all) return cut;
  cut.turns_ = {{"forward, the first half", {{0, tokens.part(0, half)}}},
                {"forward, the second half", {{tokens.table().offsets[half], tokens.part(half, all)}}}};
  cut.settle(arriving, leaving);
  return cut;
}

/// A turn gives what no later one has rows of, and needs at least what those before it did.
void LayerCut::settle(const Portions& arriving, const Portions& leaving) {
  const auto for_rows = [](const Turn& turn, const Portions& portions, auto&& use) {
    for (const Part& part : turn.parts)
      for (std::int64_t row = part.first; row < part.first + part.table.token_count() && !portions.empty(); ++row)
        use(portions[static_cast<std::size_t>(row)]);
  };
  int needed = -1;
  for (Turn& turn : turns_) {
    for_rows(turn, arriving, [&](int portion) { needed = std::max(needed, portion); });
    turn.needs = static_cast<std::size_t>(needed + 1);
  }
  int later = static_cast<int>(TokenMove::most_portions);
  for (auto turn = turns_.rbegin(); turn != turns_.rend(); ++turn) {
    turn->gives = static_cast<std::size_t>(later);
    for_rows(*turn, leaving, [&](int portion) { later = portion < 0 ? later : std::min(later, portion); });
  }
}

std::size_t LayerCut::bytes() const {
  std::size_t bytes = 0;
  for (const Turn& turn : turns_)
    for (const Part& part : turn.parts) bytes += 4 * (part.table.tokens.size() + part.table.offsets.size());
  return bytes;
}

}  // namespace zonda::model
