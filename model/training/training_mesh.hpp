#pragma once
// The axes of a mesh as training uses them.
#include "model/network/slab.hpp"
#include "model/training/parameter_shares.hpp"
#include "parallel/layout/mesh.hpp"

namespace zonda::model {

/// This rank's groups. `all` are the ranks of its stage and heads over data and slabs, the data ranks of a slab beside
/// each other, as the shares of the parameters are. Collective.
TrainingRanks training_ranks(const parallel::Mesh& mesh);
/// The rank of the run that ShardedParameters numbers so: stage by stage, of each its slabs, of each its data ranks.
int rank_of_number(const parallel::Mesh& mesh, int number);
/// How they share a sample.
Sharding sharding_of(const TrainingRanks& ranks, int chunks);

}  // namespace zonda::model
