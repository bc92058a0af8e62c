#pragma once
// What the network is fed and what it gives: u = [x(t-d), x(t), static, forcing(t), forcing(t+d)] -> tendency of x over
// d. Both training and inference step through this one description, so they cannot disagree.
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"
#include "model/forecast_state/normalisation.hpp"

namespace zonda::model {

/// What the network's output means: x(t+d) - x(t) over its own standard deviation, or x(t+d) itself, normalised.
enum class Target { tendency, state };

struct ForecastLayout {
  Grid grid;
  std::vector<Channel> channels;  ///< in the archive's order; accumulated ones are predicted and not fed back
  std::vector<Channel> static_channels;
  std::vector<float> static_fields;   ///< [static channel, lat, lon], SI
  std::vector<std::string> forcings;  ///< names that ingest::compute_forcing knows
  std::vector<Duration> steps;        ///< ascending
  Target target = Target::tendency;
  Normalisation normalisation;
  Duration trained_lead{0};  ///< the longest lead at which a step began in training; later ones count as this one

  std::size_t points() const { return grid.size(); }
  std::size_t prognostic_channels() const;
  std::size_t input_channels() const;
  std::size_t output_channels() const { return channels.size(); }
  static constexpr std::size_t condition_size = 7;

  /// SHA-256 of names and values of the static fields.
  std::string static_hash() const;
  /// Everything but the values of the static fields.
  nlohmann::json to_json() const;
  /// Inverse; `static_fields` are set by the caller. Throws Error(data).
  static ForecastLayout from_json(const nlohmann::json& json);
};

/// Forcings of a time as the network takes them, of order 1: `out [forcing, lat, lon]`. Throws Error(usage) for an
/// unknown name.
void normalised_forcing(const ForecastLayout& layout, Time time, std::span<float> out);

/// One network step in normalised space. States are `[channel, lat, lon]`; every function is for one sample.
class ForecastStep {
 public:
  explicit ForecastStep(const ForecastLayout& layout);

  /// u `[input_channels, lat, lon]` from x(t-d), x(t) and the forcings `[forcing, lat, lon]` at t and t+d.
  void assemble(std::span<const float> previous, std::span<const float> current, std::span<const float> forcing_now,
                std::span<const float> forcing_next, std::span<float> u) const;
  /// Adjoint of assemble in x: adds du's share to the gradients of x(t-d) and x(t).
  void assemble_adjoint(std::span<const float> du, std::span<float> previous, std::span<float> current) const;
  /// c `[condition_size]`: d in days, log2 of d in 6 h, lead in 10 days, sine and cosine of the year's and of the day's
  /// phase. `turned`: degrees east by which the fields were turned around the axis, which shifts the hour that belongs
  /// to them.
  void condition(Time time, Duration step, Duration lead, std::span<float> c, double turned = 0) const;
  /// x(t+d) from the network's output y `[channel, lat, lon]`.
  void advance(std::span<const float> y, std::span<const float> current, Duration step, std::span<float> next) const;
  /// Adjoint: dy is set, the gradient of x(t) is added to.
  void advance_adjoint(std::span<const float> dnext, Duration step, std::span<float> dy,
                       std::span<float> dcurrent) const;
  /// The y that would give `next`: inverse of advance.
  void target(std::span<const float> current, std::span<const float> next, Duration step, std::span<float> y) const;
  /// Adjoint of target in `next`: adds dy's share to its gradient.
  void target_adjoint(std::span<const float> dy, Duration step, std::span<float> dnext) const;
  /// Where in u the static fields are: [first, first + count) channels.
  std::size_t first_static_channel() const { return 2 * prognostic_.size(); }
  const ForecastLayout& layout() const { return layout_; }

 private:
  const ForecastLayout& layout_;
  std::vector<std::size_t> prognostic_;
  std::vector<float> static_normalised_;
};

}  // namespace zonda::model
