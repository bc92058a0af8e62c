#pragma once
// StoredWeights: a network's parameters in the element types that a bundle keeps them in.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "inference/bundle/bundle.hpp"
#include "inference/bundle/bundle_writer.hpp"
#include "inference/bundle/lent_parameters.hpp"
#include "model/network/forecast_network.hpp"

namespace zonda::inference {

class StoredWeights {
 public:
  /// `precision`: fp32, bf16 or int8, of the trunk's matrices; of int8 those named in `exact` stay f32, and those that
  /// the model's gate keeps precise. In int8 what is multiplied once a step only (conditioning, positions) is kept in
  /// bf16. Throws Error(usage) for a name in `exact` that is no matrix of the trunk.
  /// With a base, numbers stay near those of the tensors that it has alike (near_base.hpp).
  StoredWeights(const model::ForecastNetwork& network, const std::string& precision,
                const std::set<std::string>& exact = {}, const Bundle* base = nullptr);
  StoredTensors tensors() const;
  void write(BundleWriter& writer, const std::string& file) const;
  std::size_t bytes() const;

 private:
  struct Stored {
    model::DType dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
  };
  void approach(const model::ForecastNetwork& network, const Bundle& base);
  void quantise(model::Backend& backend, const std::string& name, const model::Tensor& value);
  std::vector<std::string> order_;
  std::map<std::string, Stored> stored_;
};

}  // namespace zonda::inference
