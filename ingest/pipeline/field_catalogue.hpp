#pragma once
// Which of the sources' fields make up a channel at a time: several sources, forecasts, members and accumulations.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ingest/pipeline/ingest_config.hpp"
#include "ingest/sources/source.hpp"

namespace zonda::ingest {

/// A field as a weighted sum of fields of one source: one field of weight 1 as a rule; members of a mean; the
/// difference or the sum of accumulations.
struct FieldRecipe {
  std::size_t source;
  struct Term {
    FieldKey key;
    float weight;
  };
  std::vector<Term> terms;
};

class FieldCatalogue {
 public:
  FieldCatalogue(std::vector<std::unique_ptr<Source>> sources, const IngestConfig& config);

  const std::vector<std::unique_ptr<Source>>& sources() const { return sources_; }
  /// Distinct times at which `channel` has a field in any source, ascending.
  std::vector<Time> times(const Channel& channel) const;

  /// From the first source that has it. Of several forecasts of one time the one with the latest reference time is
  /// taken. `accumulation`: the period of accumulated variables. Nothing if no source has it. Throws Error(usage) where
  /// several members are there and the configuration does not say which.
  std::optional<FieldRecipe> find(const Channel& channel, Time time, Duration accumulation) const;
  /// Of a static channel: at any time.
  std::optional<FieldRecipe> find_static(const Channel& channel) const;

  Grid grid(const FieldRecipe& recipe) const;
  /// `[lat, lon]` on grid(recipe). Throws what Source::read throws.
  void read(const FieldRecipe& recipe, std::span<float> values) const;

 private:
  /// Positions in the source's fields, ordered by (valid_time, channel).
  using Order = std::vector<std::uint32_t>;
  std::vector<const FieldKey*> fields_at(std::size_t source, const Channel& channel, Time time) const;
  std::vector<FieldRecipe::Term> choose(std::size_t source, const Channel& channel, Time time,
                                        Duration accumulation) const;
  std::vector<FieldRecipe::Term> of_member(std::size_t source, const std::vector<const FieldKey*>& candidates,
                                           std::optional<int> member, Duration accumulation) const;

  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<Order> orders_;
  std::string members_;
};

}  // namespace zonda::ingest
