#pragma once
// The model file: weights with everything needed to use them, and to refuse inputs they were not made for.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "model/forecast_state/forecast_layout.hpp"
#include "model/forecast_state/tensor_folder.hpp"
#include "model/network/forecast_network.hpp"

namespace zonda::model {

/// Where a model comes from.
struct ModelOrigin {
  std::int64_t training_steps = 0;
  Time training_start, training_end;
  std::string archive_identity;    ///< SHA-256 of the training data
  std::string configuration_hash;  ///< SHA-256 of the training configuration
  std::string licence;
};

/// Writes the folder `path` atomically. `averaged`: the moving average of the weights instead of their values.
void write_model(const std::filesystem::path& path, const ForecastLayout& layout, const ForecastNetwork& network,
                 const ModelOrigin& origin, bool averaged);

struct ForecastModel {
  ForecastLayout layout;
  ForecastNetwork network;
  ModelOrigin origin;
  std::string identity;  ///< SHA-256 of the model file's manifest, which holds the checksums of all weights
};

/// Throws Error(data): no model there, damaged (names the chunk), a checkpoint or another kind of file, of another
/// network.
std::unique_ptr<ForecastModel> load_model(const std::filesystem::path& path);
/// Reads the weights of a model into the parameters of a network of the same sizes, which may have additions
/// (is_addition()): those stay as they are. Throws Error(data).
void read_model_weights(const std::filesystem::path& path, ParameterStore& store);
/// The description alone, without weights: for plans and `zonda inspect`.
nlohmann::json describe_model(const std::filesystem::path& path);

/// Throws Error(data) naming both values where the inputs are not those of the model: grid, channels, static fields.
/// `source` names the inputs in the message.
void require_inputs_of_model(const ForecastLayout& model, const Grid& grid, std::span<const Channel> channels,
                             const std::string& source);
void require_static_fields_of_model(const ForecastLayout& model, std::span<const Channel> channels,
                                    std::span<const float> fields, const std::string& source);

/// The parameters of a network as tensors named `PREFIX/NAME`, views into `arena` (one of the store's arenas) or into
/// its copy, which joins `copies` where the arena is in a device's memory.
std::vector<NamedTensor> parameter_tensors(const ParameterStore& store, const Tensor& arena, const std::string& prefix,
                                           std::vector<Buffer>& copies);
/// Reads them back; additions (is_addition) may be missing. Throws Error(data) naming a tensor of another shape.
void read_parameters(const TensorFolder& folder, ParameterStore& store, const Tensor& arena, const std::string& prefix);

}  // namespace zonda::model
