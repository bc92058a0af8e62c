#include "assimilation/cycling/model_errors.hpp"

#include "assimilation/cycling/member_exchange.hpp"
#include "parallel/partition.hpp"
#include "parallel/together.hpp"

namespace zonda::assimilation {

std::vector<Vector> forecast_errors(const AtmosphereModel& model, const ArchiveTruth& archive, Time end, int samples,
                                    Duration every, Duration lead, const parallel::Communicator& communicator) {
  const auto count = static_cast<std::size_t>(samples);
  const std::size_t size = model.layout.slot_size;
  const parallel::Range own = parallel::partition(count, static_cast<std::size_t>(communicator.size()),
                                                  static_cast<std::size_t>(communicator.rank()));
  Vector mine;
  parallel::together(communicator, [&] {
    for (std::size_t k = own.begin; k < own.end; ++k) {
      const Time valid = end - static_cast<std::int64_t>(count - 1 - k) * every;
      Vector state = archive.state_at(valid - lead);
      step_to(model, valid - lead, valid, state);
      const Vector truth = archive.state_at(valid);
      const Vector error = difference(ConstView(state).last(size), ConstView(truth).last(size));
      mine.insert(mine.end(), error.begin(), error.end());
    }
  });
  const Vector all = gather_members(communicator, count, mine, size);
  std::vector<Vector> errors;
  for (std::size_t k = 0; k < count; ++k) {
    const ConstView one = ConstView(all).subspan(k * size, size);
    errors.emplace_back(one.begin(), one.end());
  }
  return errors;
}

ModelErrors learn_model_errors(const ModelErrorsConfig& config, const AtmosphereModel& model,
                               const ArchiveTruth& archive, Time end, const parallel::Communicator& communicator) {
  ModelErrors result{Vector(model.layout.slot_size),
                     forecast_errors(model, archive, end, config.samples, config.every, model.step, communicator)};
  for (const Vector& error : result.deviations) axpy(1 / static_cast<double>(config.samples), error, result.mean);
  for (Vector& error : result.deviations) axpy(-1, result.mean, error);
  return result;
}

}  // namespace zonda::assimilation
