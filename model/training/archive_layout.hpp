#pragma once
// The layout of a model that is trained on an archive.
#include "model/forecast_state/forecast_layout.hpp"

namespace zonda::ingest {
class ArchiveReader;
}

namespace zonda::model {

/// Channels, grid, static fields and statistics of the archive. Throws Error(data) where statistics are missing or a
/// static field has gaps, Error(usage) where a step is no multiple of the archive's.
ForecastLayout layout_of_archive(const ingest::ArchiveReader& archive, std::vector<Duration> steps,
                                 std::vector<std::string> forcings, Target target);

struct TrainConfig;

/// The layout that training on an archive gives a model, its static fields read by rows: with `start_from`, in that
/// model's normalisation. Throws
/// Error(data) naming both values where that model's channels, forcings or steps are not this configuration's.
ForecastLayout layout_of_training(const TrainConfig& config, const ingest::ArchiveReader& archive);

}  // namespace zonda::model
