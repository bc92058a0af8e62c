#include "ingest/pipeline/agreement.hpp"

#include <cstdint>
#include <string>

#include "core/error.hpp"

namespace zonda::ingest {

void on_every_rank(const parallel::Communicator& communicator, const std::function<void()>& work) {
  std::int64_t signal = 0;
  int kind = 0;
  std::string message;
  try {
    work();
  } catch (const Interrupted& stop) {
    signal = stop.signal_number();
  } catch (const Error& error) {
    kind = error.exit_code();
    message = error.what();
  } catch (const std::exception& error) {
    kind = static_cast<int>(ErrorKind::failure);
    message = error.what();
  }
  communicator.agree(kind, message);
  communicator.all_reduce(std::span(&signal, 1), parallel::Reduction::max).wait();
  if (signal != 0)
    throw Interrupted(static_cast<int>(signal),
                      "ingest: stopped by a signal; finished units are kept, run again to go on");
}

}  // namespace zonda::ingest
