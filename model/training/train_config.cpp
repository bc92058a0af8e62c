#include "model/training/train_config.hpp"

#include <algorithm>

#include "core/config/table.hpp"

namespace zonda::model {

void describe(config::Table& table, ValidationConfig& c) {
  table.key("start", c.start, "First time of the validation period (default: the training period's last part)");
  table.key("end", c.end, "Last time of the validation period");
  table.key("fraction", c.fraction, "Share of the training period kept back where no validation period is given")
      .range(0, 0.9);
  table.key("every", c.every, "Optimiser steps between two validations; 0: only at the end").range(0, 1e9);
  table.key("samples", c.samples, "Initial times, spread evenly over the period").range(1, 1e6);
  table.key("lead", c.lead, "Lead time of the RMSE");
  table.key("channels", c.channels, "Channels whose RMSE is written (default: the usual ones that are present)");
  table.check("end", [&c] {
    if (c.start.has_value() != c.end.has_value()) return std::string("start and end are given together or not at all");
    return c.start && *c.end <= *c.start ? std::string("must be later than start") : std::string();
  });
}

void describe(config::Table& table, CheckpointConfig& c) {
  table.key("every", c.every, "Optimiser steps between two checkpoints").range(1, 1e9);
  table.key("keep", c.keep, "The last this many checkpoints stay").range(1, 1e6);
  table
      .key("keep_every", c.keep_every, "Besides them, every checkpoint whose step is a multiple of this stays; 0: none")
      .range(0, 1e9);
}

void describe(config::Table& table, RolloutConfig& c) {
  table.key("steps", c.steps, "Optimiser steps of the rollout phase").range(1, 1e9);
  table.key("lead_steps", c.lead_steps, "Consecutive steps of the network in one rollout").range(2, 32);
  table.key("between", c.step_lengths, "Steps that are rolled out (default: the model's largest)");
  table.key("learning_rate", c.learning_rate, "Peak learning rate of the rollout phase").range(0, 1);
  table.key("warm_up", c.warm_up, "Steps of linear warm-up").range(0, 1e9);
  table.key("batch", c.batch, "Samples of one optimiser step; 0: as in the first phase").range(0, 65536);
}

void describe(config::Table& table, TrainConfig& c) {
  table.section("network", c.network, "The network");
  table.key("start", c.start, "First time trained on (default: the period of the archive's statistics)");
  table.key("end", c.end, "Last time trained on");
  table.section("validation", c.validation, "Validation while training");
  table.section("checkpoint", c.checkpoint, "Checkpoints");
  table.key("between", c.steps_between, "Step lengths d the model learns: x(t-d), x(t) -> x(t+d)").at_least(1);
  table.key("shares", c.step_shares, "How often each step length is drawn, relative to the others (default: equally)");
  table.key("target", c.target, "What the network predicts: the normalised tendency, or the normalised state")
      .one_of({"tendency", "state"});
  table.key("forcings", c.forcings, "Computed input fields");
  table.key("batch", c.batch, "Samples of one optimiser step").range(1, 65536);
  table.key("micro_batch", c.micro_batch, "Samples that pass the network together; must divide the batch")
      .range(1, 65536);
  table.key("steps", c.steps, "Optimiser steps of the first phase").range(1, 1e9);
  table
      .key("minutes", c.minutes,
           "Wall-clock budget of the first phase: the schedule follows steps or time, whichever "
           "runs out first. The result then depends on the machine's speed")
      .range(0.01, 1e6);
  table.key("learning_rate", c.learning_rate, "Peak learning rate").range(0, 1);
  table.key("final_learning_rate", c.final_learning_rate, "Learning rate at the end of the cosine").range(0, 1);
  table.key("warm_up", c.warm_up, "Steps of linear warm-up").range(0, 1e9);
  table.key("beta1", c.beta1, "AdamW: decay of the first moment").range(0, 0.99999);
  table.key("beta2", c.beta2, "AdamW: decay of the second moment").range(0, 0.999999);
  table.key("epsilon", c.epsilon, "AdamW: added to the root of the second moment").range(0, 1);
  table.key("weight_decay", c.weight_decay, "AdamW: decoupled weight decay").range(0, 10);
  table.key("clip", c.clip, "Largest norm of the gradient; 0: no clipping").range(0, 1e9);
  table.key("ema_decay", c.ema_decay, "Decay of the averaged weights, which the model file holds").range(0, 0.999999);
  table.key("loss", c.loss, "Squared or absolute error, in normalised space").one_of({"mse", "mae"});
  table.key("channel_weights", c.channel_weights, "Loss weights over the rules, as `z500=2.0`");
  table.key("input_noise", c.input_noise, "Standard deviation of noise added to the normalised input states")
      .range(0, 10);
  table.key("roll_longitude", c.roll_longitude, "Turn each example around the globe by a random number of columns");
  table.key("outlier", c.outlier, "z-score of loss or gradient norm from which a step is left out; 0: never")
      .range(0, 1e6);
  table.section("rollout", c.rollout, "Second phase: gradients through several consecutive steps");
  table.key("seed", c.seed, "Seed of initial weights, sampler and noise");
  table.key("reader_threads", c.reader_threads, "Threads that read ahead of the step").range(1, 1024);
  table.key("read_ahead", c.read_ahead, "Batches read ahead").range(1, 1024);
  table.key("cache", c.cache, "Bytes of fields kept in memory").range(0, 1e15);
  table.key("licence", c.licence, "Licence written into the model file");
  table.check("micro_batch", [&c] {
    const int rollout = c.rollout && c.rollout->batch ? c.rollout->batch : c.batch;
    return c.batch % c.micro_batch || rollout % c.micro_batch ? std::string("must divide the batch") : std::string();
  });
  table.check("shares", [&c] {
    if (c.step_shares.empty()) return std::string();
    if (c.step_shares.size() != c.steps_between.size()) return std::string("one number for each step of `between`");
    return *std::min_element(c.step_shares.begin(), c.step_shares.end()) < 1 ? std::string("numbers from 1 on")
                                                                             : std::string();
  });
  table.check("end", [&c] {
    return c.start && c.end && *c.end <= *c.start ? std::string("must be later than start") : std::string();
  });
  table.check("rollout", [&c] {
    if (!c.rollout) return std::string();
    for (const Duration step : c.rollout->step_lengths)
      if (std::find(c.steps_between.begin(), c.steps_between.end(), step) == c.steps_between.end())
        return "between: " + to_string(step) + " is no step of the model";
    return std::string();
  });
}

std::int64_t total_steps(const TrainConfig& config) {
  return config.steps + (config.rollout ? config.rollout->steps : 0);
}

}  // namespace zonda::model
