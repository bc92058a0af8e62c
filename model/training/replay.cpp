#include "model/training/replay.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

#include "core/philox.hpp"

namespace zonda::model {
namespace {

bool earlier(const Example& a, const Example& b) {
  return std::tie(a.time_index, a.step) < std::tie(b.time_index, b.step);
}

/// What an entry holds.
struct Entry {
  bool filled = false;
  Example example{};
  int lead_steps = 0;
};

}  // namespace

ReplaySchedule::ReplaySchedule(const Sampler& sampler, std::span<const Example> examples, std::span<const Time> times,
                               std::uint64_t seed, std::int64_t steps, SampleRange range, int entries, int lead_steps,
                               double share)
    : samples_(range.samples), draws_(static_cast<std::size_t>(steps) * range.samples) {
  const Philox random(seed, "replay");
  const auto next_of = [&](const Example& example) -> std::optional<Example> {
    const auto at = std::lower_bound(times.begin(), times.end(), times[example.time_index] + example.step);
    const Example next{static_cast<std::size_t>(at - times.begin()), example.step};
    if (!std::binary_search(examples.begin(), examples.end(), next, earlier)) return std::nullopt;
    return next;
  };
  for (std::uint64_t s = 0; s < range.samples; ++s) {
    std::vector<Entry> held(static_cast<std::size_t>(entries));
    for (std::uint64_t n = 0; n < static_cast<std::uint64_t>(steps); ++n) {
      const std::uint64_t position = n * range.batch + range.first + s, key = 3 * position;
      std::vector<std::size_t> filled, empty;
      for (std::size_t e = 0; e < held.size(); ++e) (held[e].filled ? filled : empty).push_back(e);
      ReplayDraw& draw = draws_[n * samples_ + s];
      if (!filled.empty() && random.uniform(key) < share) {
        const std::size_t e = filled[random.integer(key + 1, filled.size())];
        draw = {held[e].example, static_cast<std::int16_t>(held[e].lead_steps), static_cast<std::int16_t>(e), -1};
        held[e].filled = false;
      } else {
        draw.example = sampler.at(position);
      }
      const std::optional<Example> next = next_of(draw.example);
      if (!next || draw.lead_steps + 1 >= lead_steps) continue;
      const std::size_t to = draw.from >= 0   ? static_cast<std::size_t>(draw.from)
                             : !empty.empty() ? empty.front()
                                              : random.integer(key + 2, held.size());
      draw.to = static_cast<std::int16_t>(to);
      held[to] = {true, *next, draw.lead_steps + 1};
    }
  }
}

std::span<const ReplayDraw> ReplaySchedule::at(std::int64_t step) const {
  return std::span(draws_).subspan(static_cast<std::size_t>(step) * samples_, samples_);
}

std::vector<Example> ReplaySchedule::examples(std::int64_t step) const {
  std::vector<Example> list;
  for (const ReplayDraw& draw : at(step)) list.push_back(draw.example);
  return list;
}

ReplayBuffer::ReplayBuffer(std::size_t samples, int entries, std::size_t state)
    : entries_(static_cast<std::size_t>(entries)), state_(state), states_(samples * entries_ * 2 * state) {}

std::vector<SampleStart> ReplayBuffer::starts(std::span<const ReplayDraw> draws) const {
  std::vector<SampleStart> list(draws.size());
  for (std::size_t s = 0; s < draws.size(); ++s) {
    if (draws[s].from < 0) continue;
    const float* entry = states_.data() + (s * entries_ + static_cast<std::size_t>(draws[s].from)) * 2 * state_;
    list[s] = {entry, entry + state_, draws[s].lead_steps};
  }
  return list;
}

void ReplayBuffer::keep(std::size_t sample, const ReplayDraw& draw, const Batch& batch,
                        std::span<const float> predicted) {
  if (draw.to < 0) return;
  float* entry = states_.data() + (sample * entries_ + static_cast<std::size_t>(draw.to)) * 2 * state_;
  const std::size_t given = static_cast<std::size_t>(batch.count) + 2;
  // What was x(t) is x(t-d) for the next step; an entry goes on where it was.
  const float* current = draw.from >= 0 ? entry + state_ : batch.states.data() + (sample * given + 1) * state_;
  std::copy_n(current, state_, entry);
  std::copy(predicted.begin(), predicted.end(), entry + state_);
}

}  // namespace zonda::model
