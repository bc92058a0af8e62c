#pragma once
// A link as stations have it: it loses, breaks off and waits, the same way each time it is simulated.
#include <atomic>
#include <string>

#include "core/philox.hpp"
#include "inference/edge/clock/simulated_clock.hpp"
#include "inference/edge/download/transport.hpp"

namespace zonda::edge {

struct LinkFaults {
  double loss = 0;           ///< probability that an exchange fails at once
  double truncation = 0;     ///< that a body breaks off somewhere
  double corruption = 0;     ///< that a byte of a body is another
  double delay_seconds = 0;  ///< mean of an exponential wait, in simulated time
};

struct LinkCounts {
  std::atomic<std::int64_t> exchanges{0}, lost{0}, truncated{0}, corrupted{0}, bytes{0};
};

class FaultyTransport final : public Transport {
 public:
  FaultyTransport(Transport& beneath, SimulatedClock& clock, LinkFaults faults, LinkCounts& counts, std::uint64_t seed,
                  const std::string& station);
  Reply get(const Request& request, const BodySink& sink) override;
  Reply post(const std::string& url, std::string_view content_type, std::string_view body) override;

 private:
  double draw();
  void begin(const std::string& url);
  Transport& beneath_;
  SimulatedClock& clock_;
  const LinkFaults faults_;
  LinkCounts& counts_;
  const Philox random_;
  std::uint64_t draws_ = 0;
};

}  // namespace zonda::edge
