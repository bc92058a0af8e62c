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

/// The part of the area-weighted mean over the grid that rows `rows` add; a and b [row, lon] begin with row `first`.
double squared_error(std::span<const float> a, std::span<const float> b, const Grid& grid, std::size_t first,
                     parallel::Range rows) {
  const auto weights = grid.row_weights();
  double sum = 0;
  for (std::size_t row = rows.begin; row < rows.end; ++row) {
    double of_row = 0;
    for (std::size_t i = (row - first) * grid.nlon(); i < (row - first + 1) * grid.nlon(); ++i) {
      const double difference = static_cast<double>(a[i]) - b[i];
      of_row += difference * difference;
    }
    sum += weights[row] * of_row;
  }
  return sum / static_cast<double>(grid.size());
}

/// An error on any rank that shares samples or times becomes everybody's.
void agree(const parallel::Communicator& times, const Slab& slab, int kind, std::string message) {
  try {
    slab.ranks().agree(kind, message);
  } catch (const Error& error) {
    kind = error.exit_code();
    message = error.what();
  }
  times.agree(kind, message);
}

nlohmann::json by_channel(const std::vector<std::string>& channels, const std::vector<double>& values) {
  nlohmann::json json = nlohmann::json::object();
  for (std::size_t c = 0; c < channels.size(); ++c) json[channels[c]] = values[c];
  return json;
}

/// The rollout of a group of samples in the network's memory.
class GroupRollout {
 public:
  GroupRollout(ForecastNetwork& network, const ForecastStep& step, const StepOptions& options, std::size_t samples,
               std::size_t count)
      : network_(network),
        step_(step),
        options_(options),
        count_(count),
        scratch_(network.backend().memory()),
        staged_(step, network.backend().memory(), samples, count),
        cuts_(network.slab().image_row_offsets()) {
    Memory& memory = network.backend().memory();
    input_ = buffer_of(memory, staged_.input_shape());
    output_ = buffer_of(memory, staged_.state_shape());
    target_ = buffer_of(memory, staged_.state_shape());
    for (Buffer& state : predicted_) state = buffer_of(memory, staged_.state_shape());
    scratch_.begin_plan();
    pass([](std::size_t, std::span<const float>) {}, {});
    scratch_.finish_plan();
    scratch_.allocate();
  }
  StagedBatch& staged() { return staged_; }

  std::size_t chunks() const { return cuts_.size() - 1; }

  /// `made(k, states)` receives what was predicted after step k = 1, 2, ...; `losses` [samples, chunks()] the parts of
  /// each sample's first step.
  template <class Made>
  void pass(Made&& made, std::span<double> losses) {
    Context ctx(network_.backend(), scratch_, DType::f32);
    if (!ctx.planning()) scratch_.rewind(0);
    const Shape shape = staged_.state_shape();
    const Tensor u = tensor_of(input_, staged_.input_shape()), y = tensor_of(output_, shape),
                 wanted = tensor_of(target_, shape);
    const auto state = [&](std::size_t k) {
      return k < 2 ? staged_.given(k) : StateView{tensor_of(predicted_[k % 2], shape), 0};
    };
    const Grid& grid = step_.layout().grid;
    std::vector<double> parts(chunks());
    const LossTerms terms{options_.loss,
                          grid.row_weights().subspan(step_.rows().begin, step_.rows().size()),
                          options_.channel_weights,
                          {},
                          {static_cast<std::int64_t>(grid.nlat()), cuts_, parts}};
    for (std::size_t k = 0; k < count_; ++k) {
      staged_.assemble(ctx, k, state(k), state(k + 1), u);
      if (!ctx.planning()) {
        network_.set_leads(staged_.lead_days(k));
        network_.forward(u, staged_.condition(k), y);
      }
      if (k == 0) {
        staged_.target(ctx, 0, state(1), wanted);
        for (std::int64_t s = 0; s < shape[0]; ++s) {
          ctx->loss(ctx, terms, y.slice(s, 1), wanted.slice(s, 1), Tensor(), 1);
          if (!losses.empty())
            std::copy(parts.begin(), parts.end(),
                      losses.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(s) * chunks()));
        }
      }
      staged_.advance(ctx, y, state(k + 1), state(k + 2).image);
      if (!ctx.planning()) made(k + 1, on_host(state(k + 2).image, network_.backend().memory(), host_));
    }
  }

 private:
  ForecastNetwork& network_;
  const ForecastStep& step_;
  const StepOptions& options_;
  std::size_t count_;
  Arena scratch_;
  StagedBatch staged_;
  std::vector<std::int64_t> cuts_;  // of this rank's rows, by chunks
  Buffer input_, output_, target_, predicted_[2];
  std::vector<float> host_;
};

}  // namespace

nlohmann::json to_json(const ValidationScores& scores) {
  return {{"loss", scores.loss},
          {"rmse", by_channel(scores.channels, scores.rmse.back())},
          {"persistence", by_channel(scores.channels, scores.persistence.back())}};
}

nlohmann::json curve_to_json(const ValidationScores& scores) {
  nlohmann::json curve = nlohmann::json::array();
  for (std::size_t i = 0; i < scores.leads.size(); ++i)
    curve.push_back({{"lead_hours", static_cast<double>(scores.leads[i].count()) / 3600},
                     {"rmse", by_channel(scores.channels, scores.rmse[i])},
                     {"persistence", by_channel(scores.channels, scores.persistence[i])}});
  return curve;
}

std::size_t validation_bytes(const ForecastLayout& layout, std::size_t samples, Duration step, Duration lead) {
  if (step <= Duration{0}) return 0;
  const auto count = static_cast<std::size_t>(lead / step);
  // In the network's memory and, as they were read, on the host.
  const std::size_t fields = (count + 2) * layout.output_channels() + (count + 1) * layout.forcings.size();
  const std::size_t images =
      2 * fields + layout.static_channels.size() + layout.input_channels() + 4 * layout.output_channels();
  return samples * images * layout.points() * sizeof(float);
}

Duration step_to_leads(std::span<const Duration> steps, std::span<const Duration> leads) {
  Duration found{0};
  for (const Duration step : steps)
    if (std::all_of(leads.begin(), leads.end(),
                    [&](Duration lead) { return lead > Duration{0} && lead % step == Duration{0}; }))
      found = std::max(found, step);
  return found;
}

Validation::Validation(const ingest::ArchiveReader& archive, const ForecastStep& step, FieldCache& cache,
                       const ValidationConfig& config, std::vector<Duration> leads, Time first, Time last,
                       const StepOptions& options)
    : archive_(archive), step_(step), cache_(cache), options_(options), leads_(std::move(leads)) {
  const ForecastLayout& layout = step.layout();
  std::sort(leads_.begin(), leads_.end());
  const Duration d = step_to_leads(layout.steps, leads_);
  if (d == Duration{0})
    fail(ErrorKind::usage, "train.validation: leads up to {} are no multiples of one of the model's steps",
         to_string(leads_.back()));
  count_ = static_cast<int>(leads_.back() / d);
  const std::vector<Example> all = examples_within(archive.times(), first, last, std::span(&d, 1), count_);
  if (all.empty())
    fail(ErrorKind::data, "validation: from {} to {} no time has the states from {} before to {} after it",
         to_string(first), to_string(last), to_string(d), to_string(leads_.back()));
  const std::size_t n = std::min(all.size(), static_cast<std::size_t>(config.samples));
  for (std::size_t i = 0; i < n; ++i) examples_.push_back(all[n > 1 ? i * (all.size() - 1) / (n - 1) : all.size() / 2]);
  channels_ = choose_channels(layout.channels, config.channels);
}

/// Examples [first, first + samples).
void Validation::load(Batch& group, std::size_t first, std::size_t samples) const {
  group.count = count_;
  group.examples.clear();
  for (std::size_t s = 0; s < samples; ++s) group.examples.push_back(examples_[first + s]);
  load_batch(archive_, step_.layout(), cache_, group);
}

ValidationScores Validation::run(ForecastNetwork& network, const parallel::Communicator& communicator,
                                 int together) const {
  const ForecastLayout& layout = step_.layout();
  const Slab& slab = network.slab();
  const std::size_t points = step_.points(), state = layout.output_channels() * points;
  const std::size_t m = static_cast<std::size_t>(together), steps = static_cast<std::size_t>(count_);
  const std::size_t pairs = leads_.size() * channels_.size(), width = 1 + 2 * pairs;
  const auto ranks = static_cast<std::size_t>(communicator.size());
  const parallel::Range range =
      parallel::partition(examples_.size(), ranks, static_cast<std::size_t>(communicator.rank()));
  // Every rank makes as many passes: parameters may travel in them.
  const std::size_t passes = (parallel::partition(examples_.size(), ranks, 0).size() + m - 1) / m;
  GroupRollout rollout(network, step_, options_, m, steps);
  std::vector<double> parts(rollout.chunks() * range.size() * width);  // [chunk, example, width]
  std::vector<std::size_t> chosen(m);
  Batch group;
  for (std::size_t pass = 0; pass < passes; ++pass) {
    const std::size_t first = std::min(range.begin + pass * m, examples_.size() - 1);
    const std::size_t wanted = range.begin + pass * m < range.end ? std::min(m, range.end - first) : 0;
    int kind = 0;
    std::string message;
    try {
      load(group, first, std::max<std::size_t>(wanted, 1));
    } catch (const Error& error) {
      kind = error.exit_code();
      message = error.what();
    }
    agree(communicator, slab, kind, message);
    for (std::size_t s = 0; s < m; ++s) chosen[s] = std::min(s, group.examples.size() - 1);
    rollout.staged().stage(group, chosen, 0, archive_.times());
    const auto part = [&](std::size_t chunk, std::size_t s) {
      return parts.data() + (chunk * range.size() + first - range.begin + s) * width;
    };
    const Duration d = group.examples[0].step;
    const auto score = [&](std::size_t k, std::span<const float> predicted) {
      const auto lead = std::find(leads_.begin(), leads_.end(), static_cast<int>(k) * d);
      if (lead == leads_.end()) return;
      for (std::size_t s = 0; s < wanted; ++s)
        for (std::size_t c = 0; c < channels_.size(); ++c) {
          const std::size_t channel = channels_[c],
                            pair = static_cast<std::size_t>(lead - leads_.begin()) * channels_.size() + c;
          const double variance = layout.normalisation.stddev[channel] * layout.normalisation.stddev[channel];
          const auto given = [&](std::size_t at) {
            return std::span(group.states).subspan((s * (steps + 2) + at) * state + channel * points, points);
          };
          for (std::size_t chunk = 0; chunk < rollout.chunks(); ++chunk) {
            const parallel::Range rows = slab.image_rows_of_chunk(slab.first_chunk() + static_cast<int>(chunk));
            const auto error = [&](std::span<const float> a) {
              return variance * squared_error(a, given(k + 1), layout.grid, step_.rows().begin, rows);
            };
            part(chunk, s)[1 + 2 * pair] = error(predicted.subspan(s * state + channel * points, points));
            part(chunk, s)[2 + 2 * pair] = error(given(1));
          }
        }
    };
    std::vector<double> losses(m * rollout.chunks());
    rollout.pass(score, losses);
    for (std::size_t s = 0; s < wanted; ++s)
      for (std::size_t chunk = 0; chunk < rollout.chunks(); ++chunk)
        part(chunk, s)[0] = losses[s * rollout.chunks() + chunk];
  }
  std::vector<double> terms(range.size() * width), total(width);
  parallel::canonical_all_reduce(slab.ranks(), static_cast<std::size_t>(slab.chunks()), terms.size(), parts, terms);
  parallel::canonical_all_reduce(communicator, examples_.size(), width, terms, total);
  const auto mean = [&](std::size_t i) { return total[i] / static_cast<double>(examples_.size()); };
  ValidationScores scores;
  scores.loss = mean(0);
  scores.leads = leads_;
  for (const std::size_t channel : channels_) scores.channels.push_back(layout.channels[channel].name());
  for (std::size_t i = 0; i < leads_.size(); ++i) {
    scores.rmse.emplace_back();
    scores.persistence.emplace_back();
    for (std::size_t c = 0; c < channels_.size(); ++c) {
      scores.rmse.back().push_back(std::sqrt(mean(1 + 2 * (i * channels_.size() + c))));
      scores.persistence.back().push_back(std::sqrt(mean(2 + 2 * (i * channels_.size() + c))));
    }
  }
  return scores;
}

}  // namespace zonda::model
