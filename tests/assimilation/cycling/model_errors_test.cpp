#include "assimilation/cycling/model_errors.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "assimilation/atmosphere/corrected_model.hpp"
#include "core/error.hpp"
#include "tests/ingest/archive/written_archive.hpp"

namespace zonda::assimilation {
namespace {

/// [x(t - d), x(t)] becomes [x(t), x(t)].
class Persistence final : public ForecastModel {
 public:
  explicit Persistence(std::size_t slot) : slot_(slot) {}
  std::size_t size() const override { return 2 * slot_; }
  void step(std::size_t, View state) const override { copy(state.last(slot_), state.first(slot_)); }
  void tangent(std::size_t n, ConstView, View perturbation) const override { step(n, perturbation); }
  void adjoint(std::size_t, ConstView, View sensitivity) const override {
    axpy(1, sensitivity.first(slot_), sensitivity.last(slot_));
    std::fill_n(sensitivity.begin(), slot_, 0.0);
  }

 private:
  std::size_t slot_;
};

class ModelErrorsTest : public testing::Test {
 protected:
  static constexpr int states = 12;
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("zonda_model_errors_{}", getpid());
    std::filesystem::create_directories(folder_);
    for (std::size_t i = 0; i < states; ++i) fields_.push_back(atmosphere().fields(ingest::archive_time(i)));
    ingest::write_archive(folder_, atmosphere(), 23, fields_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static ingest::SyntheticAtmosphere atmosphere() {
    return {Grid::latlon(8, 16, false), {{"t", 500}, {"u", 500}, {"v", 500}}};
  }
  static AtmosphereModel persistence() {
    AtmosphereLayout layout = channel_layout(atmosphere().grid, atmosphere().channels);
    layout.slots = 2;
    const auto model = std::make_shared<Persistence>(layout.slot_size);
    return {model, std::move(layout), ingest::archive_time(1), std::chrono::hours(6), "persistence"};
  }

  std::filesystem::path folder_;
  std::vector<std::vector<float>> fields_;
  AtmosphereModel model_ = persistence();
};

TEST_F(ModelErrorsTest, are_those_of_forecasts_against_the_archive) {
  const ArchiveTruth archive(folder_, model_);
  const auto errors = forecast_errors(model_, archive, ingest::archive_time(11), 4, std::chrono::hours(12),
                                      std::chrono::hours(12), parallel::Communicator::self());
  ASSERT_EQ(errors.size(), 4u);
  for (std::size_t k = 0; k < 4; ++k) {
    const std::size_t valid = 11 - 2 * (3 - k);
    for (std::size_t i = 0; i < errors[k].size(); ++i)
      EXPECT_EQ(errors[k][i], static_cast<double>(fields_[valid - 2][i]) - static_cast<double>(fields_[valid][i]));
  }
}

TEST_F(ModelErrorsTest, a_corrected_model_has_no_mean_error) {
  const ArchiveTruth archive(folder_, model_);
  const ModelErrorsConfig config{8, std::chrono::hours(6), true};
  const auto self = parallel::Communicator::self();
  const ModelErrors errors = learn_model_errors(config, model_, archive, ingest::archive_time(10), self);
  ASSERT_EQ(errors.deviations.size(), 8u);
  EXPECT_GT(norm(errors.mean), 1);
  Vector sum(errors.mean.size());
  for (const Vector& deviation : errors.deviations) axpy(1, deviation, sum);
  EXPECT_LT(norm(sum), 1e-9 * norm(errors.mean));
  const ModelErrors left = learn_model_errors(config, corrected_model(model_, std::make_shared<Vector>(errors.mean)),
                                              archive, ingest::archive_time(10), self);
  EXPECT_LT(norm(left.mean), 1e-9 * norm(errors.mean));
  for (std::size_t k = 0; k < 8; ++k)
    EXPECT_LT(norm(difference(left.deviations[k], errors.deviations[k])), 1e-9 * norm(errors.mean));
}

TEST_F(ModelErrorsTest, ranks_do_not_change_the_bits) {
  const auto learn = [&](const parallel::Communicator& communicator) {
    return learn_model_errors({7, std::chrono::hours(6), true}, model_, ArchiveTruth(folder_, model_),
                              ingest::archive_time(11), communicator);
  };
  const ModelErrors alone = learn(parallel::Communicator::self());
  for (const int ranks : {2, 4})
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
      const ModelErrors shared = learn(communicator);
      EXPECT_EQ(shared.mean, alone.mean);
      EXPECT_EQ(shared.deviations, alone.deviations);
    });
}

TEST_F(ModelErrorsTest, name_a_time_that_the_archive_lacks) {
  try {
    learn_model_errors({20, std::chrono::hours(6), true}, model_, ArchiveTruth(folder_, model_),
                       ingest::archive_time(11), parallel::Communicator::self());
    FAIL() << "errors before the archive begins";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
  }
}

}  // namespace
}  // namespace zonda::assimilation
