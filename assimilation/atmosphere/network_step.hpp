#pragma once
// One step of a forecast network on states in SI units and f64, with its tangent and adjoint.
#include <memory>
#include <span>
#include <vector>

#include "assimilation/interfaces/vectors.hpp"
#include "core/time.hpp"
#include "model/forecast_state/forecast_layout.hpp"
#include "model/network/forecast_network.hpp"
#include "model/tensor/buffer.hpp"

namespace zonda::assimilation {

/// A layout, its step of length d, and whether states are kept within their physical bounds. Stays where it is.
struct NetworkDescription {
  model::ForecastLayout layout;
  model::ForecastStep step;
  Duration d;
  bool bounds;
  std::vector<std::size_t> prognostic;  ///< the layout's channels that a state holds

  NetworkDescription(model::ForecastLayout layout, Duration d, bool bounds);
  NetworkDescription(const NetworkDescription&) = delete;
  std::size_t slot_size() const { return prognostic.size() * layout.points(); }
};

/// States are [time slot (t - d, t)][prognostic channel, lat, lon]. Normalised fields and maps between channels are
/// f64 on the host; the network computes in its own type where its backend is. One thread at a time. Where ranks share
/// the network by latitude, all make the same calls with the same states; each sends its rows through, and all get
/// those of all: a rank holds the activations of its rows, and whole images.
class NetworkStep {
 public:
  NetworkStep(std::shared_ptr<const NetworkDescription> description, std::unique_ptr<model::ForecastNetwork> network);
  /// Each state, in place: [x(t - d), x(t)] becomes [x(t), x(t + d)].
  void run(Time time, std::span<const View> states);
  /// tangent() and adjoint() are about this state until the next call of linearise() or run().
  void linearise(Time time, ConstView state);
  void tangent(View perturbation);
  void adjoint(View sensitivity);

 private:
  using Terms = model::ForecastStep::Terms;
  void prepare(int batch, model::Use use);
  /// What the network reads of a state, into sample `sample` of its input.
  void assemble(Time time, ConstView state, std::size_t sample);
  void forward();
  /// The state's slot as a normalised image [channel, lat, lon]; of a perturbation without the mean.
  void normalise(ConstView slot, bool mean, Vector& image) const;
  model::Tensor tensor(const model::Buffer& buffer, std::size_t channels) const;
  void send(ConstView numbers, const model::Buffer& to);
  void receive(const model::Buffer& from, View numbers);
  /// The same of images [plane, lat, lon], of which the buffer has this rank's rows.
  void send_images(ConstView images, const model::Buffer& to);
  void receive_images(const model::Buffer& from, View images);
  std::size_t points_here() const;
  void map(const Terms& terms, ConstView from, View to) const;

  std::shared_ptr<const NetworkDescription> description_;
  std::unique_ptr<model::ForecastNetwork> network_;
  int batch_ = 0;
  model::Buffer input_, condition_, output_;
  model::Buffer input_change_, output_change_;  ///< of tangent and adjoint
  Vector inputs_, outputs_, conditions_;        ///< the same on the host, [sample, channel, lat, lon]
  Vector image_, next_;                         ///< [channel, lat, lon]
  std::vector<float> single_;
  Vector rows_;             ///< [rank][plane, its rows, lon]
  std::vector<char> held_;  ///< of the linearised step's end [prognostic channel, lat, lon]: at a bound
};

}  // namespace zonda::assimilation
