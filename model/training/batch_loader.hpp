#pragma once
// Batches ahead of the step: reader threads fill a ring of buffers, fields that were read stay in memory as far as they
// may.
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"
#include "model/training/sampler.hpp"
#include "parallel/partition.hpp"

namespace zonda::ingest {
class ArchiveReader;
}

namespace zonda::model {

/// Normalised states and forcings by time, of some rows of the grid, kept up to a bound. Thread safe. When the bound is
/// reached nothing is thrown out: each epoch reads all fields once in random order, so any part of them serves as well
/// as another.
class FieldCache {
 public:
  /// Of all rows, or those of a slab, which alone are read.
  FieldCache(const ingest::ArchiveReader& archive, const ForecastLayout& layout, std::size_t bytes);
  FieldCache(const ingest::ArchiveReader& archive, const ForecastLayout& layout, std::size_t bytes,
             parallel::Range rows);
  parallel::Range rows() const { return rows_; }
  std::size_t points() const { return rows_.size() * layout_.grid.nlon(); }  ///< of a channel
  using Field = std::shared_ptr<const std::vector<float>>;
  /// `[channel, row, lon]`, normalised. Throws Error(data) naming channel and time of a value that is not finite.
  Field state(std::size_t time_index);
  /// `[forcing, row, lon]`.
  Field forcing(Time time);
  std::uint64_t bytes_read() const;  ///< decoded bytes taken from the archive so far

 private:
  const ingest::ArchiveReader& archive_;
  const ForecastLayout& layout_;
  const std::size_t bound_;
  const parallel::Range rows_;
  mutable std::mutex mutex_;
  std::size_t held_ = 0;
  std::uint64_t read_ = 0;
  std::map<Time, Field> states_, forcings_;
};

/// Examples with everything a step needs, in normalised space.
struct Batch {
  std::int64_t index = -1;
  int count = 1;  ///< steps of the rollout
  std::vector<Example> examples;
  std::vector<float> states;    ///< [example, count + 2, channel, row, lon]: t-d, t, t+d, ..., t+count*d
  std::vector<float> forcings;  ///< [example, count + 1, forcing, row, lon]: t, ..., t+count*d
};

/// Fills `batch.states` and `batch.forcings` of its examples with the cache's rows.
void load_batch(const ingest::ArchiveReader& archive, const ForecastLayout& layout, FieldCache& cache, Batch& batch);

class BatchLoader {
 public:
  /// `examples(i)` are those of batch i, i in [first, end). `ahead` buffers are filled by `threads` threads.
  BatchLoader(const ingest::ArchiveReader& archive, const ForecastLayout& layout, FieldCache& cache,
              std::function<std::vector<Example>(std::int64_t)> examples, int count, std::int64_t first,
              std::int64_t end, int threads, int ahead);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;
  /// The next batch in order; valid until the next call. Rethrows a reader's Error. Precondition: fewer than end -
  /// first calls so far.
  const Batch& next();
  double seconds_waited() const { return waited_; }

 private:
  void read();
  const ingest::ArchiveReader& archive_;
  const ForecastLayout& layout_;
  FieldCache& cache_;
  const std::function<std::vector<Example>(std::int64_t)> examples_;
  const std::int64_t end_;
  std::mutex mutex_;
  std::condition_variable filled_, freed_;
  std::vector<Batch> ring_;
  std::vector<std::int64_t> ready_;  // which batch each buffer holds, -1 while it is filled
  std::int64_t claimed_, taken_;     // next batch to fill; next batch to hand out
  std::exception_ptr error_;
  bool stop_ = false;
  double waited_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace zonda::model
