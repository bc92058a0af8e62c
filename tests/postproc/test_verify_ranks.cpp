// The scores have the same bits on any number of ranks: every rank compares the world's with those it makes alone.
#include <gtest/gtest.h>

#include <cmath>

#include "core/atomic_file.hpp"
#include "core/log.hpp"
#include "parallel/mpi_session.hpp"
#include "tests/postproc/memory_fields.hpp"

namespace zonda::postproc {
namespace {

const parallel::Communicator* world = nullptr;

double weather(const Channel& channel, Time t, double latitude, double longitude) {
  const double days = static_cast<double>(t.time_since_epoch().count()) / 86400, x = longitude * M_PI / 180;
  return channel.level_hpa + 30 * std::cos(latitude * M_PI / 180) * std::sin(3 * x - 0.7 * days) + 5 * std::cos(days);
}

struct Setting {
  Grid grid = Grid::gaussian(16, 32);
  std::vector<Channel> channels{{"z", 500}, {"u", 850}, {"v", 850}};
  MemorySeries truth{grid, channels, regular_times(parse_time("2020-01-01"), 200, Duration(21600)), weather};
  MemoryForecasts forecasts;
  Setting() {
    for (int i = 0; i < 37; ++i) {
      const Time initial = parse_time("2020-01-05") + Duration(43200 * i);
      forecasts.add(to_string(initial), [this, initial] {
        return std::make_unique<MemorySource>(
            grid, channels, initial, std::vector{Duration(21600), Duration(86400)},
            [initial](const Channel& c, Time t, double la, double lo) {
              return weather(c, t, la, lo) + 1e-5 * static_cast<double>((t - initial).count()) * std::sin(lo + la);
            });
      });
    }
  }
};

TEST(VerifyRanks, BitsDoNotDependOnTheNumberOfRanks) {
  const Setting setting;
  const int rank = world->rank();
  ScratchFolder alone("verify-alone-" + std::to_string(rank));
  verify({}, parallel::Communicator::self(), setting.truth, setting.forecasts.starts(), setting.forecasts.opener(),
         alone.path());
  // All ranks share the root's folder.
  std::string name =
      (std::filesystem::temp_directory_path() / ("zonda-verify-world-" + std::to_string(::getpid()))).string();
  name.resize(256, '\0');
  world->broadcast(std::as_writable_bytes(std::span(name)), 0).wait();
  const std::filesystem::path together(name.c_str());
  if (world->is_root()) std::filesystem::create_directories(together);
  world->barrier();
  std::vector<std::string> meshes{""};
  for (int slabs = 2; slabs <= world->size(); slabs *= 2) meshes.push_back("spatial=" + std::to_string(slabs));
  for (const std::string& mesh : meshes) {
    VerifyConfig config;
    config.mesh = mesh;
    verify(config, *world, setting.truth, setting.forecasts.starts(), setting.forecasts.opener(), together);
    world->barrier();
    for (const char* file : {"scores.json", "scores.csv", "spectra.json", "verification.json", "climatology.bin"})
      EXPECT_EQ(read_file(together / file), read_file(alone.path() / file)) << file << " on " << mesh;
    world->barrier();
  }
  if (world->is_root()) std::filesystem::remove_all(together);
}

class FaultOnMesh : public testing::TestWithParam<const char*> {};

TEST_P(FaultOnMesh, ReachesAllRanks) {
  Setting setting;
  VerifyConfig config;
  config.mesh = GetParam();
  if (parallel::parse_mesh(config.mesh)[parallel::Axis::spatial] > world->size()) GTEST_SKIP() << "too few ranks";
  setting.forecasts.add("bad.nc", [&] {
    return std::make_unique<MemorySource>(setting.grid, setting.channels, parse_time("2020-02-01T06"),
                                          std::vector{Duration(21600), Duration(86400)},
                                          [](const Channel&, Time, double, double) { return std::nan(""); });
  });
  ScratchFolder folder("verify-fault-" + std::to_string(world->rank()));
  std::string name = folder.path().string();
  name.resize(256, '\0');
  world->broadcast(std::as_writable_bytes(std::span(name)), 0).wait();
  const auto [kind, message] = error_of([&] {
    verify(config, *world, setting.truth, setting.forecasts.starts(), setting.forecasts.opener(), name.c_str());
  });
  EXPECT_EQ(kind, ErrorKind::numerical);
  EXPECT_NE(message.find("bad.nc: z500 at 2020-02-01T12:00:00Z is not finite"), std::string::npos) << message;
  world->barrier();
}
INSTANTIATE_TEST_SUITE_P(Meshes, FaultOnMesh, testing::Values("", "spatial=2", "spatial=4"));

TEST(VerifyRanks, AMeshOfAnotherSizeIsRefused) {
  const Setting setting;
  ScratchFolder folder("verify-mesh-" + std::to_string(world->rank()));
  VerifyConfig config;
  config.mesh = "data=1,spatial=16";
  const auto [kind, message] = error_of([&] {
    verify(config, *world, setting.truth, setting.forecasts.starts(), setting.forecasts.opener(), folder.path());
  });
  EXPECT_EQ(kind, ErrorKind::usage);
  EXPECT_NE(message.find("verify.mesh: "), std::string::npos) << message;
}

}  // namespace
}  // namespace zonda::postproc

int main(int argc, char** argv) {
  zonda::parallel::MpiSession session(argc, argv);
  zonda::postproc::world = &session.world();
  zonda::log::set_speaking(session.world().is_root());
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
