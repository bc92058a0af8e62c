#include "ingest/pipeline/field_catalogue.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

bool earlier(const FieldKey& key, Time time, const Channel& channel) {
  return std::tie(key.valid_time, key.channel) < std::tie(time, channel);
}

/// Forecasts from a later start come first; an analysis (no start given) before any.
bool fresher(const FieldKey* a, const FieldKey* b) {
  constexpr Time never = Time::max();
  return a->reference_time.value_or(never) > b->reference_time.value_or(never);
}

}  // namespace

FieldCatalogue::FieldCatalogue(std::vector<std::unique_ptr<Source>> sources, const IngestConfig& config)
    : sources_(std::move(sources)), members_(config.members) {
  for (const auto& source : sources_) {
    const std::vector<FieldKey>& fields = source->fields();
    Order order(fields.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&fields](std::uint32_t a, std::uint32_t b) {
      return earlier(fields[a], fields[b].valid_time, fields[b].channel);
    });
    orders_.push_back(std::move(order));
  }
}

std::vector<Time> FieldCatalogue::times(const Channel& channel) const {
  std::set<Time> times;
  for (const auto& source : sources_) {
    for (const FieldKey& key : source->fields()) {
      if (key.channel == channel) times.insert(key.valid_time);
    }
  }
  return {times.begin(), times.end()};
}

std::vector<const FieldKey*> FieldCatalogue::fields_at(std::size_t source, const Channel& channel, Time time) const {
  const std::vector<FieldKey>& fields = sources_[source]->fields();
  const Order& order = orders_[source];
  std::vector<const FieldKey*> found;
  auto place = std::partition_point(order.begin(), order.end(),
                                    [&](std::uint32_t i) { return earlier(fields[i], time, channel); });
  for (; place != order.end(); ++place) {
    const FieldKey& key = fields[*place];
    if (key.valid_time != time || key.channel != channel) break;
    found.push_back(&key);
  }
  return found;
}

// The amount over `accumulation` of one member, for accumulated variables: as it is, as a difference of amounts since
// one start, or as a sum of shorter periods.
std::vector<FieldRecipe::Term> FieldCatalogue::of_member(std::size_t source,
                                                         const std::vector<const FieldKey*>& candidates,
                                                         std::optional<int> member, Duration accumulation) const {
  std::vector<const FieldKey*> mine;
  for (const FieldKey* key : candidates) {
    if (key->member == member) mine.push_back(key);
  }
  std::stable_sort(mine.begin(), mine.end(), fresher);
  if (mine.empty()) return {};
  const FieldKey& first = *mine.front();
  if (!first.channel.info().accumulated) return {{first, 1.0F}};

  for (const FieldKey* key : mine) {
    // A file that does not give its period is believed to hold the amounts since the time before.
    if (key->accumulation == accumulation || key->accumulation.count() == 0) return {{*key, 1.0F}};
  }
  for (const FieldKey* key : mine) {
    if (key->accumulation < accumulation) continue;
    for (const FieldKey* before : fields_at(source, first.channel, first.valid_time - accumulation)) {
      if (before->member == member && before->reference_time == key->reference_time &&
          before->accumulation == key->accumulation - accumulation) {
        return {{*key, 1.0F}, {*before, -1.0F}};
      }
    }
  }
  for (const FieldKey* key : mine) {
    const Duration piece = key->accumulation;
    if (piece > accumulation || accumulation % piece != Duration(0)) continue;
    std::vector<FieldRecipe::Term> terms{{*key, 1.0F}};
    for (Duration back = piece; back < accumulation; back += piece) {
      const std::vector<const FieldKey*> earlier_pieces = fields_at(source, first.channel, first.valid_time - back);
      const auto found = std::find_if(earlier_pieces.begin(), earlier_pieces.end(), [&](const FieldKey* k) {
        return k->member == member && k->accumulation == piece;
      });
      if (found == earlier_pieces.end()) break;
      terms.push_back({**found, 1.0F});
    }
    if (terms.size() == static_cast<std::size_t>(accumulation / piece)) return terms;
  }
  return {};
}

std::vector<FieldRecipe::Term> FieldCatalogue::choose(std::size_t source, const Channel& channel, Time time,
                                                      Duration accumulation) const {
  const std::vector<const FieldKey*> candidates = fields_at(source, channel, time);
  std::set<std::optional<int>> members;
  for (const FieldKey* key : candidates) members.insert(key->member);
  if (members.size() <= 1 && (members_ == "single" || members_ == "mean")) {
    return members.empty() ? std::vector<FieldRecipe::Term>{}
                           : of_member(source, candidates, *members.begin(), accumulation);
  }
  if (members_ == "single") {
    fail(ErrorKind::usage, "{}: {} at {} has {} members: set 'members' to mean or to a member's number",
         sources_[source]->describe(), channel.name(), to_string(time), members.size());
  }
  if (members_ == "mean") {
    std::vector<FieldRecipe::Term> mean;
    for (const std::optional<int>& member : members) {
      for (FieldRecipe::Term term : of_member(source, candidates, member, accumulation)) {
        term.weight /= static_cast<float>(members.size());
        mean.push_back(std::move(term));
      }
    }
    return mean;
  }
  // Fields without members (of another source, an analysis) serve every member.
  const std::optional<int> wanted = std::stoi(members_);
  return of_member(source, candidates, members.contains(wanted) ? wanted : std::nullopt, accumulation);
}

std::optional<FieldRecipe> FieldCatalogue::find(const Channel& channel, Time time, Duration accumulation) const {
  for (std::size_t source = 0; source < sources_.size(); ++source) {
    std::vector<FieldRecipe::Term> terms = choose(source, channel, time, accumulation);
    if (!terms.empty()) return FieldRecipe{source, std::move(terms)};
  }
  return std::nullopt;
}

std::optional<FieldRecipe> FieldCatalogue::find_static(const Channel& channel) const {
  for (std::size_t source = 0; source < sources_.size(); ++source) {
    for (const FieldKey& key : sources_[source]->fields()) {
      if (key.channel == channel) return FieldRecipe{source, {{key, 1.0F}}};
    }
  }
  return std::nullopt;
}

Grid FieldCatalogue::grid(const FieldRecipe& recipe) const {
  return sources_[recipe.source]->grid(recipe.terms.front().key.channel);
}

void FieldCatalogue::read(const FieldRecipe& recipe, std::span<float> values) const {
  const Source& source = *sources_[recipe.source];
  source.read(recipe.terms.front().key, values);
  const float first = recipe.terms.front().weight;
  if (recipe.terms.size() == 1 && first == 1.0F) return;
  for (float& value : values) value *= first;
  std::vector<float> more(values.size());
  for (std::size_t t = 1; t < recipe.terms.size(); ++t) {
    source.read(recipe.terms[t].key, more);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += recipe.terms[t].weight * more[i];
  }
}

}  // namespace zonda::ingest
