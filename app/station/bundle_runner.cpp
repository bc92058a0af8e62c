#include "app/station/bundle_runner.hpp"

#include "core/error.hpp"
#include "inference/edge/feed/boundary_feed.hpp"
#include "inference/edge/runtime/regional_model.hpp"

namespace zonda::app {
namespace {

class BundleRunner final : public edge::ModelRunner {
 public:
  BundleRunner(std::shared_ptr<edge::RegionalModel> model, std::function<void()> heartbeat)
      : model_(std::move(model)), heartbeat_(std::move(heartbeat)) {}

  void self_test() override {
    const edge::SelfTest result = model_->self_test();
    if (!result.passed())
      fail(ErrorKind::numerical, "self-test: the output differs from the golden one by {:.3g}, {:.3g} is allowed",
           result.largest, result.tolerance);
  }

  edge::RegionalForecast run(const std::filesystem::path& feed, const std::function<bool()>& cancelled) override {
    return model_->run(
        edge::read_feed(feed), 0,
        [this](std::size_t, std::size_t) {
          if (heartbeat_) heartbeat_();
        },
        cancelled);
  }

 private:
  std::shared_ptr<edge::RegionalModel> model_;
  std::function<void()> heartbeat_;
};

}  // namespace

edge::OpenModel bundle_opener(int threads, std::function<void()> heartbeat) {
  auto shared = std::make_shared<edge::SharedTensors>();
  return [threads, heartbeat = std::move(heartbeat), shared](const std::filesystem::path& bundle) {
    return std::make_shared<BundleRunner>(edge::RegionalModel::open(bundle, {.threads = threads, .shared = shared}),
                                          heartbeat);
  };
}

}  // namespace zonda::app
