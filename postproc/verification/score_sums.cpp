#include "postproc/verification/score_sums.hpp"

#include <array>
#include <cmath>
#include <optional>

#include "postproc/verification/ensemble.hpp"
#include "postproc/verification/field_series.hpp"

namespace zonda::postproc {

ScoreSums::ScoreSums(const ScoringPlan& plan)
    : plan_(plan),
      members_(plan.starts.front().members.size()),
      waves_(plan.truth.grid().nlon() / 2 + 1),
      spectra_begin_(plan.leads.size() * plan.channels.size() * plan.regions.size() * quantities),
      ranks_begin_(spectra_begin_ + plan.leads.size() * plan.spectral.size() * 2 * waves_),
      samples_begin_(ranks_begin_ + (members_ > 1 ? plan.leads.size() * plan.channels.size() * (members_ + 1) : 0)),
      width_(samples_begin_ + plan.leads.size()) {}

ScoringResult ScoreSums::result(std::span<const double> total) const {
  ScoringResult result;
  for (std::size_t lead = 0; lead < plan_.leads.size(); ++lead) {
    const double samples = total[this->samples(lead)];
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
        for (std::size_t q = 0; q < quantities; ++q) mean[q] = total[regions(lead, c) + r * quantities + q] / samples;
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
        const auto squared = [&](Quantity q) {
          return mean[q] + total[regions(lead, *partner) + r * quantities + q] / samples;
        };
        record(vector, "wind_vector_rmse", "forecast", std::sqrt(squared(forecast_square)));
        record(vector, "wind_vector_rmse", "persistence", std::sqrt(squared(persistence_square)));
        record(vector, "wind_vector_rmse", "climatology", std::sqrt(squared(climatology_square)));
      }
    }
    for (std::size_t c = 0; members_ > 1 && c < plan_.channels.size(); ++c) {
      RankRecord record{plan_.truth.channels()[plan_.channels[c]], hours, {}};
      for (const double count : total.subspan(ranks(lead, c), members_ + 1))
        record.frequencies.push_back(count / samples);
      result.ranks.push_back(std::move(record));
    }
    for (std::size_t s = 0; s < plan_.spectral.size(); ++s) {
      SpectrumRecord record{plan_.truth.channels()[plan_.spectral[s]], hours, {}, {}};
      const double* sums = total.data() + spectrum(lead, s);
      for (std::size_t k = 0; k < waves_; ++k) {
        record.forecast.push_back(sums[k] / samples);
        record.truth.push_back(sums[waves_ + k] / samples);
      }
      result.spectra.push_back(std::move(record));
    }
  }
  return result;
}

std::string wind_vector_name(const std::string& variable) {
  if (!variable.ends_with('u') || zonda::variable(variable).vector_partner.empty()) return "";
  return variable.substr(0, variable.size() - 1) + "wind";
}

}  // namespace zonda::postproc
