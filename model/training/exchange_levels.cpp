#include "model/training/exchange_levels.hpp"

namespace zonda::model {

using parallel::Axis;

ExchangeLevels exchange_levels(const parallel::MeshShape& mesh, int ranks_per_node) {
  const int between = mesh[Axis::tensor] * mesh[Axis::spatial] * mesh[Axis::pipeline];  // data ranks lie so far apart
  ExchangeLevels levels;
  levels.data = parallel::levels_for(mesh[Axis::data], ranks_per_node / between);
  levels.all = levels.data;
  levels.all.gather_order = levels.data.gathers();
  if (mesh[Axis::spatial] == 1) return levels;
  if (mesh[Axis::data] == 1) {
    levels.all = parallel::Levels{.sizes = {mesh[Axis::spatial]}};
    return levels;
  }
  // Slabs are neighbours in a node: gathered last.
  levels.all.gather_order.push_back(levels.all.sizes.size());
  levels.all.sizes.push_back(mesh[Axis::spatial]);
  return levels;
}

TrainingRanks in_levels(TrainingRanks ranks, const parallel::MeshShape& mesh, int ranks_per_node) {
  const ExchangeLevels levels = exchange_levels(mesh, ranks_per_node);
  ranks.data = parallel::in_levels(ranks.data, levels.data);
  if (ranks.beside) ranks.beside->data = parallel::in_levels(ranks.beside->data, levels.data);
  // A few slabs and data ranks that share a node gain nothing.
  if (levels.data.sizes.size() > 1 || ranks.all.size() > ranks_per_node)
    ranks.all = parallel::in_levels(ranks.all, levels.all);
  return ranks;
}

}  // namespace zonda::model
