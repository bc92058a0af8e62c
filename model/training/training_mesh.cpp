#include "model/training/training_mesh.hpp"

namespace zonda::model {

using parallel::Axis;
using parallel::Communicator;

namespace {

Communicator again(const Communicator& ranks) {
  return ranks.size() > 1 ? ranks.split(0, ranks.rank()) : Communicator::self();
}

}  // namespace

TrainingRanks training_ranks(const parallel::Mesh& mesh) {
  const int group = mesh.coordinate(Axis::pipeline) * mesh.size(Axis::tensor) + mesh.coordinate(Axis::tensor),
            place = mesh.coordinate(Axis::spatial) * mesh.size(Axis::data) + mesh.coordinate(Axis::data);
  return {mesh.along(Axis::data),
          mesh.along(Axis::spatial),
          mesh.world().split(group, place),
          mesh.along(Axis::tensor),
          mesh.along(Axis::pipeline),
          TrainingRanks::Beside{again(mesh.along(Axis::data)), again(mesh.along(Axis::spatial))}};
}

int rank_of_number(const parallel::Mesh& mesh, int number) {
  const int data = mesh.size(Axis::data), slabs = mesh.size(Axis::spatial);
  return mesh.shape().rank(
      {number % data, number / (data * slabs), number / data % slabs, mesh.coordinate(Axis::tensor)});
}

Sharding sharding_of(const TrainingRanks& ranks, int chunks) {
  return {.slabs = ranks.slabs, .chunks = chunks, .heads = ranks.heads, .stages = ranks.stages};
}

}  // namespace zonda::model
