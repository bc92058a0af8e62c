#pragma once
// What the network is fed and what it gives: u = [x(t-d), x(t), static, forcing(t), forcing(t+d)] -> tendency of x over
// d; of a regional model besides the host's state at t and t+d near the edge, and the distance to the edge. Both
// training and inference step through this one description, so they cannot disagree.
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"
#include "model/forecast_state/boundary_ring.hpp"
#include "model/forecast_state/normalisation.hpp"
#include "model/forecast_state/state_bounds.hpp"
#include "model/forecast_state/static_fields.hpp"
#include "model/ops/backend.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

/// What the network's output means: x(t+d) - x(t) over its own standard deviation, or x(t+d) itself, normalised.
enum class Target { tendency, state };

/// Of a regional model: the ring of cells in which its state is relaxed to the host's.
struct LateralBoundary {
  int width = 8;  ///< cells
};

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
  std::optional<LateralBoundary> boundary{};           ///< none: a global model
  std::vector<double> static_mean{}, static_stddev{};  ///< [static channel] of a larger grid's; empty: of the fields
  /// Where the static fields are read from by rows; `static_fields` are empty then. None: they are held whole.
  std::shared_ptr<const StaticFields> static_rows{};

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
/// Rows of it: `out [forcing, row, lon]`.
void normalised_forcing(const ForecastLayout& layout, Time time, parallel::Range rows, std::span<float> out);

/// What the channels of u are made of, in their order.
enum class InputPart {
  previous,
  current,
  statics,
  forcing_now,
  forcing_next,
  host_now,          ///< of a regional model, [prognostic channel, lat, lon]: the host at t in the ring, zero inside
  host_next,         ///< at t + d
  boundary_distance  ///< [1, lat, lon]: 0 at the edge, 1 from the ring's inner end on
};

/// States of all samples: the layout's channels of an image from `first` on.
struct StateView {
  Tensor image;
  std::int32_t first = 0;
};

/// One network step in normalised space: every part of it is a map between channels (Backend::map_channels), the same
/// for the host and a device. States are `[channel, lat, lon]`, of all rows or of a slab of them; functions on spans
/// are for one sample on the host.
class ForecastStep {
 public:
  explicit ForecastStep(const ForecastLayout& layout);
  ForecastStep(const ForecastLayout& layout, parallel::Range rows);

  using Terms = std::vector<ChannelTerm>;
  /// The part's channels -> u; `first`: where they begin in the image they lie in.
  Terms input_terms(InputPart part, std::int32_t first = 0) const;
  // x(t+d) = increments(y) + carried(x(t)).
  Terms increments(Duration step) const;
  Terms carried(std::int32_t first = 0) const;
  // y = tendencies(x(t+d)) + departures(x(t)): the inverse.
  Terms tendencies(Duration step, std::int32_t first = 0) const;
  Terms departures(Duration step, std::int32_t first = 0) const;
  /// The adjoint map.
  static Terms adjoint(Terms terms);

  /// u `[input_channels, lat, lon]` from x(t-d), x(t) and the forcings `[forcing, lat, lon]` at t and t+d; of a
  /// regional model from the host's strips `[prognostic channel, cell of the ring]` at t and t+d as well.
  void assemble(std::span<const float> previous, std::span<const float> current, std::span<const float> forcing_now,
                std::span<const float> forcing_next, std::span<float> u, std::span<const float> host_now = {},
                std::span<const float> host_next = {}) const;
  /// c `[condition_size]`: d in days, log2 of d in 6 h, lead in 10 days, sine and cosine of the year's and of the day's
  /// phase. `turned`: degrees east by which the fields were turned around the axis, which shifts the hour that belongs
  /// to them.
  void condition(Time time, Duration step, Duration lead, std::span<float> c, double turned = 0) const;
  /// x(t+d) from the network's output y `[channel, lat, lon]`.
  void advance(std::span<const float> y, std::span<const float> current, Duration step, std::span<float> next) const;
  /// The y that would give `next`: inverse of advance.
  void target(std::span<const float> current, std::span<const float> next, Duration step, std::span<float> y) const;

  /// The same for states `[sample, channel, lat, lon]` in the backend's memory, without bounds().
  void advance(Context& ctx, const Tensor& y, const StateView& current, Duration step, const Tensor& next) const;
  /// What every state that a further step begins from is kept within.
  const StateBounds& bounds() const { return bounds_; }

  /// Rows of the grid that the states are of, and points of a channel.
  parallel::Range rows() const { return rows_; }
  std::size_t points() const { return rows_.size() * layout_.grid.nlon(); }
  /// Channels of the state that are fed back.
  std::span<const std::size_t> prognostic() const { return prognostic_; }
  /// Of a regional model. Throws Error(failure) for a global one.
  const BoundaryRing& ring() const;
  /// Numbers of a strip: prognostic channels times cells of the ring.
  std::size_t strip_size() const { return prognostic_.size() * ring().size(); }
  /// The strip `[prognostic channel, cell]` of a state `[channel, lat, lon]`.
  void gather_strip(std::span<const float> state, std::span<float> strip) const;
  /// The state's prognostic channels, relaxed in place to the host's strip; at the edge they are it, bit by bit, which
  /// is verified. Normalised like all states: the map is linear, so that relaxing in SI would give the same but for
  /// rounding. Throws Error(numerical) where the strip is not finite.
  void relax(std::span<const float> host_strip, std::span<float> state) const;
  /// `[static channel, lat, lon]` of these rows; over the whole grid of mean 0 and deviation 1.
  std::span<const float> statics() const { return static_normalised_; }
  const ForecastLayout& layout() const { return layout_; }

 private:
  void map(const Terms& terms, std::span<const float> from, std::span<float> to) const;
  bool is_carried(std::size_t channel) const;
  void normalise_statics();

  const ForecastLayout& layout_;
  parallel::Range rows_;
  StateBounds bounds_;
  std::optional<BoundaryRing> ring_;
  std::vector<std::size_t> prognostic_;
  std::vector<float> static_normalised_;
};

}  // namespace zonda::model
