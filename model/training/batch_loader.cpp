#include "model/training/batch_loader.hpp"

#include <algorithm>
#include <chrono>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"

namespace zonda::model {

FieldCache::FieldCache(const ingest::ArchiveReader& archive, const ForecastLayout& layout, std::size_t bytes)
    : FieldCache(archive, layout, bytes, {0, layout.grid.nlat()}) {}

FieldCache::FieldCache(const ingest::ArchiveReader& archive, const ForecastLayout& layout, std::size_t bytes,
                       parallel::Range rows)
    : archive_(archive), layout_(layout), bound_(bytes), rows_(rows) {}

FieldCache::Field FieldCache::state(std::size_t time_index) {
  const Time time = archive_.times()[time_index];
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = states_.find(time); found != states_.end()) return found->second;
  }
  auto values = std::make_shared<std::vector<float>>(layout_.channels.size() * points());
  archive_.read(time_index, rows_.begin, rows_.end, *values);
  if (const int broken = layout_.normalisation.normalise(*values); broken >= 0)
    fail(ErrorKind::data, "archive: {} at {} has values that are missing or not finite",
         layout_.channels[static_cast<std::size_t>(broken)].name(), to_string(time));
  const std::size_t size = values->size() * sizeof(float);
  const std::lock_guard lock(mutex_);
  read_ += size;
  if (held_ + size > bound_) return values;
  const auto [place, fresh] = states_.emplace(time, std::move(values));
  if (fresh) held_ += size;
  return place->second;
}

FieldCache::Field FieldCache::forcing(Time time) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = forcings_.find(time); found != forcings_.end()) return found->second;
  }
  auto values = std::make_shared<std::vector<float>>(layout_.forcings.size() * points());
  normalised_forcing(layout_, time, rows_, *values);
  const std::size_t size = values->size() * sizeof(float);
  const std::lock_guard lock(mutex_);
  if (held_ + size > bound_) return values;
  const auto [place, fresh] = forcings_.emplace(time, std::move(values));
  if (fresh) held_ += size;
  return place->second;
}

std::uint64_t FieldCache::bytes_read() const {
  const std::lock_guard lock(mutex_);
  return read_;
}

void load_batch(const ingest::ArchiveReader& archive, const ForecastLayout& layout, FieldCache& cache, Batch& batch) {
  const std::size_t state = layout.channels.size() * cache.points();
  const std::size_t forcing = layout.forcings.size() * cache.points();
  const auto steps = static_cast<std::size_t>(batch.count);
  batch.states.resize(batch.examples.size() * (steps + 2) * state);
  batch.forcings.resize(batch.examples.size() * (steps + 1) * forcing);
  auto states = batch.states.begin();
  auto forcings = batch.forcings.begin();
  for (const Example& example : batch.examples) {
    const Time start = archive.times()[example.time_index];
    for (int k = -1; k <= batch.count; ++k) {
      const Time time = start + k * example.step;
      const auto index = archive.find_time(time);
      if (!index) fail(ErrorKind::data, "the archive has no state at {}", to_string(time));
      const FieldCache::Field field = cache.state(*index);
      states = std::copy(field->begin(), field->end(), states);
      if (k < 0) continue;
      const FieldCache::Field forced = cache.forcing(time);
      forcings = std::copy(forced->begin(), forced->end(), forcings);
    }
  }
}

BatchLoader::BatchLoader(const ingest::ArchiveReader& archive, const ForecastLayout& layout, FieldCache& cache,
                         std::function<std::vector<Example>(std::int64_t)> examples, int count, std::int64_t first,
                         std::int64_t end, int threads, int ahead)
    : archive_(archive),
      layout_(layout),
      cache_(cache),
      examples_(std::move(examples)),
      end_(end),
      ring_(static_cast<std::size_t>(std::max(2, ahead + 1))),  // one more than ahead: the one the step works on
      ready_(ring_.size(), -1),
      claimed_(first),
      taken_(first) {
  for (Batch& batch : ring_) batch.count = count;
  for (int i = 0; i < std::max(1, threads); ++i) threads_.emplace_back([this] { read(); });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  freed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void BatchLoader::read() {
  const auto size = static_cast<std::int64_t>(ring_.size());
  while (true) {
    std::int64_t mine;
    {
      std::unique_lock lock(mutex_);
      // Buffer i % size is free once batch i - size was given up, that is, once batch i - size + 1 was handed out.
      freed_.wait(lock, [&] { return stop_ || error_ || claimed_ >= end_ || claimed_ <= taken_ + size - 2; });
      if (stop_ || error_ || claimed_ >= end_) return;
      mine = claimed_++;
    }
    const auto place = static_cast<std::size_t>(mine % size);
    try {
      Batch& batch = ring_[place];
      batch.index = mine;
      batch.examples = examples_(mine);
      load_batch(archive_, layout_, cache_, batch);
      const std::lock_guard lock(mutex_);
      ready_[place] = mine;
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
    filled_.notify_all();
    freed_.notify_all();
  }
}

const Batch& BatchLoader::next() {
  if (taken_ >= end_) fail(ErrorKind::failure, "no batch is left after number {}", end_ - 1);
  const auto begin = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  const auto place = static_cast<std::size_t>(taken_ % static_cast<std::int64_t>(ring_.size()));
  filled_.wait(lock, [&] { return error_ || ready_[place] == taken_; });
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (ready_[place] != taken_) std::rethrow_exception(error_);
  ++taken_;
  freed_.notify_all();
  return ring_[place];
}

}  // namespace zonda::model
