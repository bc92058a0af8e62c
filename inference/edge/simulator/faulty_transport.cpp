#include "inference/edge/simulator/faulty_transport.hpp"

#include <cmath>
#include <vector>

#include "core/error.hpp"

namespace zonda::edge {

FaultyTransport::FaultyTransport(Transport& beneath, SimulatedClock& clock, LinkFaults faults, LinkCounts& counts,
                                 std::uint64_t seed, const std::string& station)
    : beneath_(beneath), clock_(clock), faults_(faults), counts_(counts), random_(seed, "link of " + station) {}

double FaultyTransport::draw() {
  return random_.uniform(draws_++);
}

void FaultyTransport::begin(const std::string& url) {
  ++counts_.exchanges;
  if (faults_.delay_seconds > 0) clock_.pass(Steady(-faults_.delay_seconds * std::log(draw())));
  if (draw() < faults_.loss) {
    ++counts_.lost;
    fail(ErrorKind::temporary, "{}: lost on the way", url);
  }
}

Reply FaultyTransport::get(const Request& request, const BodySink& sink) {
  begin(request.url);
  const bool truncates = draw() < faults_.truncation, corrupts = draw() < faults_.corruption;
  const double where = draw();
  std::uint64_t passed = 0;
  return beneath_.get(request, [&](const Reply& reply, std::span<const std::byte> piece) {
    counts_.bytes += static_cast<std::int64_t>(piece.size());
    const std::uint64_t whole = reply.total_bytes ? *reply.total_bytes - reply.offset : piece.size();
    const auto place = static_cast<std::uint64_t>(where * static_cast<double>(whole));
    if (truncates && passed + piece.size() > place) {
      ++counts_.truncated;
      if (place > passed) sink(reply, piece.first(place - passed));
      fail(ErrorKind::temporary, "{}: broke off", request.url);
    }
    if (corrupts && passed <= place && place < passed + piece.size()) {
      ++counts_.corrupted;
      std::vector<std::byte> wrong(piece.begin(), piece.end());
      wrong[place - passed] ^= std::byte{0x20};
      sink(reply, wrong);
    } else {
      sink(reply, piece);
    }
    passed += piece.size();
  });
}

Reply FaultyTransport::post(const std::string& url, std::string_view content_type, std::string_view body) {
  begin(url);
  return beneath_.post(url, content_type, body);
}

}  // namespace zonda::edge
