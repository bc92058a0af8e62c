// Analyses of an atmosphere under mpirun: bit for bit those of one rank alone.
#include <gtest/gtest.h>

#include <cstdio>
#include <exception>

#include "assimilation/ensemble/atmosphere_batches.hpp"
#include "assimilation/ensemble/letkf.hpp"
#include "atmosphere_analyses.hpp"
#include "parallel/mpi_session.hpp"

namespace zonda::assimilation {
namespace {

using parallel::Communicator;
parallel::MpiSession* session = nullptr;
constexpr std::size_t members = 6;

template <class Body>
void on_all_ranks(Body body) {
  try {
    body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", session->world().rank(), error.what());
    session->abort(1);
  }
}

void expect_none_different(std::int64_t different) {
  session->world().all_reduce(std::span(&different, 1), parallel::Reduction::sum).wait();
  EXPECT_EQ(different, 0);
}

TEST(VariationalOverMpi, has_the_bits_of_one_rank) {
  on_all_ranks([] {
    for (const SharedAnalysis& analysis : shared_analyses()) {
      const VariationalAnalysis alone = shared_analysis(Communicator::self(), analysis),
                                shared = shared_analysis(session->world(), analysis);
      expect_none_different(shared.state != alone.state || shared.costs != alone.costs ? 1 : 0);
    }
  });
}

Ensemble letkf_analysis(const Communicator& communicator, std::size_t stride, Vector& factors) {
  const AtmosphereLayout layout = small_atmosphere(Grid::gaussian(10, 20));
  const parallel::Range own = parallel::partition(members, static_cast<std::size_t>(communicator.size()),
                                                  static_cast<std::size_t>(communicator.rank()));
  Ensemble ensemble(members, layout.state_size(), own);
  for (std::size_t k = 0; k < own.size(); ++k) copy(small_member(layout, own.begin + k), ensemble.member(k));
  std::vector<std::size_t> components;
  for (std::size_t i = 0; i < 150; ++i) components.push_back(i * i % 700);  // the upper levels of the north
  LetkfSettings settings;
  settings.inflation.to_perturbations = 0.4;
  std::vector<Batch> batches = atmosphere_batches(layout, stride);
  settings.adaptive = std::make_shared<AdaptiveInflation>(batches.size(), AdaptiveInflationSettings{1.1, 0.1, 0.9, 2});
  Letkf(communicator, layout.state_size(), std::move(batches), {std::make_shared<SphereMetric>(), 2e6, 0.5}, settings)
      .analyse(ensemble, observe_components(layout, components), 0);
  factors.assign(settings.adaptive->factors().begin(), settings.adaptive->factors().end());
  return ensemble;
}

TEST(AtmosphereLetkfOverMpi, has_the_bits_of_one_rank) {
  on_all_ranks([] {
    for (const std::size_t stride : {1U, 3U}) {
      Vector factors_alone, factors;
      Ensemble alone = letkf_analysis(Communicator::self(), stride, factors_alone),
               shared = letkf_analysis(session->world(), stride, factors);
      std::int64_t different = factors == factors_alone ? 0 : 1;
      for (std::size_t k = 0; k < shared.own().size(); ++k)
        for (std::size_t i = 0; i < shared.state_size(); ++i)
          different += shared.member(k)[i] != alone.member(shared.own().begin + k)[i] ? 1 : 0;
      expect_none_different(different);
    }
  });
}

}  // namespace
}  // namespace zonda::assimilation

int main(int argc, char** argv) {
  zonda::parallel::MpiSession mpi(argc, argv);
  zonda::assimilation::session = &mpi;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
