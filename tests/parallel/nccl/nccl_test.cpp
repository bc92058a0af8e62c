// What of the NCCL layer shows itself without a GPU: that programs start without it, and that it says what is missing.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "core/error.hpp"
#include "parallel/faults/tcp_store.hpp"
#include "parallel/nccl/device_communicator.hpp"

namespace zonda::parallel {
namespace {

bool loaded(const std::string& library) {
  std::ifstream maps("/proc/self/maps");
  const std::string text(std::istreambuf_iterator<char>(maps), {});
  return text.find(library) != std::string::npos;
}

TEST(Nccl, is_opened_when_asked_for_and_not_before) {
  EXPECT_FALSE(loaded("libnccl"));
  const std::string obstacle = nccl_obstacle();
  EXPECT_EQ(loaded("libzonda_nccl"), obstacle.empty()) << obstacle;
}

/// NCCL takes no device 1000 anywhere, and none at all here where there is no GPU.
template <class Open>
void expect_refusal(Open open) {
  try {
    open();
    ADD_FAILURE() << "it opened a GPU that is not there";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()), "");
    EXPECT_TRUE(error.kind() == ErrorKind::temporary || error.kind() == ErrorKind::usage);
  }
}

TEST(Nccl, refuses_a_gpu_that_is_not_there) {
  expect_refusal([] { open_nccl(Communicator::self(), 1000, 2); });
}

TEST(Nccl, meets_through_a_store) {
  const TcpStoreServer server({"job", "nonce"});
  TcpStore store(server.address(), {"job", "nonce"}, 5);
  expect_refusal([&] { open_nccl(store, "world", 0, 2, 1000, 2); });
  // The id went to the store before the GPU was tried.
  if (nccl_obstacle().empty() && store.find("nccl/world")) {
    EXPECT_EQ(store.get("nccl/world").size(), sizeof(NcclId));
  }
  // The other rank gives up in time where nobody made an id.
  if (nccl_obstacle().empty()) {
    TcpStore impatient(server.address(), {"job", "nonce"}, 0.2);
    EXPECT_THROW(open_nccl(impatient, "nobody's", 1, 2, 0, 2), Error);
  }
}

}  // namespace
}  // namespace zonda::parallel
