#pragma once
// How gradients and weights go over many ranks: in levels, where nodes or numbers ask for it.
#include "model/training/parameter_shares.hpp"
#include "parallel/layout/mesh.hpp"
#include "parallel/levels.hpp"

namespace zonda::model {

struct ExchangeLevels {
  parallel::Levels data;  ///< of gradients, over the data ranks of a slab
  parallel::Levels all;   ///< of weights, over data ranks and slabs
};

/// `ranks_per_node`: neighbours of the whole mesh that share a node.
ExchangeLevels exchange_levels(const parallel::MeshShape& mesh, int ranks_per_node);
/// The ranks of that mesh, whose gradients and weights go in these levels: the same bits.
TrainingRanks in_levels(TrainingRanks ranks, const parallel::MeshShape& mesh, int ranks_per_node);

}  // namespace zonda::model
