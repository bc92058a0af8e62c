// The LETKF under mpirun: the members of all ranks together are, bit for bit, those of one rank alone.
#include <gtest/gtest.h>

#include <cstdio>
#include <exception>

#include "assimilation/ensemble/letkf.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "parallel/mpi_session.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

using parallel::Communicator;
parallel::MpiSession* session = nullptr;
constexpr std::size_t size = 80, members = 9;

Ensemble analysed(const Communicator& communicator) {
  const parallel::Range own = parallel::partition(members, static_cast<std::size_t>(communicator.size()),
                                                  static_cast<std::size_t>(communicator.rank()));
  Ensemble ensemble(members, size, own);
  for (std::size_t k = 0; k < own.size(); ++k) copy(random_vector(size, own.begin + k), ensemble.member(k));
  std::vector<std::size_t> components;
  Observations observations;
  for (std::size_t i = 0; i < 30; ++i) {  // crowded at one end
    components.push_back(i * i % 60);
    observations.positions.push_back({static_cast<double>(components.back()), 0, 0});
  }
  observations.instrument = std::make_shared<SelectedComponents>(size, components);
  observations.values = random_vector(components.size(), 99);
  observations.errors.assign(components.size(), 0.7);
  LetkfSettings settings;
  settings.inflation = {1.03, 0.2, 0.4};
  Letkf(communicator, size, ring_batches(size, 2), {std::make_shared<PeriodicMetric>(size), 4, 1}, settings)
      .analyse(ensemble, observations, 0);
  return ensemble;
}

TEST(LetkfOverMpi, has_the_bits_of_one_rank) {
  try {
    Ensemble alone = analysed(Communicator::self()), shared = analysed(session->world());
    std::int64_t different = 0;
    for (std::size_t k = 0; k < shared.own().size(); ++k)
      for (std::size_t i = 0; i < size; ++i)
        different += shared.member(k)[i] != alone.member(shared.own().begin + k)[i] ? 1 : 0;
    session->world().all_reduce(std::span(&different, 1), parallel::Reduction::sum).wait();
    EXPECT_EQ(different, 0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", session->world().rank(), error.what());
    session->abort(1);
  }
}

}  // namespace
}  // namespace zonda::assimilation

int main(int argc, char** argv) {
  zonda::parallel::MpiSession mpi(argc, argv);
  zonda::assimilation::session = &mpi;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
