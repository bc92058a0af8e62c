// TrainingStep where ranks share the layers: micro-batches on their way through the stages at once.
#include "model/training/pipeline_schedule.hpp"
#include "model/training/training_step.hpp"

namespace zonda::model {

bool TrainingStep::takes_samples() const {
  // Adapters follow the samples' leads on every stage.
  return !pipelined_ || is_first_stage() || is_last_stage() || network_.shape().rank > 0;
}

/// What the first stage makes of a staged micro-batch, and what the last does with what arrives.
void TrainingStep::pass_onward(Context& ctx, std::size_t number) {
  Tensor u, y, condition, noise;
  if (takes_samples()) {
    Lane& lane = lanes_[number];
    if (is_first_stage()) {
      u = tensor_of(lane.input, lane.staged.input_shape());
      lane.staged.assemble(ctx, 0, lane.staged.given(0), lane.staged.given(1), u);
      condition = lane.staged.condition(0);
      if (!lane.noise.empty()) noise = lane.noise[0].tensor();
    }
    if (is_last_stage()) y = tensor_of(lane.outputs[0], lane.staged.state_shape());
    if (!ctx.planning()) network_.set_leads(lane.staged.lead_days(0));
  }
  if (!ctx.planning()) network_.forward_of_stage(static_cast<int>(number), u, condition, y, noise);
  if (!is_last_stage()) return;
  Lane& lane = lanes_[number];
  const Tensor wanted = tensor_of(lane.target, lane.staged.state_shape());
  lane.staged.target(ctx, 0, lane.staged.given(1), wanted);
  score(ctx, lane, 0, y, wanted, share_of(0));
}

void TrainingStep::pass_through_stages(Context& ctx, const Batch& mine, std::uint64_t position,
                                       std::span<const Time> times, std::int64_t optimiser_step,
                                       const StepVariant& variant, std::span<double> losses) {
  const auto stages = static_cast<std::size_t>(network_.stages()), stage = static_cast<std::size_t>(network_.stage());
  const std::size_t terms = samples_ / micro_, lanes = in_flight(stages, stage, terms);
  network_.plan(static_cast<int>(micro_ * members_), Use::training, static_cast<int>(lanes));
  const std::vector<PipelineTurn> turns = one_forward_one_backward(stages, stage, terms);
  const auto expect = [&](const PipelineTurn& turn) {
    turn.pass == PipelineTurn::Pass::forward ? network_.expect_forward_of_stage() : network_.expect_backward_of_stage();
  };
  expect(turns.front());
  for (std::size_t turn = 0; turn < turns.size(); ++turn) {
    const auto& [pass, micro_batch] = turns[turn];
    if (turn + 1 < turns.size()) expect(turns[turn + 1]);  // comes while this one is worked on
    const std::size_t number = micro_batch % lanes;
    if (pass == PipelineTurn::Pass::forward) {
      if (takes_samples()) stage_samples(lanes_[number], mine, micro_batch * micro_, position, times, variant);
      if (is_first_stage())
        draw_noise_of(lanes_[number], 0, (position + micro_batch * micro_) * members_, optimiser_step);
      scratch_.rewind(0);
      pass_onward(ctx, number);
      if (is_last_stage()) fetch_losses(lanes_[number], variant, losses.subspan(micro_batch * chunks_, chunks_));
      continue;
    }
    sum_.begin_term(ctx);
    Tensor dy;
    if (is_last_stage()) dy = tensor_of(lanes_[number].outputs[0], lanes_[number].staged.state_shape());
    network_.backward_of_stage(static_cast<int>(number), dy);
    sum_.end_term(ctx);
  }
  shared_->shares().ranks().stages.broadcast(std::as_writable_bytes(losses), network_.stages() - 1).wait();
}

}  // namespace zonda::model
