// Archive speed per core in bytes of floats: written (bit-rounding, shuffle, zstd, HDF5, sync) and read (pread,
// checksum, zstd, unshuffle). Run with OMP_NUM_THREADS=1 for the figures per core.
#include <benchmark/benchmark.h>

#include <filesystem>

#include "ingest/archive/archive_reader.hpp"
#include "ingest/archive/bit_rounding.hpp"
#include "ingest/archive/chunk_codec.hpp"
#include "tests/ingest/archive/written_archive.hpp"

namespace {

using namespace zonda;
using namespace zonda::ingest;

constexpr std::size_t kTimes = 4;

SyntheticAtmosphere atmosphere() {
  std::vector<Channel> channels;
  for (const char* name : {"2t", "10u", "10v", "msl"}) channels.push_back(parse_channel(name));
  for (const char* name : {"z", "t", "u", "v", "q"}) {
    for (const int level : {850, 500, 250}) channels.push_back({name, level});
  }
  return {Grid::latlon(721, 1440, true), channels, 96};
}

/// All times of the benchmark, made once.
const std::vector<std::vector<float>>& fields() {
  static const auto made = [] {
    std::vector<std::vector<float>> all;
    for (std::size_t t = 0; t < kTimes; ++t)
      all.push_back(atmosphere().fields(Time(Duration(1500000000 + 21600 * static_cast<long>(t)))));
    return all;
  }();
  return made;
}

double bytes_of_one_time() {
  return static_cast<double>(fields()[0].size() * sizeof(float));
}

void write(benchmark::State& state) {
  const auto keep = static_cast<int>(state.range(0));
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "zonda_bench_archive_write";
  const SyntheticAtmosphere source = atmosphere();
  std::vector<std::vector<float>> copy = fields();
  double stored = 0;
  for (auto _ : state) {
    state.PauseTiming();
    copy = fields();
    state.ResumeTiming();
    stored = static_cast<double>(write_unit(folder / "fields.h5", source, keep, copy).bytes);
  }
  state.SetBytesProcessed(
      static_cast<std::int64_t>(static_cast<double>(state.iterations()) * kTimes * bytes_of_one_time()));
  state.counters["ratio"] = kTimes * bytes_of_one_time() / stored;
  std::filesystem::remove_all(folder);
}
BENCHMARK(write)->Arg(10)->Arg(13)->Unit(benchmark::kMillisecond)->UseRealTime();

void read(benchmark::State& state) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "zonda_bench_archive_read";
  std::vector<std::vector<float>> copy = fields();
  write_archive(folder, atmosphere(), static_cast<int>(state.range(0)), copy);
  const ArchiveReader reader(folder);
  const std::size_t rows = reader.grid().nlat();
  std::vector<float> values(reader.channels().size() * reader.grid().size());
  std::size_t time = 0;
  for (auto _ : state) {
    reader.read(time++ % kTimes, 0, rows, values);
    benchmark::DoNotOptimize(values.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(static_cast<double>(state.iterations()) * bytes_of_one_time()));
  std::filesystem::remove_all(folder);
}
BENCHMARK(read)->Arg(10)->Arg(13)->Unit(benchmark::kMillisecond)->UseRealTime();

/// One of several equal shares of the rows, in the middle: what a slab of latitude reads, whole tiles.
void read_slab(benchmark::State& state) {
  const auto slabs = static_cast<std::size_t>(state.range(0));
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "zonda_bench_archive_slab";
  std::vector<std::vector<float>> copy = fields();
  write_archive(folder, atmosphere(), 10, copy);
  const ArchiveReader reader(folder);
  const std::size_t rows = reader.grid().nlat(), begin = slabs / 2 * rows / slabs, end = (slabs / 2 + 1) * rows / slabs;
  std::vector<float> values(reader.channels().size() * (end - begin) * reader.grid().nlon());
  std::size_t time = 0;
  for (auto _ : state) {
    reader.read(time++ % kTimes, begin, end, values);
    benchmark::DoNotOptimize(values.data());
  }
  state.counters["stored_MB"] = 1e-6 * static_cast<double>(reader.bytes_read()) / static_cast<double>(time);
  state.counters["decoded_MB"] = 1e-6 * static_cast<double>(values.size() * sizeof(float));
  std::filesystem::remove_all(folder);
}
BENCHMARK(read_slab)->Arg(1)->Arg(2)->Arg(4)->Arg(8)->Arg(16)->Unit(benchmark::kMillisecond)->UseRealTime();

void round_bits(benchmark::State& state) {
  std::vector<float> values = fields()[0];
  for (auto _ : state) {
    round_mantissa(values, 10);
    benchmark::DoNotOptimize(values.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(values.size() * sizeof(float)));
}
BENCHMARK(round_bits);

void shuffle_planes(benchmark::State& state) {
  const std::span<const float> values = std::span(fields()[0]).first(1 << 18);
  std::vector<std::byte> planes(values.size_bytes());
  for (auto _ : state) {
    shuffle(values, 0, values.size(), planes);
    benchmark::DoNotOptimize(planes.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(values.size_bytes()));
}
BENCHMARK(shuffle_planes);

void unshuffle_planes(benchmark::State& state) {
  std::vector<float> values(1 << 18);
  std::vector<std::byte> planes(values.size() * sizeof(float));
  shuffle(std::span(fields()[0]).first(values.size()), 0, values.size(), planes);
  for (auto _ : state) {
    unshuffle(planes, 0, values.size(), values);
    benchmark::DoNotOptimize(values.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(planes.size()));
}
BENCHMARK(unshuffle_planes);

}  // namespace
