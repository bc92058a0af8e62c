#pragma once
// The network as an ONNX graph over a bundle's tensors: `input` [batch, channel, lat, lon] and `condition` [batch, n]
// -> `output` [batch, channel, lat, lon], all normalised.
#include <functional>
#include <string>

#include "inference/bundle/manifest.hpp"
#include "model/forecast_state/forecast_layout.hpp"
#include "model/network/forecast_network.hpp"

namespace zonda::inference {

enum class OnnxProfile {
  standard,  ///< norms and activations in the patterns that ONNX Runtime and TensorRT fuse
  ascend,    ///< everything in elementary operators, none of which converters are known to lack
};

/// `standard` or `ascend`. Throws Error(usage) for another word.
OnnxProfile onnx_profile(const std::string& word);
/// `model.onnx`, `model-ascend.onnx`.
std::string onnx_file(OnnxProfile profile);

/// Finds a stored tensor by its name.
using FindTensor = std::function<const BundleTensor&(const std::string& name)>;

/// The file's bytes; it lies beside the files that hold the tensors. Matrices kept in int8 become DynamicQuantizeLinear
/// and MatMulInteger, those in bf16 are cast to f32. Throws Error(usage) for a network with a lift, adapters or noise.
std::string network_graph(const model::ForecastNetwork& network, const model::ForecastLayout& layout,
                          OnnxProfile profile, const FindTensor& find);

}  // namespace zonda::inference
