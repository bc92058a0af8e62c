// Ranks as MPI processes. Everything is non-blocking; a rank that waits tests and yields, because MPI's own waits would
// spin and, with more ranks than cores, keep the others from working.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <thread>

#include "core/error.hpp"
#include "parallel/mpi_handle.hpp"
#include "parallel/partition.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

std::size_t largest_message = std::size_t{1} << 30;

/// MPI promises tags up to 32767; OpenMPI gives 2^31 - 1. Collectives take their number modulo this: that many may be
/// under way at once, and messages of one tag stay in order anyhow.
constexpr std::uint64_t collective_tags = 32768;

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  int error_class = MPI_ERR_OTHER;
  MPI_Error_class(code, &error_class);
  // A message of another length is a bug of ours; the rest is the network or another rank.
  fail(error_class == MPI_ERR_TRUNCATE ? ErrorKind::failure : ErrorKind::temporary, "{}: {}", call, text.data());
}

/// The requests of one operation.
struct Requests {
  std::vector<MPI_Request> requests;
  std::vector<int> expected;  // bytes, -1 where nothing is received
  std::vector<MPI_Status> statuses;
  const char* operation = "";

  void add(MPI_Request request, int bytes) {
    requests.push_back(request);
    expected.push_back(bytes);
  }

  bool done() {
    int flag = 0;
    statuses.resize(requests.size());
    const int code = MPI_Testall(static_cast<int>(requests.size()), requests.data(), &flag, statuses.data());
    if (code == MPI_ERR_IN_STATUS) {
      for (const MPI_Status& status : statuses)
        if (status.MPI_ERROR != MPI_ERR_PENDING) check(status.MPI_ERROR, operation);
    }
    check(code, operation);
    if (flag == 0) return false;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (expected[i] < 0) continue;
      int bytes = 0;
      check(MPI_Get_count(&statuses[i], MPI_BYTE, &bytes), "MPI_Get_count");
      if (bytes != expected[i])
        fail(ErrorKind::failure, "{}: expected {} bytes from rank {}, which sent {}", operation, expected[i],
             statuses[i].MPI_SOURCE, bytes);
    }
    return true;
  }
};

Event event(Requests&& started, const char* operation) {
  started.operation = operation;
  return Event([state = std::make_shared<Requests>(std::move(started))](bool block) {
    if (state->done()) return true;
    if (!block) return false;
    // Yield first: the answer is often microseconds away. Then sleep: other ranks may share this core.
    using clock = std::chrono::steady_clock;
    const auto begin = clock::now();
    while (clock::now() - begin < std::chrono::milliseconds(2)) {
      if (clock::now() - begin < std::chrono::microseconds(200))
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      if (state->done()) return true;
    }
    return false;
  });
}

class MpiTransport : public Transport {
 public:
  /// Takes copies of `communicator`: one for users' messages, one for collectives.
  explicit MpiTransport(MPI_Comm communicator) {
    check(MPI_Comm_dup(communicator, &users_), "MPI_Comm_dup");
    check(MPI_Comm_dup(communicator, &collectives_), "MPI_Comm_dup");
    for (MPI_Comm comm : {users_, collectives_}) check(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI");
    check(MPI_Comm_rank(users_, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(users_, &size_), "MPI_Comm_size");
    int* limit = nullptr;
    int found = 0;
    check(MPI_Comm_get_attr(users_, MPI_TAG_UB, static_cast<void*>(&limit), &found), "MPI_Comm_get_attr");
    if (found != 0) largest_tag_ = static_cast<std::uint64_t>(*limit);
  }
  ~MpiTransport() override {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized != 0) return;
    MPI_Comm_free(&users_);
    MPI_Comm_free(&collectives_);
  }
  MpiTransport(const MpiTransport&) = delete;
  MpiTransport& operator=(const MpiTransport&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const void* mpi() const override { return &users_; }
  std::vector<int> nodes() override {
    MPI_Comm node = MPI_COMM_NULL;
    check(MPI_Comm_split_type(collectives_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node), "MPI_Comm_split_type");
    int first = rank_;
    check(MPI_Bcast(&first, 1, MPI_INT, 0, node), "MPI_Bcast");
    MPI_Comm_free(&node);
    std::vector<int> all(static_cast<std::size_t>(size_));
    all_gather(std::as_bytes(std::span(&first, 1)), std::as_writable_bytes(std::span(all))).wait();
    return all;
  }

  std::shared_ptr<Transport> split(int color, int key) override {
    // MPI's colours are not negative: number those that occur.
    std::vector<int> colors(static_cast<std::size_t>(size_));
    all_gather(std::as_bytes(std::span(&color, 1)), std::as_writable_bytes(std::span(colors))).wait();
    std::sort(colors.begin(), colors.end());
    colors.erase(std::unique(colors.begin(), colors.end()), colors.end());
    const auto index = std::lower_bound(colors.begin(), colors.end(), color) - colors.begin();
    MPI_Comm part = MPI_COMM_NULL;
    check(MPI_Comm_split(collectives_, static_cast<int>(index), key, &part), "MPI_Comm_split");
    auto transport = std::make_shared<MpiTransport>(part);
    MPI_Comm_free(&part);
    return transport;
  }

  /// Another thread may sit inside MPI with a lock that MPI_Abort wants: leave then without it.
  void abandon(const std::string&) override {
    constexpr int exit_code = static_cast<int>(ErrorKind::temporary);
    std::thread([] { MPI_Abort(MPI_COMM_WORLD, exit_code); }).detach();
    std::this_thread::sleep_for(std::chrono::seconds(5));
    std::_Exit(exit_code);
  }

  Event send(std::span<const std::byte> data, int to, const Label& label) override {
    Requests started;
    for_parts(data.size(), label, [&](std::size_t begin, int bytes) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Isend(data.data() + begin, bytes, MPI_BYTE, to, tag(label), communicator(label), &request),
            "MPI_Isend");
      started.add(request, -1);
    });
    return event(std::move(started), label.operation);
  }

  Event receive(std::span<std::byte> data, int from, const Label& label) override {
    Requests started;
    for_parts(data.size(), label, [&](std::size_t begin, int bytes) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Irecv(data.data() + begin, bytes, MPI_BYTE, from, tag(label), communicator(label), &request),
            "MPI_Irecv");
      started.add(request, bytes);
    });
    return event(std::move(started), label.operation);
  }

  Event barrier() override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(collectives_, &request), "MPI_Ibarrier");
    return single(request, "barrier");
  }

  Event broadcast(std::span<std::byte> data, int root) override {
    Requests started;
    for_parts(data.size(), Label{true, 0, "broadcast"}, [&](std::size_t begin, int bytes) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Ibcast(data.data() + begin, bytes, MPI_BYTE, root, collectives_, &request), "MPI_Ibcast");
      started.add(request, -1);
    });
    return event(std::move(started), "broadcast");
  }

  Event all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    if (all.size() > largest_message) return Transport::all_gather(mine, all);
    if (mine.empty()) return Event();
    MPI_Request request = MPI_REQUEST_NULL;
    const int bytes = static_cast<int>(mine.size());
    check(MPI_Iallgather(mine.data(), bytes, MPI_BYTE, all.data(), bytes, MPI_BYTE, collectives_, &request),
          "MPI_Iallgather");
    return single(request, "all_gather");
  }

  std::optional<Event> all_reduce_in_any_order(std::span<std::byte> values, Element element) override {
    const MPI_Datatype type = datatype(element);
    Requests started;
    const std::size_t largest = std::max(largest_message / bytes_of(element), std::size_t{1}) * bytes_of(element);
    for (std::size_t begin = 0; begin < values.size(); begin += largest) {
      MPI_Request request = MPI_REQUEST_NULL;
      const int count = static_cast<int>(std::min(largest, values.size() - begin) / bytes_of(element));
      check(MPI_Iallreduce(MPI_IN_PLACE, values.data() + begin, count, type, MPI_SUM, collectives_, &request),
            "MPI_Iallreduce");
      started.add(request, -1);
    }
    return event(std::move(started), "all_reduce");
  }

  std::optional<Event> reduce_scatter_in_any_order(std::span<const std::byte> values, std::span<std::byte> mine,
                                                   Element element) override {
    if (values.size() > largest_message) return std::nullopt;
    // MPI reads the counts until the end.
    auto counts = std::make_shared<std::vector<int>>();
    for (int r = 0; r < size_; ++r) {
      const Range part =
          partition(values.size() / bytes_of(element), static_cast<std::size_t>(size_), static_cast<std::size_t>(r));
      counts->push_back(static_cast<int>(part.size()));
    }
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ireduce_scatter(values.data(), mine.data(), counts->data(), datatype(element), MPI_SUM, collectives_,
                              &request),
          "MPI_Ireduce_scatter");
    std::vector<Event> events;
    events.push_back(single(request, "reduce_scatter"));
    return when_all(std::move(events), [counts] {});
  }

 private:
  static MPI_Datatype datatype(Element element) {
    switch (element) {
      case Element::f32:
        return MPI_FLOAT;
      case Element::f64:
        return MPI_DOUBLE;
      case Element::i64:
        return MPI_INT64_T;
    }
    return MPI_DATATYPE_NULL;
  }

  static Event single(MPI_Request request, const char* operation) {
    Requests started;
    started.add(request, -1);
    return event(std::move(started), operation);
  }

  MPI_Comm communicator(const Label& label) const { return label.collective ? collectives_ : users_; }

  int tag(const Label& label) const {
    if (label.collective) return static_cast<int>(label.number % collective_tags);
    if (label.number > largest_tag_)
      fail(ErrorKind::failure, "{}: tag {} is above this MPI's largest, {}", label.operation, label.number,
           largest_tag_);
    return static_cast<int>(label.number);
  }

  /// Messages of collectives without bytes are not sent; those of users are.
  template <class Part>
  static void for_parts(std::size_t size, const Label& label, Part part) {
    if (size == 0 && !label.collective) part(std::size_t{0}, 0);
    for (std::size_t begin = 0; begin < size; begin += largest_message)
      part(begin, static_cast<int>(std::min(largest_message, size - begin)));
  }

  MPI_Comm users_ = MPI_COMM_NULL, collectives_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  std::uint64_t largest_tag_ = 32767;
};

}  // namespace

std::shared_ptr<Transport> make_mpi_world() {
  return std::make_shared<MpiTransport>(MPI_COMM_WORLD);
}

std::optional<MPI_Comm> mpi_handle(const Communicator& ranks) {
  const void* handle = ranks.transport()->mpi();
  if (handle == nullptr) return std::nullopt;
  return *static_cast<const MPI_Comm*>(handle);
}

void set_largest_mpi_message(std::size_t bytes) {
  largest_message = std::clamp(bytes, std::size_t{1}, static_cast<std::size_t>(INT_MAX));
}

}  // namespace zonda::parallel
