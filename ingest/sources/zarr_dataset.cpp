#include "ingest/sources/zarr_dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <list>
#include <map>
#include <mutex>

#include "core/error.hpp"
#include "ingest/sources/zarr_metadata.hpp"

namespace zonda::ingest {
namespace {

namespace fs = std::filesystem;
using Chunk = std::shared_ptr<const std::vector<std::byte>>;  ///< null: the chunk is not in the store

/// Decoded chunks by array and number, least recently used first.
class ChunkCache {
 public:
  explicit ChunkCache(std::size_t limit) : limit_(limit) {}

  bool find(std::size_t array, std::size_t number, Chunk& chunk) {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find({array, number});
    if (found == places_.end()) return false;
    order_.splice(order_.end(), order_, found->second);
    chunk = found->second->chunk;
    return true;
  }

  void insert(std::size_t array, std::size_t number, const Chunk& chunk) {
    const std::lock_guard lock(mutex_);
    if (places_.contains({array, number})) return;
    places_[{array, number}] = order_.insert(order_.end(), {array, number, chunk});
    bytes_ += cost(chunk);
    while (bytes_ > limit_ && order_.size() > 1) {
      const Entry& oldest = order_.front();
      bytes_ -= cost(oldest.chunk);
      places_.erase({oldest.array, oldest.number});
      order_.pop_front();
    }
  }

 private:
  struct Entry {
    std::size_t array, number;
    Chunk chunk;
  };
  static std::size_t cost(const Chunk& chunk) { return 128 + (chunk ? chunk->size() : 0); }
  const std::size_t limit_;
  std::size_t bytes_ = 0;
  std::list<Entry> order_;
  std::map<std::pair<std::size_t, std::size_t>, std::list<Entry>::iterator> places_;
  std::mutex mutex_;
};

class ZarrDataset : public CfDataset {
 public:
  ZarrDataset(const fs::path& folder, std::size_t cache_bytes) : folder_(folder), cache_(cache_bytes) {
    arrays_ = read_zarr_group(folder);
    if (arrays_.empty())
      fail(ErrorKind::data, "{}: a Zarr group without arrays (sub-groups are not looked into)", folder.string());
    for (ZarrArray& array : arrays_) {
      if (!array.problem.empty()) {
        array.info.type = ElementType::other;
        array.info.attributes["zonda_problem"] = array.problem;
      }
      infos_.push_back(array.info);
    }
  }

  const std::vector<CfArray>& arrays() const override { return infos_; }
  std::string name() const override { return folder_.string(); }
  std::string describe() const override { return "Zarr v2 " + folder_.string(); }

  void read(std::size_t index, std::span<const std::size_t> start, std::span<const std::size_t> count,
            std::span<double> values) const override {
    const ZarrArray& array = arrays_.at(index);
    if (!array.problem.empty())
      fail(ErrorKind::data, "{}: array '{}': {}", folder_.string(), array.info.name, array.problem);
    const std::size_t rank = array.info.shape.size();
    if (std::find(count.begin(), count.end(), 0u) != count.end()) return;
    std::vector<std::size_t> first(rank), last(rank), chunk(rank);
    for (std::size_t d = 0; d < rank; ++d) {
      if (start[d] + count[d] > array.info.shape[d])
        fail(ErrorKind::failure, "{}: array '{}': read beyond dimension {}", folder_.string(), array.info.name, d);
      first[d] = start[d] / array.chunks[d];
      last[d] = (start[d] + count[d] - 1) / array.chunks[d];
    }
    chunk = first;
    while (true) {
      copy_overlap(array, chunk, decoded(index, chunk), start, count, values);
      std::size_t d = rank;
      while (d > 0) {
        --d;
        if (++chunk[d] <= last[d]) break;
        chunk[d] = first[d];
        if (d == 0) return;
      }
      if (rank == 0) return;
    }
  }

 private:
  Chunk decoded(std::size_t index, std::span<const std::size_t> place) const {
    const ZarrArray& array = arrays_[index];
    std::size_t number = 0;
    for (std::size_t d = 0; d < place.size(); ++d) {
      number = number * ((array.info.shape[d] + array.chunks[d] - 1) / array.chunks[d]) + place[d];
    }
    Chunk chunk;
    if (cache_.find(index, number, chunk)) return chunk;
    const fs::path path = folder_ / array.chunk_key(place);
    std::error_code ignored;
    if (fs::exists(path, ignored)) {
      try {
        std::ifstream file(path, std::ios::binary | std::ios::ate);
        const std::streamoff length = file ? static_cast<std::streamoff>(file.tellg()) : -1;
        if (length < 0) fail(ErrorKind::data, "cannot be read");
        std::vector<std::byte> encoded(static_cast<std::size_t>(length));
        file.seekg(0);
        file.read(reinterpret_cast<char*>(encoded.data()), length);
        if (!file) fail(ErrorKind::data, "cannot be read");
        chunk = std::make_shared<const std::vector<std::byte>>(
            decode_zarr_chunk(std::move(encoded), array.codecs, array.chunk_elements() * size_of(array.element.type)));
      } catch (const Error& error) {
        throw Error(ErrorKind::data, path.string() + ": " + error.what());
      }
    }
    cache_.insert(index, number, chunk);
    return chunk;
  }

  static void copy_overlap(const ZarrArray& array, std::span<const std::size_t> place, const Chunk& chunk,
                           std::span<const std::size_t> start, std::span<const std::size_t> count,
                           std::span<double> values) {
    const std::size_t rank = place.size();
    std::vector<std::size_t> from(rank), length(rank), chunk_stride(rank), value_stride(rank);
    std::size_t chunk_offset = 0, value_offset = 0, n = 1;
    std::size_t stride = 1;
    for (std::size_t k = 0; k < rank; ++k) {
      const std::size_t d = array.row_major ? rank - 1 - k : k;
      chunk_stride[d] = stride;
      stride *= array.chunks[d];
    }
    stride = 1;
    for (std::size_t d = rank; d-- > 0;) {
      value_stride[d] = stride;
      stride *= count[d];
    }
    for (std::size_t d = 0; d < rank; ++d) {
      const std::size_t chunk_first = place[d] * array.chunks[d];
      const std::size_t begin = std::max(start[d], chunk_first);
      const std::size_t end = std::min(start[d] + count[d], chunk_first + array.chunks[d]);
      length[d] = end - begin;
      chunk_offset += (begin - chunk_first) * chunk_stride[d];
      value_offset += (begin - start[d]) * value_stride[d];
      n *= length[d];
    }
    // Runs along the last dimension; the others are counted through.
    const std::size_t run = rank == 0 ? 1 : length[rank - 1];
    const std::size_t run_stride = rank == 0 ? 1 : chunk_stride[rank - 1];
    const double absent = array.fill_value.value_or(std::numeric_limits<double>::quiet_NaN());
    const std::size_t width = size_of(array.element.type);
    std::vector<std::size_t> at(rank, 0);
    for (std::size_t done = 0; done < n; done += run) {
      std::size_t source = chunk_offset, target = value_offset;
      for (std::size_t d = 0; d + 1 < rank; ++d) {
        source += at[d] * chunk_stride[d];
        target += at[d] * value_stride[d];
      }
      const std::span<double> out = values.subspan(target, run);
      if (!chunk) {
        std::fill(out.begin(), out.end(), absent);
      } else if (run_stride == 1) {
        zarr_elements_to_double(std::span(*chunk).subspan(source * width, run * width), array.element, out);
      } else {
        for (std::size_t i = 0; i < run; ++i) out[i] = zarr_element(*chunk, array.element, source + i * run_stride);
      }
      for (std::size_t d = rank - 1; rank > 1 && d-- > 0;) {
        if (++at[d] < length[d]) break;
        at[d] = 0;
      }
    }
  }

  fs::path folder_;
  std::vector<ZarrArray> arrays_;
  std::vector<CfArray> infos_;
  mutable ChunkCache cache_;
};

}  // namespace

std::unique_ptr<CfDataset> open_zarr(const std::filesystem::path& folder, std::size_t cache_bytes) {
  if (fs::exists(folder / "zarr.json") && !fs::exists(folder / ".zgroup") && !fs::exists(folder / ".zmetadata")) {
    fail(ErrorKind::data, "{}: a Zarr store of version 3; expected version 2", folder.string());
  }
  if (fs::exists(folder / ".zarray"))
    fail(ErrorKind::data, "{}: a single Zarr array; expected a group with coordinates", folder.string());
  return std::make_unique<ZarrDataset>(folder, cache_bytes);
}

}  // namespace zonda::ingest
