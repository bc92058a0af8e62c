#include "assimilation/ensemble/letkf.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "assimilation/ensemble/ensemble_transform.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

using Indices = std::vector<std::size_t>;

std::vector<std::size_t> byte_offsets(std::span<const std::size_t> counts) {
  std::vector<std::size_t> offsets{0};
  for (const std::size_t count : counts) offsets.push_back(offsets.back() + count * sizeof(double));
  return offsets;
}

/// Turns an ensemble held by member into one held by row, and back. Rank r is to hold `rows[r]` of all members.
class Transposition {
 public:
  Transposition(const parallel::Communicator& communicator, std::size_t members, std::vector<Indices> rows)
      : communicator_(communicator), members_(members), rows_(std::move(rows)) {}

  /// `columns` [own member][all rows] -> [own row][all members]
  Vector to_rows(ConstView columns, std::size_t column_size) const {
    const std::size_t own = members_of(communicator_.rank()).size();
    Vector outgoing, incoming(mine().size() * members_);
    Indices sent, received;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      for (const std::size_t row : rows_[r])
        for (std::size_t k = 0; k < own; ++k) outgoing.push_back(columns[k * column_size + row]);
      sent.push_back(rows_[r].size() * own);
      received.push_back(mine().size() * members_of(r).size());
    }
    exchange(outgoing, sent, incoming, received);
    Vector result(incoming.size());
    for_each_incoming([&](std::size_t in_message, std::size_t in_rows) { result[in_rows] = incoming[in_message]; });
    return result;
  }

  /// The way back; rows that no rank holds stay as they are in `columns`.
  void to_columns(const Vector& by_row, View columns, std::size_t column_size) const {
    const std::size_t own = members_of(communicator_.rank()).size();
    Vector outgoing(by_row.size());
    for_each_incoming([&](std::size_t in_message, std::size_t in_rows) { outgoing[in_message] = by_row[in_rows]; });
    Indices sent, received;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      sent.push_back(mine().size() * members_of(r).size());
      received.push_back(rows_[r].size() * own);
    }
    std::size_t total = 0;
    for (const std::size_t count : received) total += count;
    Vector incoming(total);
    exchange(outgoing, sent, incoming, received);
    std::size_t at = 0;
    for (const Indices& rows : rows_)
      for (const std::size_t row : rows)
        for (std::size_t k = 0; k < own; ++k) columns[k * column_size + row] = incoming[at++];
  }

 private:
  const Indices& mine() const { return rows_[static_cast<std::size_t>(communicator_.rank())]; }
  parallel::Range members_of(std::size_t rank) const { return parallel::partition(members_, rows_.size(), rank); }
  parallel::Range members_of(int rank) const { return members_of(static_cast<std::size_t>(rank)); }

  /// body(position in the message of all ranks, position in [own row][member])
  template <class Body>
  void for_each_incoming(Body&& body) const {
    std::size_t at = 0;
    for (std::size_t r = 0; r < rows_.size(); ++r)
      for (std::size_t row = 0; row < mine().size(); ++row)
        for (std::size_t k = members_of(r).begin; k < members_of(r).end; ++k) body(at++, row * members_ + k);
  }

  void exchange(const Vector& outgoing, const Indices& sent, Vector& incoming, const Indices& received) const {
    communicator_
        .all_to_all(std::as_bytes(std::span(outgoing)), byte_offsets(sent), std::as_writable_bytes(std::span(incoming)),
                    byte_offsets(received))
        .wait();
  }

  const parallel::Communicator& communicator_;
  std::size_t members_;
  std::vector<Indices> rows_;
};

/// What every rank needs, from what this one needs.
std::vector<Indices> gather(const parallel::Communicator& communicator, const Indices& mine) {
  std::vector<Indices> all;
  for (const auto& bytes : communicator.all_gather_variable(std::as_bytes(std::span(mine)))) {
    Indices indices(bytes.size() / sizeof(std::size_t));
    if (!bytes.empty()) std::memcpy(indices.data(), bytes.data(), bytes.size());
    all.push_back(std::move(indices));
  }
  return all;
}

/// Observed values [needed observation][member] in units of the error: anomalies and departures.
struct ObservedEnsemble {
  Vector anomalies, departures;
};

ObservedEnsemble observed_ensemble(Vector values, const Indices& needed, std::size_t members,
                                   const Observations& observations) {
  ObservedEnsemble result{std::move(values), Vector(needed.size())};
  for (std::size_t i = 0; i < needed.size(); ++i) {
    const View row = View(result.anomalies).subspan(i * members, members);
    double mean = 0;
    for (const double value : row) mean += value;
    mean /= static_cast<double>(members);
    const double error = observations.errors[needed[i]];
    for (double& value : row) value = (value - mean) / error;
    result.departures[i] = (observations.values[needed[i]] - mean) / error;
  }
  return result;
}

}  // namespace

Letkf::Letkf(parallel::Communicator communicator, std::size_t state_size, std::vector<Batch> batches,
             Localisation localisation, const LetkfSettings& settings)
    : communicator_(std::move(communicator)),
      state_size_(state_size),
      batches_(std::move(batches)),
      localisation_(std::move(localisation)),
      settings_(settings) {
  settings_.inflation.check();
  std::vector<int> seen(state_size);
  for (const Batch& batch : batches_)
    for (const std::size_t variable : batch.variables)
      if (variable >= state_size || seen[variable]++ > 0)
        fail(ErrorKind::usage, "variable {} of a state of {} is in two batches or outside", variable, state_size);
  if (const auto missing = std::find(seen.begin(), seen.end(), 0); missing != seen.end())
    fail(ErrorKind::usage, "variable {} is in no batch", missing - seen.begin());
}

Letkf::Plan Letkf::plan(const Observations& observations) const {
  const LocalSearch search(localisation_, observations.positions, settings_.smallest_weight,
                           settings_.most_observations);
  const auto ranks = static_cast<std::size_t>(communicator_.size()),
             rank = static_cast<std::size_t>(communicator_.rank());
  const parallel::Range counted = parallel::partition(batches_.size(), ranks, rank);
  std::vector<std::vector<LocalObservation>> found(counted.size());
#pragma omp parallel for schedule(dynamic, 16) if (counted.size() > 256)
  for (std::size_t i = 0; i < found.size(); ++i) found[i] = search.near(batches_[counted.begin + i].position);
  Indices work, all;
  for (const auto& list : found) work.push_back(1 + list.size());
  for (const Indices& part : gather(communicator_, work)) all.insert(all.end(), part.begin(), part.end());
  Plan result{balanced_shares(all, ranks), {}};
  for (std::size_t b = result.shares[rank].begin; b < result.shares[rank].end; ++b)
    result.observations.push_back(b >= counted.begin && b < counted.end ? std::move(found[b - counted.begin])
                                                                        : search.near(batches_[b].position));
  return result;
}

std::vector<parallel::Range> Letkf::shares(const Observations& observations) const {
  return plan(observations).shares;
}

void Letkf::analyse(Ensemble& ensemble, const Observations& observations, std::size_t) const {
  observations.check();
  require_size("the ensemble's state", ensemble.state_size(), state_size_);
  require_size("the list of positions", observations.positions.size(), observations.size());
  const auto ranks = static_cast<std::size_t>(communicator_.size()),
             rank = static_cast<std::size_t>(communicator_.rank());
  const std::size_t members = ensemble.total(), p = observations.size();
  if (const parallel::Range own = parallel::partition(members, ranks, rank);
      own.begin != ensemble.own().begin || own.end != ensemble.own().end)
    fail(ErrorKind::usage, "rank {} holds members {} to {}, expected {} to {}", rank, ensemble.own().begin,
         ensemble.own().end, own.begin, own.end);
  if (p == 0) return;

  const Plan planned = plan(observations);
  const parallel::Range mine = planned.shares[rank];
  std::vector<char> is_needed(p);
  for (const auto& list : planned.observations)
    for (const LocalObservation& o : list) is_needed[o.index] = 1;
  Indices needed, place(p);
  for (std::size_t i = 0; i < p; ++i)
    if (is_needed[i]) {
      place[i] = needed.size();
      needed.push_back(i);
    }

  Vector columns(ensemble.own().size() * p);
  for (std::size_t k = 0; k < ensemble.own().size(); ++k)
    observations.instrument->apply(ensemble.member(k), View(columns).subspan(k * p, p));
  const ObservedEnsemble observed =
      observed_ensemble(Transposition(communicator_, members, gather(communicator_, needed)).to_rows(columns, p),
                        needed, members, observations);
  std::string trouble;
  if (std::any_of(observed.departures.begin(), observed.departures.end(), [](double d) { return !std::isfinite(d); }))
    trouble = "LETKF: an observed value of the background is not a number";
  communicator_.agree(static_cast<int>(ErrorKind::numerical), trouble);

  std::vector<Indices> variables(ranks);
  for (std::size_t r = 0; r < ranks; ++r)
    for (std::size_t b = planned.shares[r].begin; b < planned.shares[r].end; ++b)
      variables[r].insert(variables[r].end(), batches_[b].variables.begin(), batches_[b].variables.end());
  const Transposition states(communicator_, members, std::move(variables));
  const View by_member = ensemble.values();
  Vector by_variable = states.to_rows(by_member, state_size_);
  Indices first_row{0};
  for (std::size_t b = mine.begin; b < mine.end; ++b)
    first_row.push_back(first_row.back() + batches_[b].variables.size());

#pragma omp parallel if (mine.size() > 256)
  {
    EnsembleTransform transform(members);
    Vector anomalies, departures;
#pragma omp for schedule(dynamic, 16)
    for (std::size_t b = 0; b < mine.size(); ++b) {
      const std::vector<LocalObservation>& list = planned.observations[b];
      if (list.empty()) continue;
      anomalies.resize(list.size() * members);
      departures.resize(list.size());
      for (std::size_t i = 0; i < list.size(); ++i) {
        const double root = std::sqrt(list[i].weight);
        const std::size_t row = place[list[i].index];
        departures[i] = root * observed.departures[row];
        for (std::size_t k = 0; k < members; ++k)
          anomalies[i * members + k] = root * observed.anomalies[row * members + k];
      }
      transform.solve(anomalies, departures);
      for (std::size_t row = first_row[b]; row < first_row[b + 1]; ++row)
        transform.update(settings_.inflation, View(by_variable).subspan(row * members, members));
    }
  }
  states.to_columns(by_variable, by_member, state_size_);
}

}  // namespace zonda::assimilation
