// Forecasts on ranks of MPI: the files of one process, or of collective writing, whatever the mesh.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>

#include "core/atomic_file.hpp"
#include "core/log.hpp"
#include "inference/rollout/forecast.hpp"
#include "ingest/cf/cf_writer.hpp"
#include "parallel/mpi_session.hpp"
#include "parallel/together.hpp"
#include "tests/inference/untrained_model.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace {

using namespace zonda;
namespace fs = std::filesystem;

parallel::MpiSession* session = nullptr;

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name != "forecast.json") files[name] = read_file(entry.path());  // which names the configuration
  }
  return files;
}

TEST(ForecastOnRanks, FilesHaveTheSameBytesOnAnyMesh) {
  setenv("SOURCE_DATE_EPOCH", "1000000000", 1);
  const parallel::Communicator& world = session->world();
  const std::string size = std::to_string(world.size());
  const fs::path folder = fs::path(ZONDA_BINARY_DIR) / ("forecast_on_" + size);
  const parallel::Communicator alone = world.split(world.rank(), 0);
  const TurningWaves waves{.times = 20};
  constexpr Duration h6{6 * 3600};
  inference::ForecastConfig config;
  config.start = waves.first + 4 * h6;
  config.end = waves.first + 7 * h6;
  config.every = h6;
  config.lead = 4 * h6;
  config.output_step = 2 * h6;
  config.write_initial = true;
  const auto run = [&](const parallel::Communicator& ranks, const std::string& mesh, bool collective,
                       const std::string& where) {
    config.mesh = mesh;
    config.collective_writing = collective;
    return inference::run_forecast(config, ranks, folder / "archive", folder / "model", folder / where).written;
  };
  parallel::together(world, [&] {
    if (!world.is_root()) return;
    fs::remove_all(folder);
    waves.write(folder / "archive");
    const auto made = inference::untrained_model({h6, 2 * h6});
    made->network.parameters().allocate_optimiser(true);
    model::write_model(folder / "model", made->layout, made->network, made->origin, false);
    run(alone, "", false, "alone");
    run(alone, "", true, "alone, collective");
  });
  std::vector<std::string> meshes{"", "spatial=" + size};
  if (world.size() == 4) meshes.emplace_back("data=2,spatial=2");
  for (const std::string& mesh : meshes)
    for (const bool collective : {false, true}) {
      EXPECT_EQ(run(world, mesh, collective, "shared"), 4U);
      if (world.is_root()) {
        EXPECT_TRUE(contents(folder / "shared") == contents(folder / (collective ? "alone, collective" : "alone")))
            << mesh << (collective ? ", collective" : "");
        fs::remove_all(folder / "shared");
      }
      world.barrier();
    }
  if (world.is_root()) fs::remove_all(folder);
}

TEST(ForecastOnRanks, WindsOfAnotherGridGiveTheSameBytesOnAnyMesh) {
  setenv("SOURCE_DATE_EPOCH", "1000000000", 1);
  const parallel::Communicator& world = session->world();
  const std::string size = std::to_string(world.size());
  const fs::path folder = fs::path(ZONDA_BINARY_DIR) / ("forecast_of_winds_on_" + size);
  const parallel::Communicator alone = world.split(world.rank(), 0);
  constexpr Duration h6{6 * 3600};
  const TurningWaves fine{.grid = Grid::latlon(37, 72, true),
                          .channels = {{"z", 500}, {"t", 850}, {"u", 850}, {"v", 850}, {"u", 500}, {"v", 500}}};
  inference::ForecastConfig config;
  config.start = config.end = fine.first + h6;
  config.lead = 2 * h6;
  config.output_step = h6;
  config.write_initial = true;
  config.source = inference::StateFilesConfig{.path = {(folder / "fine.nc").string()}, .variables = {}, .units = {}};
  const auto run = [&](const parallel::Communicator& ranks, const std::string& mesh, const std::string& where) {
    config.mesh = mesh;
    return inference::run_forecast(config, ranks, folder / "none", folder / "model", folder / where).written;
  };
  parallel::together(world, [&] {
    if (!world.is_root()) return;
    fs::remove_all(folder);
    fs::create_directories(folder);
    ingest::CfWriter writer(folder / "fine.nc", fine.grid, fine.channels, {});
    for (int t = 0; t < 2; ++t) {
      State state(fine.grid, fine.channels, fine.first + t * h6);
      state.values = fine.fields(static_cast<std::size_t>(t));
      writer.write(state);
    }
    writer.close();
    // v500 is there, but the model does not step it.
    const auto made = inference::untrained_model({h6}, {}, 0, {{"v", 850}, {"u", 850}, {"u", 500}});
    made->network.parameters().allocate_optimiser(true);
    model::write_model(folder / "model", made->layout, made->network, made->origin, false);
    EXPECT_EQ(run(alone, "", "alone"), 1U);
  });
  std::vector<std::string> meshes{"spatial=" + size};
  if (world.size() == 4) meshes.emplace_back("data=2,spatial=2");
  for (const std::string& mesh : meshes) {
    EXPECT_EQ(run(world, mesh, "shared"), 1U);
    if (world.is_root()) {
      EXPECT_TRUE(contents(folder / "shared") == contents(folder / "alone")) << mesh;
      fs::remove_all(folder / "shared");
    }
    world.barrier();
  }
  if (world.is_root()) fs::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  parallel::MpiSession mpi(argc, argv);
  session = &mpi;
  log::set_speaking(false);
  int failed = 1;
  try {
    failed = RUN_ALL_TESTS();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", mpi.world().rank(), error.what());
    mpi.abort(1);
  }
  std::int64_t all = failed;
  mpi.world().all_reduce(std::span(&all, 1), parallel::Reduction::max).wait();
  return static_cast<int>(all);
}
