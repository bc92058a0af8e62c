#include "model/training/validation.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "parallel/canonical.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {
namespace {

std::vector<std::size_t> choose_channels(std::span<const Channel> channels, const std::vector<std::string>& wanted) {
  static const std::vector<std::string> usual{"z500", "t850", "u850", "q700", "msl", "sp", "2t", "10u", "10v"};
  std::vector<std::size_t> chosen;
  std::vector<std::string> known;
  for (const Channel& channel : channels) known.push_back(channel.name());
  for (const std::string& name : wanted.empty() ? usual : wanted) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found != known.end())
      chosen.push_back(static_cast<std::size_t>(found - known.begin()));
    else if (!wanted.empty())
      fail(ErrorKind::usage, "train.validation.channels: {}", unknown_word("channel", name, known));
  }
  if (chosen.empty()) chosen.push_back(0);
  return chosen;
}

double squared_error(std::span<const float> a, std::span<const float> b, const Grid& grid) {
  const auto weights = grid.row_weights();
  double sum = 0;
  for (std::size_t row = 0; row < grid.nlat(); ++row) {
    double of_row = 0;
    for (std::size_t i = row * grid.nlon(); i < (row + 1) * grid.nlon(); ++i) {
      const double difference = static_cast<double>(a[i]) - b[i];
      of_row += difference * difference;
    }
    sum += weights[row] * of_row;
  }
  return sum / static_cast<double>(grid.size());
}

}  // namespace

nlohmann::json to_json(const ValidationScores& scores) {
  nlohmann::json rmse = nlohmann::json::object(), persistence = nlohmann::json::object();
  for (std::size_t c = 0; c < scores.channels.size(); ++c) {
    rmse[scores.channels[c]] = scores.rmse[c];
    persistence[scores.channels[c]] = scores.persistence[c];
  }
  return {{"loss", scores.loss}, {"rmse", rmse}, {"persistence", persistence}};
}

Validation::Validation(const ingest::ArchiveReader& archive, const ForecastStep& step, FieldCache& cache,
                       const ValidationConfig& config, Time first, Time last, const StepOptions& options)
    : archive_(archive), step_(step), cache_(cache), options_(options) {
  const ForecastLayout& layout = step.layout();
  Duration d{0};
  for (const Duration candidate : layout.steps)
    if (config.lead % candidate == Duration{0}) d = candidate;
  if (d == Duration{0} || config.lead <= Duration{0})
    fail(ErrorKind::usage, "train.validation.lead: {} is no multiple of a step of the model", to_string(config.lead));
  count_ = static_cast<int>(config.lead / d);
  const std::vector<Example> all = examples_within(archive.times(), first, last, std::span(&d, 1), count_);
  if (all.empty())
    fail(ErrorKind::data, "validation: from {} to {} no time has the states from {} before to {} after it",
         to_string(first), to_string(last), to_string(d), to_string(config.lead));
  const std::size_t n = std::min(all.size(), static_cast<std::size_t>(config.samples));
  for (std::size_t i = 0; i < n; ++i) examples_.push_back(all[n > 1 ? i * (all.size() - 1) / (n - 1) : all.size() / 2]);
  channels_ = choose_channels(layout.channels, config.channels);
}

ValidationScores Validation::run(ForecastNetwork& network, const parallel::Communicator& communicator,
                                 int micro_batch) const {
  const ForecastLayout& layout = step_.layout();
  const std::size_t points = layout.points(), state = layout.output_channels() * points;
  const std::size_t input = layout.input_channels() * points, forcing = layout.forcings.size() * points;
  const std::size_t m = static_cast<std::size_t>(micro_batch), n = ForecastLayout::condition_size;
  const std::size_t steps = static_cast<std::size_t>(count_), width = 1 + 2 * channels_.size();
  const auto nlat = static_cast<std::int64_t>(layout.grid.nlat()), nlon = static_cast<std::int64_t>(layout.grid.nlon());
  const auto batch = static_cast<std::int64_t>(m);
  const Shape in{batch, static_cast<std::int64_t>(layout.input_channels()), nlat, nlon};
  const Shape out{batch, static_cast<std::int64_t>(layout.output_channels()), nlat, nlon};
  const Shape one{1, static_cast<std::int64_t>(layout.output_channels()), nlat, nlon};

  const parallel::Range range = parallel::partition(examples_.size(), static_cast<std::size_t>(communicator.size()),
                                                    static_cast<std::size_t>(communicator.rank()));
  std::vector<double> terms;
  std::vector<float> u(m * input), condition(m * n), y(m * state), target(state), next(state);
  int kind = 0;
  std::string message;
  try {
    for (std::size_t first = range.begin; first < range.end; first += m) {
      Batch group;
      group.count = count_;
      for (std::size_t s = 0; s < m; ++s) group.examples.push_back(examples_[std::min(first + s, range.end - 1)]);
      load_batch(archive_, layout, cache_, group);
      const std::size_t wanted = std::min(m, range.end - first);
      std::vector<double> scores(m * width);
      const std::vector<float> given = group.states;  // the rollout overwrites group.states
      const auto states = [&](std::size_t s, std::size_t lead) {
        return std::span(group.states).subspan((s * (steps + 2) + lead) * state, state);
      };
      const auto forced = [&](std::size_t s, std::size_t lead) {
        return std::span(group.forcings).subspan((s * (steps + 1) + lead) * forcing, forcing);
      };
      for (std::size_t k = 0; k < steps; ++k) {
        for (std::size_t s = 0; s < m; ++s) {
          const Example& example = group.examples[s];
          step_.assemble(states(s, k), states(s, k + 1), forced(s, k), forced(s, k + 1),
                         std::span(u).subspan(s * input, input));
          const Duration lead = static_cast<int>(k) * example.step;
          step_.condition(archive_.times()[example.time_index] + lead, example.step, lead,
                          std::span(condition).subspan(s * n, n));
        }
        network.forward(Tensor::of(u, in), Tensor::of(condition, Shape{batch, static_cast<std::int64_t>(n)}),
                        Tensor::of(y, out));
        for (std::size_t s = 0; s < m; ++s) {
          const Duration d = group.examples[s].step;
          const auto of_sample = std::span(y).subspan(s * state, state);
          if (k == 0) {
            step_.target(states(s, 1), states(s, 2), d, target);
            scores[s * width] = weighted_loss(options_.loss, Tensor::of(of_sample, one), Tensor::of(target, one),
                                              layout.grid.row_weights(), options_.channel_weights, {}, Tensor());
          }
          step_.advance(of_sample, states(s, k + 1), d, next);
          std::copy(next.begin(), next.end(), states(s, k + 2).begin());
        }
      }
      for (std::size_t s = 0; s < wanted; ++s) {
        const auto original = [&](std::size_t lead) {
          return std::span(given).subspan((s * (steps + 2) + lead) * state, state);
        };
        for (std::size_t c = 0; c < channels_.size(); ++c) {
          const std::size_t channel = channels_[c];
          const double variance = layout.normalisation.stddev[channel] * layout.normalisation.stddev[channel];
          const auto field = [&](std::span<const float> values) { return values.subspan(channel * points, points); };
          scores[s * width + 1 + 2 * c] =
              variance * squared_error(field(states(s, steps + 1)), field(original(steps + 1)), layout.grid);
          scores[s * width + 2 + 2 * c] =
              variance * squared_error(field(original(1)), field(original(steps + 1)), layout.grid);
        }
      }
      terms.insert(terms.end(), scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(wanted * width));
    }
  } catch (const Error& error) {
    kind = error.exit_code();
    message = error.what();
  }
  communicator.agree(kind, message);
  std::vector<double> total(width);
  parallel::canonical_all_reduce(communicator, examples_.size(), width, terms, total);
  ValidationScores scores;
  scores.loss = total[0] / static_cast<double>(examples_.size());
  for (std::size_t c = 0; c < channels_.size(); ++c) {
    scores.channels.push_back(layout.channels[channels_[c]].name());
    scores.rmse.push_back(std::sqrt(total[1 + 2 * c] / static_cast<double>(examples_.size())));
    scores.persistence.push_back(std::sqrt(total[2 + 2 * c] / static_cast<double>(examples_.size())));
  }
  return scores;
}

}  // namespace zonda::model
