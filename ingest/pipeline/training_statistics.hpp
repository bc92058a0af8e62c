#pragma once
// Statistics over the training period, the same bits on any number of ranks.
#include <functional>
#include <optional>
#include <vector>

#include "ingest/archive/archive_reader.hpp"
#include "ingest/pipeline/ingest_config.hpp"
#include "ingest/pipeline/moments.hpp"
#include "parallel/communicator.hpp"

namespace zonda::ingest {

/// Moments of all channels at a time, by its index.
using MomentsOf = std::function<const Moments*(std::size_t time_index)>;

/// The training period in `config` cut to the archive's times. Mean and standard deviation (of the population) over all
/// points and times, without area weights; tendencies over all pairs of times in the period. Collective. Terms are
/// blocks of 16 time slots counted from the first training time, added over the canonical tree; within a block in time
/// order. Throws Error(usage): empty period, a tendency step that is no multiple of the archive's step or has no pair.
Statistics training_statistics(const ArchiveReader& reader, const StatisticsConfig& config, const MomentsOf& moments,
                               const std::vector<std::optional<float>>& fill, std::size_t tile_rows,
                               const parallel::Communicator& communicator);

}  // namespace zonda::ingest
