#include "model/training/train_config.hpp"

#include <algorithm>
#include <bit>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/grid.hpp"
#include "model/network/slab.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "parallel/layout/mesh.hpp"

namespace zonda::model {

void describe(config::Table& table, ValidationConfig& c) {
  table.key("start", c.start, "First time of the validation period (default: the training period's last part)");
  table.key("end", c.end, "Last time of the validation period");
  table.key("fraction", c.fraction, "Share of the training period kept back where no validation period is given")
      .range(0, 0.9);
  table.key("every", c.every, "Optimiser steps between two validations; 0: only at the end").range(0, 1e9);
  table.key("samples", c.samples, "Initial times, spread evenly over the period").range(1, 1e6);
  table.key("lead", c.lead, "Lead time of the RMSE");
  table.key("curve", c.curve, "Lead times of the RMSE at the end of each phase");
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
  table.key("weights", c.weights, "Of the steps' losses: equal, or falling as 1/k").one_of({"equal", "falling"});
  table.key("batch", c.batch, "Samples of one optimiser step; 0: as in the first phase").range(0, 65536);
}

void describe(config::Table& table, ReplayConfig& c) {
  table.key("steps", c.steps, "Optimiser steps of the replay phase").range(1, 1e9);
  table.key("lead_steps", c.lead_steps, "Predictions go on to be inputs until so many steps led to them")
      .range(2, 1000);
  table.key("entries", c.entries, "Predicted states kept, of each sample of the batch").range(1, 1000);
  table.key("share", c.share, "Share of samples that begin at a predicted state").range(0, 1);
  table.key("between", c.step_lengths, "Steps that are trained on (default: all of the model's)");
  table.key("learning_rate", c.learning_rate, "Peak learning rate of the replay phase").range(0, 1);
  table.key("warm_up", c.warm_up, "Steps of linear warm-up").range(0, 1e9);
  table.key("batch", c.batch, "Samples of one optimiser step; 0: as in the first phase").range(0, 65536);
}

void describe(config::Table& table, AdaptersConfig& c) {
  table.key("steps", c.steps, "Optimiser steps of the adapter phase").range(1, 1e9);
  table.key("lead_steps", c.lead_steps, "Steps at whose leads is trained: 0 up to one less than this").range(1, 1000);
  table.key("between", c.step_lengths, "Steps that are rolled out (default: the model's largest)");
  table.key("learning_rate", c.learning_rate, "Peak learning rate of the adapter phase").range(0, 1);
  table.key("warm_up", c.warm_up, "Steps of linear warm-up").range(0, 1e9);
  table.key("batch", c.batch, "Samples of one optimiser step; 0: as in the first phase").range(0, 65536);
}

void describe(config::Table& table, TrainConfig& c) {
  table.section("network", c.network, "The network");
  table.key("start_from", c.start_from,
            "Model folder whose weights and normalisation training begins with; a lifted network begins with a coarse "
            "one's (default: random weights)");
  table
      .key("freeze", c.freeze,
           "`lifted`: the blocks and the conditioning that a lifted network has of the coarse one stay as they are")
      .one_of({"none", "lifted"});
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
  table
      .key("micro_batch", c.micro_batch,
           "Samples that pass the network together; their gradients are accumulated to the batch's, which it must "
           "divide")
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
  table
      .key("loss", c.loss,
           "Squared or absolute error, or the fair CRPS of an ensemble of `members`, in normalised space")
      .one_of({"mse", "mae", "crps"});
  table.key("members", c.members, "Members of the ensemble that passes the network for each sample; needs `crps`")
      .range(1, 64);
  table.key("channel_weights", c.channel_weights, "Loss weights over the rules, as `z500=2.0`");
  table.key("input_noise", c.input_noise, "Standard deviation of noise added to the normalised input states")
      .range(0, 10);
  table.key("roll_longitude", c.roll_longitude, "Turn each example around the globe by a random number of columns");
  table.key("outlier", c.outlier, "z-score of loss or gradient norm from which a step is left out; 0: never")
      .range(0, 1e6);
  table.section("rollout", c.rollout, "Second phase: gradients through several consecutive steps");
  table.section("replay", c.replay, "Next phase: single steps from a buffer of the model's own predictions");
  table.section("adapters", c.adapters,
                "Last phase: only the adapters of network.lora learn, at all leads of a rollout");
  table.key("device", c.device, "Where the network is trained; auto: a GPU where there is one")
      .one_of({"auto", "cpu", "cuda"});
  table.key("memory", c.memory, "Bytes a rank may use: what is computed again follows from it (default: the machine's)")
      .range(0, 1e15);
  table.key("mesh", c.mesh,
            "Ranks along the axes `data` (other samples of the batch), `pipeline` (other blocks, on the host alone), "
            "`spatial` "
            "(slabs of latitude, a power of two) and `tensor` (other heads and hidden columns), as data=2,spatial=4 "
            "(default: "
            "all on data). Changes no result, but that sums over heads round differently");
  table
      .key("ranks_per_node", c.ranks_per_node,
           "Ranks that share a node: where they are many, gradients and weights go within nodes first and between them "
           "after. Changes no result; 0: as they are found")
      .range(0, 1024);
  table
      .key(
          "zero", c.zero,
          "What is cut over the ranks instead of being held by all: 1 the optimiser's moments and average, 2 gradients "
          "as well, 3 weights as well. Changes no result; a device holds all")
      .range(1, 3);
  table
      .key("chunks", c.chunks,
           "Chunks of latitude whose sums are added over one tree, so that up to as many slabs give the same result: a "
           "power of two; 0: as many as keep products fast. Results depend on it")
      .range(0, 4096);
  table
      .key("reduction", c.reduction,
           "Sums over ranks: `canonical` gives the same bits on any ranks, `fast` is in the library's order")
      .one_of({"canonical", "fast"});
  table.key("trace", c.trace, "Write every collective of each rank with its time (trace/rank-N.json, for Perfetto)");
  table
      .key("replay_check", c.replay_check,
           "Every so many steps the gradient is computed twice and compared, to find memory that errs; 0: never")
      .range(0, 1e9);
  table.key("seed", c.seed, "Seed of initial weights, sampler and noise");
  table.key("reader_threads", c.reader_threads, "Threads that read ahead of the step").range(1, 1024);
  table.key("read_ahead", c.read_ahead, "Batches read ahead").range(1, 1024);
  table.key("cache", c.cache, "Bytes of fields kept in memory").range(0, 1e15);
  table.key("licence", c.licence, "Licence written into the model file");
  table.check("freeze", [&c]() -> std::string {
    if (c.freeze == "none") return "";
    try {
      return resolve(c.network).lift > 1 ? "" : "`lifted` needs network.lift";
    } catch (const Error&) {
      return "";  // the network's own check says it
    }
  });
  table.check("mesh", [&c]() -> std::string {
    try {
      const parallel::MeshShape shape = parallel::parse_mesh(c.mesh);
      if (shape[parallel::Axis::pipeline] > 1 && c.device == "cuda")
        return "pipeline: on the host alone, `device: cpu`";
      if (!std::has_single_bit(static_cast<unsigned>(shape[parallel::Axis::spatial]))) return "spatial: a power of two";
      if (c.chunks > 0 && c.chunks < shape[parallel::Axis::spatial])
        return "spatial: at most as many ranks as train.chunks";
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  });
  table.check("chunks", [&c] {
    return c.chunks > 0 && !std::has_single_bit(static_cast<unsigned>(c.chunks)) ? std::string("a power of two")
                                                                                 : std::string();
  });
  table.check("micro_batch", [&c] {
    for (const int batch : {c.batch, c.rollout ? c.rollout->batch : 0, c.replay ? c.replay->batch : 0,
                            c.adapters ? c.adapters->batch : 0})
      if (batch % c.micro_batch) return std::string("must divide the batch");
    return std::string();
  });
  table.check("members", [&c] {
    if ((c.loss == "crps") != (c.members > 1)) return std::string("from 2 on where the loss is crps, else 1");
    return c.members > 1 && c.network.noise == 0 ? std::string("need network.noise, which tells them apart")
                                                 : std::string();
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
  const auto known = [&c](const std::vector<Duration>& lengths) {
    for (const Duration step : lengths)
      if (std::find(c.steps_between.begin(), c.steps_between.end(), step) == c.steps_between.end())
        return "between: " + to_string(step) + " is no step of the model";
    return std::string();
  };
  table.check("rollout", [&c, known] { return c.rollout ? known(c.rollout->step_lengths) : std::string(); });
  table.check("replay", [&c, known] { return c.replay ? known(c.replay->step_lengths) : std::string(); });
  table.check("adapters", [&c, known] {
    if (!c.adapters) return std::string();
    if (!c.network.lora) return std::string("needs network.lora");
    return known(c.adapters->step_lengths);
  });
}

std::int64_t total_steps(const TrainConfig& config) {
  return config.steps + (config.rollout ? config.rollout->steps : 0) + (config.replay ? config.replay->steps : 0) +
         (config.adapters ? config.adapters->steps : 0);
}

int training_chunks(const TrainConfig& config, const Grid& grid) {
  if (config.chunks > 0) return config.chunks;
  const NetworkShape shape = resolve(config.network);
  return chunks_for(TokenGrid(grid, shape.patch), shape.windows.front().rows);
}

std::string chosen_backend(const TrainConfig& config) {
  if (config.device != "auto") return config.device;
  const bool on_host = config.members > 1 || parallel::parse_mesh(config.mesh)[parallel::Axis::pipeline] > 1;
  return !on_host && !cuda_devices().empty() ? "cuda" : "cpu";
}

}  // namespace zonda::model
