#include "inference/edge/runner/bundle_runner.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "core/error.hpp"
#include "core/log.hpp"
#include "inference/edge/runner/lagged_member.hpp"
#include "inference/edge/runtime/regional_model.hpp"

namespace zonda::edge {
namespace {

class BundleRunner final : public ModelRunner {
 public:
  BundleRunner(std::shared_ptr<RegionalModel> model, std::function<void()> heartbeat)
      : model_(std::move(model)), heartbeat_(std::move(heartbeat)) {}

  void self_test() override {
    const auto begin = std::chrono::steady_clock::now();
    const SelfTest result = model_->self_test();
    if (!result.passed())
      fail(ErrorKind::numerical, "self-test: the output differs from the golden one by {:.3g}, {:.3g} is allowed",
           result.largest, result.tolerance);
    pass_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  RegionalForecast run(const std::filesystem::path& feed, const std::function<bool()>& cancelled) override {
    return model_->run(
        read_feed(feed), 0,
        [this](std::size_t, std::size_t) {
          if (heartbeat_) heartbeat_();
        },
        cancelled);
  }

  std::vector<CoastSegment> coast() const override { return model_->coast(); }

  std::vector<double> step_seconds() const override {
    const auto& levels = model_->manifest().levels;
    std::vector<double> seconds;
    for (const inference::TokenLevel& level : levels) {
      const bool measured = level.milliseconds > 0 && levels.front().milliseconds > 0;
      seconds.push_back(pass_seconds_ * (measured ? level.milliseconds / levels.front().milliseconds : 1));
    }
    return seconds;
  }

  RegionalForecast run_on_demand(const std::filesystem::path& path, const RunOrder& order,
                                 const std::function<bool()>& cancelled) override {
    BoundaryFeed feed = *shortened_feed(path, order.steps);
    perturb_feed(feed, order.member);
    return model_->run(feed, order.level, {}, cancelled);
  }

 private:
  std::shared_ptr<const BoundaryFeed> shortened_feed(const std::filesystem::path& path, std::size_t steps) {
    const std::lock_guard lock(feed_mutex_);
    if (!feed_ || feed_path_ != path || feed_steps_ != steps) {
      BoundaryFeed feed = read_feed(path);
      if (steps < feed.leads.size()) {
        feed.leads.resize(steps);
        feed.strips.resize(steps * feed.channels.size() * feed.ring());
        feed.strips.shrink_to_fit();
      }
      feed_ = std::make_shared<const BoundaryFeed>(std::move(feed));
      feed_path_ = path;
      feed_steps_ = steps;
    }
    return feed_;
  }

  std::shared_ptr<RegionalModel> model_;
  std::function<void()> heartbeat_;
  double pass_seconds_ = 0.05;  // of all tokens; the self-test tells
  std::mutex feed_mutex_;
  std::shared_ptr<const BoundaryFeed> feed_;
  std::filesystem::path feed_path_;
  std::size_t feed_steps_ = 0;
};

/// The models that this process has opened and still uses.
class LivingModels {
 public:
  std::shared_ptr<RegionalModel> open(const std::filesystem::path& bundle, int threads) {
    const std::shared_ptr<RegionalModel> relative = newest();
    std::optional<inference::Bundle> ready = take(bundle);
    auto model = !relative ? RegionalModel::open(bundle, {.threads = threads, .shared = tensors_})
                 : ready   ? relative->sibling(*std::move(ready))
                           : relative->sibling(bundle);
    const std::lock_guard lock(mutex_);
    models_.push_back(model);
    return model;
  }

  void prepare(const std::filesystem::path& path) {
    take(path);
    const std::shared_ptr<RegionalModel> relative = newest();
    if (!relative) return;  // the first is read whole
    try {
      inference::Bundle bundle = relative->prepare(path);
      const std::lock_guard lock(mutex_);
      prepared_.insert_or_assign(path, std::move(bundle));
    } catch (const std::exception& error) {
      log::debug("{}: {}", path.string(), error.what());
    }
  }

 private:
  std::optional<inference::Bundle> take(const std::filesystem::path& path) {
    const std::lock_guard lock(mutex_);
    auto found = prepared_.extract(path);
    if (found.empty()) return std::nullopt;
    return std::move(found.mapped());
  }
  std::shared_ptr<RegionalModel> newest() {
    const std::lock_guard lock(mutex_);
    std::erase_if(models_, [](const auto& model) { return model.expired(); });
    return models_.empty() ? nullptr : models_.back().lock();
  }
  std::mutex mutex_;
  std::shared_ptr<SharedTensors> tensors_ = std::make_shared<SharedTensors>();
  std::vector<std::weak_ptr<RegionalModel>> models_;  // oldest first
  std::map<std::filesystem::path, inference::Bundle> prepared_;
};

}  // namespace

BundleModels bundle_models(int threads, std::function<void()> heartbeat) {
  const auto living = std::make_shared<LivingModels>();
  return {[threads, heartbeat = std::move(heartbeat), living](const std::filesystem::path& bundle) {
            return std::make_shared<BundleRunner>(living->open(bundle, threads), heartbeat);
          },
          [living](const std::filesystem::path& bundle) { living->prepare(bundle); }};
}

OpenModel bundle_opener(int threads, std::function<void()> heartbeat) {
  return bundle_models(threads, std::move(heartbeat)).open;
}

}  // namespace zonda::edge
