#include "assimilation/ensemble/letkf.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "assimilation/ensemble/ensemble_transform.hpp"
#include "assimilation/ensemble/transposition.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

using Indices = std::vector<std::size_t>;

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

}  // namespace

/// [solved and shared batch]: N mean weights, N x N of the transform.
struct Letkf::SharedWeights {
  Indices place;  ///< of each batch, in units of N + N N
  Vector values;
  std::vector<char> observed;  ///< of each batch: whether there were observations
  Vector factors;              ///< of each solved batch, where inflation is adaptive
};

View Letkf::Rows::of(std::size_t batch, std::size_t members) {
  return View(values).subspan(first[batch] * members, (first[batch + 1] - first[batch]) * members);
}

Letkf::Letkf(parallel::Communicator communicator, std::size_t state_size, std::vector<Batch> batches,
             Localisation localisation, const LetkfSettings& settings)
    : communicator_(std::move(communicator)),
      state_size_(state_size),
      batches_(std::move(batches)),
      localisation_(std::move(localisation)),
      settings_(settings),
      is_shared_(batches_.size()) {
  settings_.inflation.check();
  if (settings_.adaptive && settings_.adaptive->factors().size() != batches_.size())
    fail(ErrorKind::usage, "adaptive inflation of {} batches, expected {}", settings_.adaptive->factors().size(),
         batches_.size());
  std::vector<char> seen(state_size);
  for (const Batch& batch : batches_) {
    for (const std::size_t variable : batch.variables)
      if (variable >= state_size || seen[variable]++ > 0)
        fail(ErrorKind::usage, "variable {} of a state of {} is in two batches or outside", variable, state_size);
    for (const WeightShare& share : batch.shares) {
      if (share.batch >= batches_.size() || !batches_[share.batch].shares.empty())
        fail(ErrorKind::usage, "a batch takes weights of batch {}, which is not solved for", share.batch);
      is_shared_[share.batch] = 1;
    }
  }
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
  for (std::size_t i = 0; i < found.size(); ++i)
    if (const Batch& batch = batches_[counted.begin + i]; batch.shares.empty()) found[i] = search.near(batch.position);
  Indices work, all;
  for (const auto& list : found) work.push_back(1 + list.size());
  for (const Indices& part : gather(communicator_, work)) all.insert(all.end(), part.begin(), part.end());

  Plan result{balanced_shares(all, ranks), {}, {}};
  std::vector<char> wanted(batches_.size());
  for (std::size_t b = result.shares[rank].begin; b < result.shares[rank].end; ++b) {
    if (batches_[b].shares.empty()) wanted[b] = 1;
    for (const WeightShare& share : batches_[b].shares) wanted[share.batch] = 1;
  }
  for (std::size_t b = 0; b < batches_.size(); ++b)
    if (wanted[b]) result.solved.push_back(b);
  result.observations.resize(result.solved.size());
#pragma omp parallel for schedule(dynamic, 16) if (result.solved.size() > 256)
  for (std::size_t i = 0; i < result.solved.size(); ++i) {
    const std::size_t b = result.solved[i];
    result.observations[i] =
        b >= counted.begin && b < counted.end ? std::move(found[b - counted.begin]) : search.near(batches_[b].position);
  }
  return result;
}

std::vector<parallel::Range> Letkf::shares(const Observations& observations) const {
  return plan(observations).shares;
}

Letkf::ObservedEnsemble Letkf::observe(const Ensemble& states, const Observations& observations,
                                       const Plan& plan) const {
  const std::size_t members = states.total(), p = observations.size();
  std::vector<char> is_needed(p);
  for (const auto& list : plan.observations)
    for (const LocalObservation& o : list) is_needed[o.index] = 1;
  Indices needed;
  ObservedEnsemble result{{}, {}, Indices(p)};
  for (std::size_t i = 0; i < p; ++i)
    if (is_needed[i]) {
      result.place[i] = needed.size();
      needed.push_back(i);
    }
  Vector columns(states.own().size() * p);
  for (std::size_t k = 0; k < states.own().size(); ++k)
    observations.instrument->apply(states.member(k), View(columns).subspan(k * p, p));
  result.anomalies = Transposition(communicator_, members, gather(communicator_, needed)).to_rows(columns, p);
  result.departures.resize(needed.size());
  for (std::size_t i = 0; i < needed.size(); ++i) {
    const View row = View(result.anomalies).subspan(i * members, members);
    double mean = 0;
    for (const double value : row) mean += value;
    mean /= static_cast<double>(members);
    const double error = observations.errors[needed[i]];
    for (double& value : row) value = (value - mean) / error;
    result.departures[i] = (observations.values[needed[i]] - mean) / error;
  }
  std::string trouble;
  if (std::any_of(result.departures.begin(), result.departures.end(), [](double d) { return !std::isfinite(d); }))
    trouble = "LETKF: an observed value of the background is not a number";
  communicator_.agree(static_cast<int>(ErrorKind::numerical), trouble);
  return result;
}

Letkf::SharedWeights Letkf::solve(const Plan& plan, const ObservedEnsemble& observed, std::size_t members,
                                  Rows& rows) const {
  const parallel::Range mine = plan.shares[static_cast<std::size_t>(communicator_.rank())];
  const std::size_t width = members + members * members;
  SharedWeights weights{Indices(batches_.size()), {}, std::vector<char>(batches_.size()), {}};
  std::size_t kept = 0;
  for (std::size_t s = 0; s < plan.solved.size(); ++s) {
    if (is_shared_[plan.solved[s]]) weights.place[plan.solved[s]] = kept++;
    weights.observed[plan.solved[s]] = !plan.observations[s].empty();
  }
  weights.values.resize(kept * width);
  if (settings_.adaptive)
    for (const std::size_t b : plan.solved) weights.factors.push_back(settings_.adaptive->factors()[b]);

#pragma omp parallel if (plan.solved.size() > 256)
  {
    EnsembleTransform transform(members);
    Vector anomalies, departures;
#pragma omp for schedule(dynamic, 16)
    for (std::size_t s = 0; s < plan.solved.size(); ++s) {
      const std::size_t b = plan.solved[s];
      const std::vector<LocalObservation>& list = plan.observations[s];
      anomalies.resize(list.size() * members);
      departures.resize(list.size());
      double total = 0;
      for (std::size_t i = 0; i < list.size(); ++i) {
        const double root = std::sqrt(list[i].weight);
        const std::size_t row = observed.place[list[i].index];
        total += list[i].weight;
        departures[i] = root * observed.departures[row];
        for (std::size_t k = 0; k < members; ++k)
          anomalies[i * members + k] = root * observed.anomalies[row * members + k];
      }
      double factor = 1;
      if (settings_.adaptive && !list.empty())
        factor = weights.factors[s] = settings_.adaptive->learned(weights.factors[s], anomalies, departures, total);
      transform.solve(anomalies, departures, factor);
      if (is_shared_[b]) {
        const View kept_here = View(weights.values).subspan(weights.place[b] * width, width);
        copy(transform.weights(), kept_here.first(members));
        copy(transform.transform(), kept_here.subspan(members));
      }
      if (!list.empty() && b >= mine.begin && b < mine.end)
        transform.update(settings_.inflation, rows.of(b - mine.begin, members));
    }
  }
  return weights;
}

void Letkf::combine(const Plan& plan, const SharedWeights& weights, std::size_t members, Rows& rows) const {
  const parallel::Range mine = plan.shares[static_cast<std::size_t>(communicator_.rank())];
  const std::size_t width = members + members * members;
  if (weights.values.empty()) return;
#pragma omp parallel if (mine.size() > 256)
  {
    EnsembleTransform transform(members);
    Vector sum(width);
#pragma omp for schedule(dynamic, 64)
    for (std::size_t b = mine.begin; b < mine.end; ++b) {
      const std::vector<WeightShare>& shares = batches_[b].shares;
      if (std::none_of(shares.begin(), shares.end(),
                       [&](const WeightShare& share) { return weights.observed[share.batch]; }))
        continue;
      std::fill(sum.begin(), sum.end(), 0);
      for (const WeightShare& share : shares)
        axpy(share.weight, ConstView(weights.values).subspan(weights.place[share.batch] * width, width), sum);
      transform.use(ConstView(sum).first(members), ConstView(sum).subspan(members));
      transform.update(settings_.inflation, rows.of(b - mine.begin, members));
    }
  }
}

/// What each rank has learned of its own batches reaches all.
void Letkf::learn(const Plan& plan, const SharedWeights& weights) const {
  if (!settings_.adaptive) return;
  const parallel::Range mine = plan.shares[static_cast<std::size_t>(communicator_.rank())];
  const View factors = settings_.adaptive->factors();
  for (std::size_t s = 0; s < plan.solved.size(); ++s)
    if (plan.solved[s] >= mine.begin && plan.solved[s] < mine.end) factors[plan.solved[s]] = weights.factors[s];
  Indices ends{0};
  for (const parallel::Range& share : plan.shares) ends.push_back(share.end * sizeof(double));
  communicator_
      .all_gather(std::as_bytes(std::span(factors).subspan(mine.begin, mine.size())),
                  std::as_writable_bytes(std::span(factors)), ends)
      .wait();
}

void Letkf::analyse(Ensemble& ensemble, const Observations& observations, std::size_t) const {
  analyse(ensemble, observations, ensemble);
}

void Letkf::analyse(Ensemble& ensemble, const Observations& observations, const Ensemble& observed_states) const {
  observations.check();
  require_size("the ensemble's state", ensemble.state_size(), state_size_);
  require_size("the list of positions", observations.positions.size(), observations.size());
  const auto ranks = static_cast<std::size_t>(communicator_.size()),
             rank = static_cast<std::size_t>(communicator_.rank());
  const std::size_t members = ensemble.total();
  if (const parallel::Range own = parallel::partition(members, ranks, rank);
      own.begin != ensemble.own().begin || own.end != ensemble.own().end)
    fail(ErrorKind::usage, "rank {} holds members {} to {}, expected {} to {}", rank, ensemble.own().begin,
         ensemble.own().end, own.begin, own.end);
  if (observations.size() == 0) return;

  const Plan planned = plan(observations);
  const ObservedEnsemble observed = observe(observed_states, observations, planned);
  std::vector<Indices> variables(ranks);
  for (std::size_t r = 0; r < ranks; ++r)
    for (std::size_t b = planned.shares[r].begin; b < planned.shares[r].end; ++b)
      variables[r].insert(variables[r].end(), batches_[b].variables.begin(), batches_[b].variables.end());
  const Transposition states(communicator_, members, std::move(variables));
  Rows rows{states.to_rows(ensemble.values(), state_size_), {0}};
  for (std::size_t b = planned.shares[rank].begin; b < planned.shares[rank].end; ++b)
    rows.first.push_back(rows.first.back() + batches_[b].variables.size());

  const SharedWeights weights = solve(planned, observed, members, rows);
  combine(planned, weights, members, rows);
  learn(planned, weights);
  states.to_columns(rows.values, ensemble.values(), state_size_);
}

}  // namespace zonda::assimilation
