// The checks of every communicator under mpirun. A check that fails on one rank fails on all; an exception ends all
// ranks.
// `--skip-one-collective`: the last rank misses one, and must be told so (with ZONDA_CHECK_COLLECTIVES=1).
// `--fail-one-rank`: rank 0 waits for the last one, which throws; the program must end with that error's exit code.
#include <gtest/gtest.h>

#include <cstdio>
#include <exception>
#include <string_view>

#include "communicator_checks.hpp"
#include "core/error.hpp"
#include "layout/layout_checks.hpp"
#include "parallel/mpi_session.hpp"
#include "parallel/transport.hpp"

namespace {

using namespace zonda::parallel;

MpiSession* session = nullptr;

class Check : public testing::Test {
 public:
  explicit Check(const CommunicatorCheck& check) : check_(check) {}
  void TestBody() override {
    try {
      check_.run(session->world());
      std::int64_t failed = HasFailure() ? 1 : 0;
      session->world().all_reduce(std::span(&failed, 1), Reduction::sum).wait();
      EXPECT_EQ(failed, 0) << "ranks on which the check failed";
    } catch (const std::exception& error) {
      std::fprintf(stderr, "rank %d: %s\n", session->world().rank(), error.what());
      session->abort(1);
    }
  }

 private:
  const CommunicatorCheck& check_;
};

/// Messages of more than the largest size travel in parts.
void parts_of_large_messages(const Communicator& world) {
  set_largest_mpi_message(1000);
  for (const CommunicatorCheck& check : communicator_checks())
    if (check.name != "canonical_sums") check.run(world);
  set_largest_mpi_message(std::size_t{1} << 30);
}

}  // namespace

int main(int argc, char** argv) {
  MpiSession mpi(argc, argv);
  session = &mpi;
  if (argc > 1 && std::string_view(argv[1]) == "--fail-one-rank") {
    try {
      if (mpi.world().rank() == mpi.world().size() - 1) zonda::fail(zonda::ErrorKind::numerical, "NaN in z500");
      mpi.world().barrier();
    } catch (const zonda::Error& error) {
      mpi.abort(error.exit_code());
    }
    return 0;
  }
  if (argc > 1 && std::string_view(argv[1]) == "--skip-one-collective") {
    try {
      std::vector<std::byte> mine(8), all(8 * static_cast<std::size_t>(mpi.world().size())), word(4);
      if (mpi.world().rank() != mpi.world().size() - 1) mpi.world().all_gather(mine, all).wait();
      mpi.world().broadcast(word, 1).wait();
      return 0;
    } catch (const zonda::Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      mpi.abort(error.exit_code());
    }
  }
  testing::InitGoogleTest(&argc, argv);
  static const CommunicatorCheck parts{"parts_of_large_messages", parts_of_large_messages};
  const auto add = [](const CommunicatorCheck& check) {
    testing::RegisterTest("MpiCommunicator", check.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [&check]() -> testing::Test* { return new Check(check); });
  };
  for (const CommunicatorCheck& check : communicator_checks()) add(check);
  for (const CommunicatorCheck& check : layout_checks()) add(check);
  add(parts);
  if (!mpi.world().is_root())
    delete testing::UnitTest::GetInstance()->listeners().Release(
        testing::UnitTest::GetInstance()->listeners().default_result_printer());
  return RUN_ALL_TESTS();
}
