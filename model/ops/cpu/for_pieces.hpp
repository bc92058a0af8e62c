#pragma once
// Work in pieces that threads take one after the other.
#include <omp.h>

#include <cstdint>
#include <type_traits>

namespace zonda::model {

/// Calls work(piece) or work(piece, worker) for pieces [0, count); worker < threads. Threads take `grain` pieces at a
/// time. One thread does without a team of OpenMP's, whose start and end cost a microsecond.
template <class Work>
void for_pieces(int threads, std::int64_t count, Work&& work, [[maybe_unused]] std::int64_t grain = 1) {
  const auto call = [&](std::int64_t piece, [[maybe_unused]] std::int64_t worker) {
    if constexpr (std::is_invocable_v<Work&, std::int64_t, std::int64_t>)
      work(piece, worker);
    else
      work(piece);
  };
  if (threads == 1 || count <= grain) {
    for (std::int64_t piece = 0; piece < count; ++piece) call(piece, 0);
    return;
  }
#pragma omp parallel for schedule(dynamic, grain) num_threads(threads)
  for (std::int64_t piece = 0; piece < count; ++piece) call(piece, omp_get_thread_num());
}

}  // namespace zonda::model
