#include "postproc/verification/scoring.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "ingest/sources/source.hpp"
#include "parallel/canonical.hpp"
#include "parallel/partition.hpp"
#include "postproc/verification/climatology.hpp"
#include "postproc/verification/ensemble.hpp"
#include "postproc/verification/field_series.hpp"
#include "postproc/verification/field_sums.hpp"
#include "postproc/verification/spectrum.hpp"

namespace zonda::postproc {
namespace {

// Sums kept for each lead, channel and region.
enum Quantity : std::size_t {
  forecast_square,
  forecast_bias,
  forecast_absolute,
  forecast_acc,
  forecast_activity,
  forecast_crps,
  forecast_variance,
  forecast_debiased,
  persistence_square,
  persistence_bias,
  persistence_absolute,
  persistence_acc,
  persistence_activity,
  climatology_square,
  climatology_bias,
  climatology_absolute,
  quantities
};

constexpr std::size_t most_blocks = 128;  // bounds a rank's memory; more ranks than this would idle

class Scorer {
 public:
  explicit Scorer(const ScoringPlan& plan)
      : plan_(plan),
        grid_(plan.truth.grid()),
        points_(grid_.size()),
        members_(plan.starts.front().members.size()),
        waves_(grid_.nlon() / 2 + 1),
        spectra_begin_(plan.leads.size() * plan.channels.size() * plan.regions.size() * quantities),
        ranks_begin_(spectra_begin_ + plan.leads.size() * plan.spectral.size() * 2 * waves_),
        samples_begin_(ranks_begin_ + (members_ > 1 ? plan.leads.size() * plan.channels.size() * (members_ + 1) : 0)),
        width_(samples_begin_ + plan.leads.size()),
        initial_(plan.channels.size() * points_),
        truth_(plan.channels.size() * points_),
        forecast_(points_),
        climatology_(points_),
        means_(plan.regions.size()) {}

  std::size_t width() const { return width_; }

  void add(const ForecastStart& start, std::span<double> sums) {
    read_truth(start.initial, initial_);
    std::vector<std::unique_ptr<ingest::Source>> sources;
    for (const ForecastFile& file : start.members) sources.push_back(plan_.open(file.path));
    for (std::size_t lead = 0; lead < plan_.leads.size(); ++lead) {
      const Time valid = start.initial + plan_.leads[lead];
      const bool forecast_has = std::all_of(start.members.begin(), start.members.end(), [&](const ForecastFile& file) {
        return std::binary_search(file.valid_times.begin(), file.valid_times.end(), valid);
      });
      if (!forecast_has || !plan_.truth.find_time(valid)) continue;
      read_truth(valid, truth_);
      sums[samples_begin_ + lead] += 1;
      for (std::size_t c = 0; c < plan_.channels.size(); ++c) add_field(start, sources, lead, c, valid, sums);
    }
  }

  ScoringResult result(std::span<const double> total) const;

 private:
  std::span<const float> truth_field(std::size_t c) const { return std::span(truth_).subspan(c * points_, points_); }
  std::size_t index(std::size_t lead, std::size_t c, std::size_t region) const {
    return ((lead * plan_.channels.size() + c) * plan_.regions.size() + region) * quantities;
  }
  std::size_t spectrum_index(std::size_t lead, std::size_t spectral) const {
    return spectra_begin_ + (lead * plan_.spectral.size() + spectral) * 2 * waves_;
  }

  std::size_t rank_index(std::size_t lead, std::size_t c) const {
    return ranks_begin_ + (lead * plan_.channels.size() + c) * (members_ + 1);
  }

  void read_truth(Time time, std::vector<float>& state) const {
    const std::size_t at = plan_.truth.find_time(time).value();
    bool in_order = plan_.channels.size() == plan_.truth.channels().size();
    for (std::size_t c = 0; c < plan_.channels.size(); ++c) in_order = in_order && plan_.channels[c] == c;
    if (in_order) {
      plan_.truth.read(at, 0, grid_.nlat(), state);
    } else {
      for (std::size_t c = 0; c < plan_.channels.size(); ++c)
        plan_.truth.read_channel(at, plan_.channels[c], 0, grid_.nlat(),
                                 std::span(state).subspan(c * points_, points_));
    }
  }

  static void read_member(const ingest::Source& source, const ForecastFile& file, const Channel& channel, Time valid,
                          std::span<float> values) {
    const auto key = std::find_if(source.fields().begin(), source.fields().end(), [&](const ingest::FieldKey& k) {
      return k.channel == channel && k.valid_time == valid && k.reference_time == file.initial &&
             k.member == file.member;
    });
    if (key == source.fields().end())
      fail(ErrorKind::data, "{}: {} is missing at {}", file.path.string(), channel.name(), to_string(valid));
    source.read(*key, values);
    for (const float value : values)
      if (!std::isfinite(value))
        fail(ErrorKind::numerical, "{}: {} at {} is not finite", file.path.string(), channel.name(), to_string(valid));
  }

  void add_field(const ForecastStart& start, const std::vector<std::unique_ptr<ingest::Source>>& sources,
                 std::size_t lead, std::size_t c, Time valid, std::span<double> sums) {
    const std::size_t truth_channel = plan_.channels[c];
    const Channel& channel = plan_.truth.channels()[truth_channel];
    const auto truth = truth_field(c);
    const auto initial = std::span<const float>(initial_).subspan(c * points_, points_);
    for (std::size_t i = 0; i < points_; ++i)
      if (!std::isfinite(truth[i]) || !std::isfinite(initial[i]))
        fail(ErrorKind::data, "the archive has a missing value of {} at {} or {}", channel.name(),
             to_string(start.initial), to_string(valid));
    plan_.climatology.evaluate(truth_channel, valid, climatology_);
    double* out = sums.data() + index(lead, c, 0);
    if (members_ == 1) {
      read_member(*sources[0], start.members[0], channel, valid, forecast_);
    } else {
      read_members(start, sources, channel, valid);
      add_ensemble(truth, out);
      add_ranks(start.initial, lead, c, truth, sums.subspan(rank_index(lead, c), members_ + 1));
    }
    const auto each = [&](std::span<const float> field, auto&& use) {
      field_means(plan_.regions, grid_.nlon(), field, truth, climatology_, means_);
      for (std::size_t r = 0; r < means_.size(); ++r) use(means_[r], out + r * quantities);
    };
    each(forecast_, [this](const FieldMeans& m, double* s) {
      s[forecast_square] += m.squared_error;
      s[forecast_bias] += m.error;
      s[forecast_absolute] += m.absolute_error;
      s[forecast_acc] += m.anomaly_correlation();
      s[forecast_activity] += m.activity();
      if (members_ == 1) s[forecast_crps] += m.absolute_error;
    });
    each(initial, [](const FieldMeans& m, double* s) {
      s[persistence_square] += m.squared_error;
      s[persistence_bias] += m.error;
      s[persistence_absolute] += m.absolute_error;
      s[persistence_acc] += m.anomaly_correlation();
      s[persistence_activity] += m.activity();
      // Climatology as the forecast: its error is minus the truth's anomaly.
      s[climatology_square] += m.truth_square;
      s[climatology_bias] += m.error - m.forecast_anomaly;
    });
    add_climatology_absolute(truth, out);
    const auto spectral = std::find(plan_.spectral.begin(), plan_.spectral.end(), truth_channel);
    if (spectral == plan_.spectral.end()) return;
    double* spectrum = sums.data() + spectrum_index(lead, static_cast<std::size_t>(spectral - plan_.spectral.begin()));
    if (members_ == 1) add_spectrum(forecast_, spectrum);
    for (std::size_t m = 0; members_ > 1 && m < members_; ++m)
      add_spectrum(member(m), spectrum, 1 / static_cast<double>(members_));
    add_spectrum(truth, spectrum + waves_);
  }

  void add_climatology_absolute(std::span<const float> truth, double* out) {
    for (std::size_t i = 0; i < points_; ++i) climatology_[i] = std::abs(climatology_[i] - truth[i]);
    for (std::size_t r = 0; r < plan_.regions.size(); ++r)
      out[r * quantities + climatology_absolute] += plan_.regions[r].mean(climatology_);
  }

  std::span<const float> member(std::size_t m) const { return std::span(ensemble_).subspan(m * points_, points_); }

  void read_members(const ForecastStart& start, const std::vector<std::unique_ptr<ingest::Source>>& sources,
                    const Channel& channel, Time valid) {
    ensemble_.resize(members_ * points_);
    for (std::size_t m = 0; m < members_; ++m)
      read_member(*sources[m], start.members[m], channel, valid, std::span(ensemble_).subspan(m * points_, points_));
  }

  void add_ensemble(std::span<const float> truth, double* out) {
    std::vector<double> crps(points_), variance(points_), debiased(points_), point(members_);
    for (std::size_t i = 0; i < points_; ++i) {
      for (std::size_t m = 0; m < members_; ++m) point[m] = ensemble_[m * points_ + i];
      const EnsembleMoments moments = ensemble_moments(point);
      forecast_[i] = static_cast<float>(moments.mean);
      variance[i] = moments.variance;
      debiased[i] = moments.debiased_squared_error(truth[i]);
      crps[i] = fair_crps(point, truth[i]);
    }
    for (std::size_t r = 0; r < plan_.regions.size(); ++r) {
      out[r * quantities + forecast_crps] += plan_.regions[r].mean(crps);
      out[r * quantities + forecast_variance] += plan_.regions[r].mean(variance);
      out[r * quantities + forecast_debiased] += plan_.regions[r].mean(debiased);
    }
  }

  /// A tie is broken by a number that belongs to this initial time, lead, channel and point alone.
  void add_ranks(Time initial, std::size_t lead, std::size_t c, std::span<const float> truth, std::span<double> out) {
    RankHistogram histogram(members_, plan_.tie_seed);
    const auto hour =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::hours>(initial.time_since_epoch()).count());
    const std::uint64_t first = ((hour * plan_.leads.size() + lead) * plan_.channels.size() + c) * points_;
    std::vector<double> point(members_);
    for (std::size_t i = 0; i < points_; ++i) {
      for (std::size_t m = 0; m < members_; ++m) point[m] = ensemble_[m * points_ + i];
      histogram.add(point, truth[i], first + i, grid_.row_weights()[i / grid_.nlon()] / static_cast<double>(points_));
    }
    for (std::size_t r = 0; r < out.size(); ++r) out[r] += histogram.counts()[r];
  }

  void add_spectrum(std::span<const float> field, double* out, double share = 1) const {
    const std::vector<double> spectrum = mean_zonal_spectrum(grid_, field);
    for (std::size_t k = 0; k < spectrum.size(); ++k) out[k] += share * spectrum[k];
  }

  const ScoringPlan& plan_;
  Grid grid_;
  std::size_t points_, members_, waves_, spectra_begin_, ranks_begin_, samples_begin_, width_;
  std::vector<float> initial_, truth_, forecast_, ensemble_;
  std::vector<double> climatology_;
  std::vector<FieldMeans> means_;
};

ScoringResult Scorer::result(std::span<const double> total) const {
  ScoringResult result;
  for (std::size_t lead = 0; lead < plan_.leads.size(); ++lead) {
    const double samples = total[samples_begin_ + lead];
    result.samples.push_back(static_cast<std::size_t>(samples));
    if (samples == 0) continue;
    const double hours = std::chrono::duration<double, std::ratio<3600>>(plan_.leads[lead]).count();
    for (std::size_t c = 0; c < plan_.channels.size(); ++c) {
      const Channel& channel = plan_.truth.channels()[plan_.channels[c]];
      const std::string vector = wind_vector_name(channel.variable);
      std::optional<std::size_t> partner;
      for (std::size_t other = 0; other < plan_.channels.size() && !vector.empty(); ++other)
        if (plan_.truth.channels()[plan_.channels[other]] == Channel{channel.info().vector_partner, channel.level_hpa})
          partner = other;
      for (std::size_t r = 0; r < plan_.regions.size(); ++r) {
        std::array<double, quantities> mean{};
        for (std::size_t q = 0; q < quantities; ++q) mean[q] = total[index(lead, c, r) + q] / samples;
        const auto record = [&](const std::string& variable, const char* metric, const char* source, double value) {
          if (std::isfinite(value))
            result.records.push_back(
                {variable, channel.level_hpa, hours, plan_.regions[r].name(), metric, source, value});
        };
        const auto own = [&](const char* metric, const char* source, double value) {
          record(channel.variable, metric, source, value);
        };
        own("mse", "forecast", mean[forecast_square]);
        own("mse", "persistence", mean[persistence_square]);
        own("mse", "climatology", mean[climatology_square]);
        own("rmse", "forecast", std::sqrt(mean[forecast_square]));
        own("rmse", "persistence", std::sqrt(mean[persistence_square]));
        own("rmse", "climatology", std::sqrt(mean[climatology_square]));
        own("bias", "forecast", mean[forecast_bias]);
        own("bias", "persistence", mean[persistence_bias]);
        own("bias", "climatology", mean[climatology_bias]);
        own("mae", "forecast", mean[forecast_absolute]);
        own("mae", "persistence", mean[persistence_absolute]);
        own("mae", "climatology", mean[climatology_absolute]);
        own("acc", "forecast", mean[forecast_acc]);
        own("acc", "persistence", mean[persistence_acc]);
        own("activity", "forecast", mean[forecast_activity]);
        own("activity", "persistence", mean[persistence_activity]);
        own("activity", "climatology", 0);
        if (members_ > 1) {
          own("crps", "forecast", mean[forecast_crps]);
          own("spread", "forecast", std::sqrt(mean[forecast_variance]));
          own("debiased_mse", "forecast", mean[forecast_debiased]);
          own("spread_error_ratio", "forecast",
              spread_error_ratio(mean[forecast_variance], mean[forecast_square], members_));
        }
        if (!partner) continue;
        const auto squared = [&](Quantity q) { return mean[q] + total[index(lead, *partner, r) + q] / samples; };
        record(vector, "wind_vector_rmse", "forecast", std::sqrt(squared(forecast_square)));
        record(vector, "wind_vector_rmse", "persistence", std::sqrt(squared(persistence_square)));
        record(vector, "wind_vector_rmse", "climatology", std::sqrt(squared(climatology_square)));
      }
    }
    for (std::size_t c = 0; members_ > 1 && c < plan_.channels.size(); ++c) {
      RankRecord record{plan_.truth.channels()[plan_.channels[c]], hours, {}};
      for (const double count : total.subspan(rank_index(lead, c), members_ + 1))
        record.frequencies.push_back(count / samples);
      result.ranks.push_back(std::move(record));
    }
    for (std::size_t s = 0; s < plan_.spectral.size(); ++s) {
      SpectrumRecord record{plan_.truth.channels()[plan_.spectral[s]], hours, {}, {}};
      const double* sums = total.data() + spectrum_index(lead, s);
      for (std::size_t k = 0; k < waves_; ++k) {
        record.forecast.push_back(sums[k] / samples);
        record.truth.push_back(sums[waves_ + k] / samples);
      }
      result.spectra.push_back(std::move(record));
    }
  }
  return result;
}

}  // namespace

std::string wind_vector_name(const std::string& variable) {
  if (!variable.ends_with('u') || zonda::variable(variable).vector_partner.empty()) return "";
  return variable.substr(0, variable.size() - 1) + "wind";
}

ScoringResult score(const ScoringPlan& plan, const parallel::Communicator& communicator) {
  const std::size_t blocks = std::min(plan.starts.size(), most_blocks);
  const auto mine = parallel::partition(blocks, static_cast<std::size_t>(communicator.size()),
                                        static_cast<std::size_t>(communicator.rank()));
  Scorer scorer(plan);
  std::vector<double> sums(mine.size() * scorer.width(), 0.0);
  int kind = 0;
  std::string message;
  std::int64_t stop = 0;
  try {
    Progress progress("verify", static_cast<std::int64_t>(mine.size()), "block");
    for (std::size_t block = mine.begin; block < mine.end && stop == 0; ++block) {
      const auto range = parallel::partition(plan.starts.size(), blocks, block);
      const auto own = std::span(sums).subspan((block - mine.begin) * scorer.width(), scorer.width());
      for (std::size_t i = range.begin; i < range.end && stop == 0; ++i) {
        scorer.add(plan.starts[i], own);
        stop = stop_requested().value_or(0);
      }
      progress.update(static_cast<std::int64_t>(block - mine.begin) + 1);
    }
    if (stop == 0) progress.finish();
  } catch (const Error& error) {
    kind = error.exit_code();
    message = error.what();
  }
  communicator.agree(kind, message);
  communicator.all_reduce(std::span(&stop, 1), parallel::Reduction::max).wait();
  if (stop != 0) throw Interrupted(static_cast<int>(stop), "verification stopped; run it again to redo it");
  std::vector<double> total(scorer.width());
  parallel::canonical_all_reduce(communicator, blocks, scorer.width(), std::span<const double>(sums), total);
  return scorer.result(total);
}

}  // namespace zonda::postproc
