#include "parallel/imagined.hpp"

#include "core/error.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

class ImaginedTransport final : public Transport {
 public:
  ImaginedTransport(int rank, int size) : rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::shared_ptr<Transport> split(int, int) override { refuse("split"); }
  Event send(std::span<const std::byte>, int, const Label& label) override { refuse(label.operation); }
  Event receive(std::span<std::byte>, int, const Label& label) override { refuse(label.operation); }
  void abandon(const std::string& reason) override { fail(ErrorKind::temporary, "{}", reason); }

 private:
  [[noreturn]] void refuse(const char* operation) const {
    fail(ErrorKind::failure, "{}: rank {} of {} is only thought of", operation, rank_, size_);
  }
  int rank_, size_;
};

}  // namespace

Communicator imagined(int rank, int size) {
  return Communicator(std::make_shared<ImaginedTransport>(rank, size));
}

}  // namespace zonda::parallel
