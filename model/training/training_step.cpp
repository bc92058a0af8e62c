#include "model/training/training_step.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "model/training/pipeline_schedule.hpp"
#include "parallel/canonical.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {
namespace {

/// States that are kept of what the network predicts.
std::size_t kept_states(const Unrolling& unrolling, bool predicted) {
  const auto last = static_cast<std::size_t>(unrolling.count) - 1 + (predicted ? 1 : 0);
  return unrolling.through ? last : std::min<std::size_t>(2, last);
}

bool rolls_back(const Unrolling& unrolling) {
  return unrolling.through && unrolling.count > 1;
}

std::size_t scored_steps(const Unrolling& unrolling) {
  return unrolling.through ? static_cast<std::size_t>(unrolling.count) : 1;
}

/// Of step k in the loss; they add up to 1.
double weight_of(const Unrolling& unrolling, std::size_t k) {
  if (!unrolling.through) return 1;
  if (!unrolling.falling) return 1.0 / unrolling.count;
  double sum = 0;
  for (int i = 1; i <= unrolling.count; ++i) sum += 1.0 / i;
  return 1.0 / (static_cast<double>(k + 1) * sum);
}

}  // namespace

std::size_t training_tensor_bytes(const ForecastLayout& layout, std::size_t samples, const Unrolling& unrolling,
                                  bool predicted) {
  const std::size_t channels = layout.output_channels(), count = static_cast<std::size_t>(unrolling.count);
  std::size_t images = (count + 2) * channels + (count + 1) * layout.forcings.size() + layout.static_channels.size();
  images += layout.input_channels() + channels;  // input, target
  images += (scored_steps(unrolling) + kept_states(unrolling, predicted)) * channels;
  if (rolls_back(unrolling)) images += layout.input_channels() + 3 * channels;
  return samples * images * layout.points() * sizeof(float);
}

TrainingStep::TrainingStep(ForecastNetwork& network, const ForecastStep& step,
                           const parallel::Communicator& communicator, StepOptions options, int batch, int micro_batch,
                           Unrolling unrolling, bool predicted, ShardedParameters* shared)
    : network_(network),
      step_(step),
      communicator_(communicator),
      options_(std::move(options)),
      unrolling_(unrolling),
      micro_(static_cast<std::size_t>(micro_batch)),
      count_(static_cast<std::size_t>(unrolling.count)),
      members_(static_cast<std::size_t>(options_.members)),
      terms_(static_cast<std::size_t>(batch / micro_batch)),
      pipelined_(network.stages() > 1 && unrolling.count == 1 && !predicted),
      shared_(shared),
      shares_(shared ? std::nullopt
                     : std::optional<ParameterShares>(std::in_place, network.parameters(), network.buckets(),
                                                      TrainingRanks::of_data(communicator))),
      sum_(network.parameters(), shared ? shared->shares() : *shares_, terms_,
           shared ? shared->sum_options(rolls_back(unrolling) ? unrolling.count : 1, terms_)
                  : GradientSumOptions{.whole = true}),
      scratch_(network.backend().memory()) {
  const parallel::Range range = parallel::partition(terms_, static_cast<std::size_t>(communicator.size()),
                                                    static_cast<std::size_t>(communicator.rank()));
  first_sample_ = range.begin * micro_;
  samples_ = range.size() * micro_;
  const Slab& slab = network.slab();
  const parallel::Range rows = step.rows();
  if (rows.begin != slab.image_rows().begin || rows.end != slab.image_rows().end)
    fail(ErrorKind::failure, "training: states of rows {} to {}, the network has {} to {}", rows.begin, rows.end,
         slab.image_rows().begin, slab.image_rows().end);
  if (!shared && (!slab.alone() || network.stages() > 1))
    fail(ErrorKind::failure, "training: {} slabs and {} stages share a sample, and nothing adds up their gradients",
         slab.ranks().size(), network.stages());
  const auto weights = step.layout().grid.row_weights().subspan(rows.begin, rows.size());
  row_weights_.assign(weights.begin(), weights.end());
  row_cuts_ = slab.image_row_offsets();
  chunks_ = row_cuts_.size() - 1;
  Memory& memory = network.backend().memory();
  fetched_.resize(scored_steps(unrolling) * chunks_);
  const std::size_t lanes = pipelined_ ? in_flight(static_cast<std::size_t>(network.stages()),
                                                   static_cast<std::size_t>(network.stage()), range.size())
                                       : 1;
  for (std::size_t i = 0; i < lanes && takes_samples(); ++i) lanes_.push_back(make_lane(step));
  const auto several = [&](std::size_t n) {
    std::vector<Buffer> list;
    for (std::size_t i = 0; i < n; ++i) list.push_back(buffer_of(memory, staged().state_shape()));
    return list;
  };
  predicted_ = several(kept_states(unrolling, predicted));
  if (rolls_back(unrolling)) {
    input_gradient_ = buffer_of(memory, staged().input_shape());
    state_gradient_ = several(3);
  }
  network_.plan(static_cast<int>(micro_ * members_), Use::training, static_cast<int>(lanes));
  scratch_.begin_plan();
  Context ctx = context();
  StepVariant variant;
  variant.lead_steps = unrolling.count - 1;
  if (predicted) variant.predicted = [](std::size_t, std::span<const float>) {};
  pipelined_ ? pass_onward(ctx, 0) : pass(ctx, variant);
  scratch_.finish_plan();
  scratch_.allocate();
}

TrainingStep::Lane TrainingStep::make_lane(const ForecastStep& step) const {
  Memory& memory = network_.backend().memory();
  Lane lane{StagedBatch(step, memory, micro_ * members_, count_), {}, {}, {}, {}, {}};
  const Shape state = lane.staged.state_shape();
  if (!pipelined_ || is_first_stage()) {
    lane.input = buffer_of(memory, lane.staged.input_shape());
    if (network_.noise_size() > 0)
      for (std::size_t k = 0; k < count_; ++k) lane.noise.emplace_back(memory, Shape{state[0], network_.noise_size()});
  }
  if (!pipelined_ || is_last_stage()) {
    lane.target = buffer_of(memory, state);
    for (std::size_t i = 0; i < scored_steps(unrolling_); ++i) lane.outputs.push_back(buffer_of(memory, state));
    lane.scores = Buffer(scored_steps(unrolling_) * chunks_ * sizeof(double), memory);
  }
  return lane;
}

void TrainingStep::stage_samples(Lane& lane, const Batch& mine, std::size_t first, std::uint64_t position,
                                 std::span<const Time> times, const StepVariant& variant) const {
  std::vector<std::size_t> chosen(micro_ * members_);
  for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = first + i / members_;
  lane.staged.stage(mine, chosen, position, times, options_.augmentation, variant.starts);
}

TrainingStep::~TrainingStep() {
  forget_recorded();
}

void TrainingStep::forget_recorded() {
  for (const auto& [what, key] : recorded_) network_.backend().forget(key);
  recorded_.clear();
}

std::size_t TrainingStep::steps_of(const StepVariant& variant) const {
  return unrolling_.through ? count_ : static_cast<std::size_t>(variant.lead_steps) + 1;
}

std::size_t TrainingStep::first_scored(const StepVariant& variant) const {
  return unrolling_.through ? 0 : steps_of(variant) - 1;
}

double TrainingStep::share_of(std::size_t k) const {
  return weight_of(unrolling_, k) / static_cast<double>(terms_);
}

Context TrainingStep::context() {
  return Context(network_.backend(), scratch_, DType::f32);
}

Tensor TrainingStep::predicted(std::size_t k) const {
  return tensor_of(predicted_[k % predicted_.size()], staged().state_shape());
}

/// x(t + (k - 1) d): what was given, or what the rollout predicted.
StateView TrainingStep::state(std::size_t k) const {
  return k < 2 ? staged().given(k) : StateView{predicted(k - 2), 0};
}

Tensor TrainingStep::gradient_of_state(std::size_t k) const {
  return tensor_of(state_gradient_[k % 3], staged().state_shape());
}

void TrainingStep::draw_noise_of(Lane& lane, std::size_t k, std::uint64_t first_member, std::int64_t optimiser_step) {
  if (lane.noise.empty()) return;
  const std::uint64_t pass = static_cast<std::uint64_t>(optimiser_step) * count_ + k;
  draw_noise(options_.augmentation.seed, pass, first_member, lane.noise[k].host(),
             static_cast<std::size_t>(network_.noise_size()));
  lane.noise[k].send();
}

void TrainingStep::forward(Context& ctx, std::size_t k, const Tensor& y) {
  Lane& lane = lanes_.front();
  const Tensor u = tensor_of(lane.input, lane.staged.input_shape());
  lane.staged.assemble(ctx, k, state(k), state(k + 1), u);
  if (ctx.planning()) return;
  const std::vector<double> days = staged().lead_days(k);
  network_.set_leads(days);
  network_.forward(u, lane.staged.condition(k), y, lane.noise.empty() ? Tensor() : lane.noise[k].tensor());
}

/// The chunks' parts of a step's loss go to the lane's scores; its gradient takes the place of y.
void TrainingStep::score(Context& ctx, Lane& lane, std::size_t scored, const Tensor& y, const Tensor& wanted,
                         double share) {
  const LossTerms terms{options_.loss,
                        row_weights_,
                        options_.channel_weights,
                        {},
                        {static_cast<std::int64_t>(step_.layout().grid.nlat()), row_cuts_, {}}};
  const Tensor parts(static_cast<double*>(lane.scores.data()) + scored * chunks_, {static_cast<std::int64_t>(chunks_)},
                     DType::f64, lane.scores.device());
  if (members_ > 1)
    ctx->crps_parts(ctx, terms, options_.members, y, wanted, y, share, parts);
  else
    ctx->loss_parts(ctx, terms, y, wanted, y, share, parts);
}

void TrainingStep::fetch_losses(const Lane& lane, const StepVariant& variant, std::span<double> losses) {
  const std::size_t first = first_scored(variant), scored = steps_of(variant) - first;
  lane.scores.memory().copy_out(fetched_.data(), lane.scores.data(), scored * chunks_ * sizeof(double));
  for (std::size_t i = 0; i < scored; ++i)
    for (std::size_t chunk = 0; chunk < chunks_; ++chunk)
      losses[chunk] += share_of(first + i) * fetched_[i * chunks_ + chunk];
}

std::optional<std::uint64_t> TrainingStep::key_of(const StepVariant& variant) {
  constexpr std::size_t most = 32;  // recorded passes take memory
  if (sum_.by_bucket() || !network_.slab().alone()) return std::nullopt;
  if (const std::uint64_t plan = network_.make_ready(); plan != recorded_plan_) {
    forget_recorded();
    recorded_plan_ = plan;
  }
  std::vector<std::int64_t> what{variant.lead_steps, variant.predicted ? 1 : 0};
  for (std::size_t s = 0; s < staged().samples(); ++s) what.push_back(staged().step(s).count());
  if (network_.shape().rank > 0)  // leads choose adapters
    for (const double days : staged().lead_days(0)) what.push_back(std::llround(days * 86400));
  if (const auto known = recorded_.find(what); known != recorded_.end()) return known->second;
  if (recorded_.size() >= most) return std::nullopt;
  return recorded_.emplace(std::move(what), Backend::new_key()).first->second;
}

/// `losses` [micro-batch, chunk] of this rank -> [micro-batch] of the whole grid.
std::vector<double> TrainingStep::sum_over_slabs(std::span<const double> losses) const {
  const std::size_t n = losses.size() / chunks_;
  std::vector<double> by_chunk(losses.size()), totals(n);
  for (std::size_t t = 0; t < n; ++t)
    for (std::size_t chunk = 0; chunk < chunks_; ++chunk) by_chunk[chunk * n + t] = losses[t * chunks_ + chunk];
  const Slab& slab = network_.slab();
  parallel::canonical_all_reduce(slab.ranks(), static_cast<std::size_t>(slab.chunks()), n,
                                 std::span<const double>(by_chunk), std::span(totals));
  return totals;
}

void TrainingStep::pass(Context& ctx, const StepVariant& variant) {
  const Shape shape = staged().state_shape();
  const std::size_t steps = steps_of(variant), first = first_scored(variant);
  const Tensor wanted = tensor_of(lanes_.front().target, shape);
  const auto output = [&](std::size_t k) {
    return tensor_of(lanes_.front().outputs[unrolling_.through ? k : 0], shape);
  };

  for (std::size_t k = 0; k < steps; ++k) {
    const Tensor y = output(k);
    forward(ctx, k, y);
    if (k >= first) staged().target(ctx, k, state(k + 1), wanted);
    if (k + 1 < steps || variant.predicted) staged().advance(ctx, y, state(k + 1), predicted(k));
    if (k >= first) score(ctx, lanes_.front(), k - first, y, wanted, share_of(k));
  }
  if (!rolls_back(unrolling_)) {
    if (!ctx.planning()) network_.backward(output(steps - 1), Tensor());
    return;
  }

  for (std::size_t k = steps; k < steps + 2; ++k) ctx->fill(ctx, gradient_of_state(k), 0);
  for (std::size_t k = steps; k-- > 0;) {
    const Tensor dy = output(k), dnext = gradient_of_state(k + 2), dcurrent = gradient_of_state(k + 1);
    if (k + 1 < steps) staged().bounds_adjoint(ctx, predicted(k), dnext);
    staged().target_adjoint(ctx, dy, dnext);
    staged().advance_adjoint(ctx, dnext, dy, dcurrent);
    if (k + 1 < steps) forward(ctx, k, wanted);  // the activations of an earlier step are computed again
    const Tensor du = k > 0 ? tensor_of(input_gradient_, staged().input_shape()) : Tensor();
    if (!ctx.planning()) network_.backward(dy, du);
    if (k == 0) break;
    ctx->fill(ctx, gradient_of_state(k), 0);
    staged().assemble_adjoint(ctx, du, gradient_of_state(k), dcurrent);
  }
}

void TrainingStep::hand_back(std::size_t first, const StepVariant& variant) {
  const std::size_t steps = steps_of(variant);
  const std::size_t size = step_.layout().output_channels() * step_.points();
  const std::span<const float> all = on_host(predicted(steps - 1), network_.backend().memory(), host_);
  std::vector<float> state(size);
  const std::size_t nlon = step_.layout().grid.nlon();
  for (std::size_t s = 0; s < micro_; ++s) {
    const std::size_t place = s * members_, turned = staged().turned(place);
    const auto fields = all.subspan(place * size, size);
    for (std::size_t row = 0; row < size / nlon; ++row)
      std::rotate_copy(fields.begin() + static_cast<std::ptrdiff_t>(row * nlon),
                       fields.begin() + static_cast<std::ptrdiff_t>(row * nlon + turned),
                       fields.begin() + static_cast<std::ptrdiff_t>((row + 1) * nlon),
                       state.begin() + static_cast<std::ptrdiff_t>(row * nlon));
    variant.predicted(first + s, state);
  }
}

double TrainingStep::gradient(const Batch& mine, std::uint64_t position, std::span<const Time> times,
                              std::int64_t optimiser_step, const StepVariant& variant) {
  std::vector<double> parts(samples_ / micro_ * chunks_);  // [micro-batch, chunk]
  Context ctx = context();
  if (shared_) shared_->collect(&sum_);
  if (pipelined_) pass_through_stages(ctx, mine, position, times, optimiser_step, variant, parts);
  for (std::size_t first = 0; first < samples_ && !pipelined_; first += micro_) {
    Lane& lane = lanes_.front();
    stage_samples(lane, mine, first, position, times, variant);
    for (std::size_t k = 0; k < steps_of(variant); ++k)
      draw_noise_of(lane, k, (position + first) * members_, optimiser_step);
    sum_.begin_term(ctx);
    const auto work = [&] {
      scratch_.rewind(0);
      pass(ctx, variant);
    };
    if (const std::optional<std::uint64_t> key = key_of(variant))
      network_.backend().repeat(*key, work);
    else
      work();
    fetch_losses(lane, variant, std::span(parts).subspan(first / micro_ * chunks_, chunks_));
    if (variant.predicted) hand_back(first, variant);
    sum_.end_term(ctx);
  }
  const std::vector<double> losses = sum_over_slabs(parts);
  double loss = 0;
  parallel::canonical_all_reduce(communicator_, terms_, 1, std::span<const double>(losses), std::span(&loss, 1));
  sum_.finish(ctx);

  int kind = 0;
  std::string message;
  if (!std::isfinite(loss)) {
    const auto bad = std::find_if(losses.begin(), losses.end(), [](double l) { return !std::isfinite(l); });
    if (bad != losses.end()) {
      const auto begin = static_cast<std::size_t>(bad - losses.begin()) * micro_;
      for (std::size_t s = begin; s < begin + micro_; ++s)
        message += fmt::format("{}{} + {}", message.empty() ? "" : ", ", to_string(times[mine.examples[s].time_index]),
                               to_string(mine.examples[s].step));
      kind = static_cast<int>(ErrorKind::numerical);
      message = fmt::format("training: the loss of step {} is not finite (batch times {})", optimiser_step, message);
    }
    communicator_.agree(kind, message);
    fail(ErrorKind::numerical, "training: the loss of step {} is not finite", optimiser_step);
  }
  return loss;
}

}  // namespace zonda::model
