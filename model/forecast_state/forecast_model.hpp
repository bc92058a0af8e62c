#pragma once
// The model file: weights with everything needed to use them, and to refuse inputs they were not made for.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
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
  std::vector<TokenMerging> levels{};  ///< coarser passes it has learnt beside that of all tokens
};

/// Writes the folder `path` atomically. `averaged`: the moving average of the weights instead of their values.
void write_model(const std::filesystem::path& path, const ForecastLayout& layout, const ForecastNetwork& network,
                 const ModelOrigin& origin, bool averaged);

/// The same piece by piece, so that weights need not be together in one memory.
class ModelWriter {
 public:
  ModelWriter(const std::filesystem::path& path, const ForecastLayout& layout, const ForecastNetwork& network,
              const ModelOrigin& origin);
  ~ModelWriter();
  ModelWriter(const ModelWriter&) = delete;
  ModelWriter& operator=(const ModelWriter&) = delete;
  /// Weights: numbers from `first` on of an arena, in any order of calls.
  void write(std::int64_t first, std::span<const float> numbers);
  /// The same where ranks share heads: `numbers[r]` are those of rank r's arena. Whole parameters.
  void write(std::int64_t first, std::span<const std::vector<float>> numbers);
  void commit();

 private:
  const std::filesystem::path path_;
  const ParameterStore& store_;
  nlohmann::json header_;
  std::vector<TensorShape> shapes_;
  std::unique_ptr<TensorPartsWriter> file_;
};

struct ForecastModel {
  ForecastLayout layout;
  ForecastNetwork network;
  ModelOrigin origin;
  std::string identity;  ///< SHA-256 of the model file's manifest, which holds the checksums of all weights
};

/// How a model is used.
struct ModelUse {
  std::shared_ptr<Backend> backend{};  ///< none: the CPU
  /// Of the trunk's products: `fp32`, `bf16` or `int8`; empty: as it was trained. In int8, matrices that an `int8.json`
  /// of this model beside its folder names as `exact` stay as they are.
  std::string precision{};
  Sharding sharding{};  ///< where ranks share a sample: the network is of a slab's rows
};

/// Throws Error(data): no model there, damaged (names the chunk), a checkpoint or another kind of file, of another
/// network.
std::unique_ptr<ForecastModel> load_model(const std::filesystem::path& path, const ModelUse& use = {});
/// Reads the weights of a model into the parameters of a network of the same sizes, which may have additions
/// (is_addition()): those stay as they are. Of them the numbers [first, first + count) of the arena; -1: to the end.
/// Throws Error(data).
void read_model_weights(const std::filesystem::path& path, ParameterStore& store, std::int64_t first = 0,
                        std::int64_t count = -1);
/// The description alone, without weights: for plans and `zonda inspect`.
nlohmann::json describe_model(const std::filesystem::path& path);

/// Throws Error(data) naming both values where the inputs are not those of the model: grid, channels, static fields.
/// `source` names the inputs in the message.
void require_inputs_of_model(const ForecastLayout& model, const Grid& grid, std::span<const Channel> channels,
                             const std::string& source);
/// `hash`: StaticFields::hash() of them.
void require_static_fields_of_model(const ForecastLayout& model, std::span<const Channel> channels,
                                    const std::string& hash, const std::string& source);

/// The parameters of a network as tensors named `PREFIX/NAME`.
std::vector<TensorShape> parameter_shapes(const ParameterStore& store, const std::string& prefix);
/// Calls `part(parameter, first, numbers)` for what arena numbers [first, first + count) hold of each parameter:
/// `numbers` of it from `first` on.
void for_parameters_within(
    const ParameterStore& store, std::int64_t first, std::int64_t count,
    const std::function<void(std::size_t parameter, std::int64_t first, std::int64_t numbers)>& part);
/// Reads them back; additions (is_addition) may be missing. Throws Error(data) naming a tensor of another shape.
void read_parameters(const TensorFolder& folder, ParameterStore& store, const Tensor& arena, const std::string& prefix);
/// Of them the numbers [first, first + count) of the arena.
void read_parameters(const TensorFolder& folder, ParameterStore& store, const Tensor& arena, const std::string& prefix,
                     std::int64_t first, std::int64_t count);

}  // namespace zonda::model
