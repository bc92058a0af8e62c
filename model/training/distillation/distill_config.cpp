#include "model/training/distillation/distill_config.hpp"

#include "core/config/table.hpp"
#include "core/error.hpp"

namespace zonda::model {

void describe(config::Table& table, RegionConfig& c) {
  table.key("north", c.north, "Degrees north").range(-90, 90);
  table.key("south", c.south, "Degrees north").range(-90, 90);
  table.key("west", c.west, "Degrees east").range(0, 360);
  table.key("east", c.east, "Degrees east; below west the region crosses the prime meridian").range(0, 360);
  table.key("projection", c.projection,
            "A grid of its own in the plane of a projection instead, as PROJ writes it: +proj=lcc +lat_1=35 +lat_2=65 "
            "+lat_0=50 +lon_0=10; also stere, merc, tmerc; a rotated pole: +proj=ob_tran +o_proj=eqc +o_lat_p=39.25 "
            "+lon_0=18");
  table.key("spacing", c.spacing, "Metres between the cells of a projected grid").range(1, 1e6);
  table.key("width", c.width, "Metres from west to east, rounded down to whole patches").range(1, 4e7);
  table.key("height", c.height, "Metres from south to north").range(1, 4e7);
  table.key("centre_x", c.centre_x, "The grid's middle in the plane, m").range(-4e7, 4e7);
  table.key("centre_y", c.centre_y, "The same, northward").range(-4e7, 4e7);
  table.check("projection", [&c] {
    try {
      if (c.projection) MapProjection::parse(*c.projection);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  });
  table.check("south", [&c] { return c.south < c.north ? std::string() : std::string("must be south of north"); });
}

void describe(config::Table& table, StudentConfig& c) {
  table.key("every", c.every, "Block i of the student begins as block i * every of the teacher").range(1, 1000);
  table.key("width", c.width, "Numbers a token holds: whole heads of the teacher's (default: the teacher's)")
      .range(4, 16384);
  table.key("from", c.from,
            "Model folder of a student of these sizes, perhaps of another region, to go on from (default: the "
            "teacher's weights)");
  table.section("adapters", c.adapters,
                "Only adapters of low rank beside the blocks' matrices learn; all else stays as it is in `from`");
  table.check("adapters", [&c] {
    return c.adapters && !c.from ? std::string("needs from: what the adapters are of") : std::string();
  });
}

void describe(config::Table& table, StudentAdapters& c) {
  table.key("rank", c.rank, "Rank of each matrix's adapter").range(1, 256);
  table.key("edges", c.edges, "Lead times (days) at which another set of adapters begins");
}

void describe(config::Table& table, DistillLosses& c) {
  table.key("truth", c.truth, "Weight of the squared error against the archive").range(0, 1e6);
  table.key("teacher", c.teacher, "Weight of the squared error against the teacher").range(0, 1e6);
  table.key("features", c.features, "Weight of the error of the blocks' tokens, through a linear map").range(0, 1e6);
  table.key("spectral", c.spectral, "Weight of the error of the power spectrum").range(0, 1e6);
  table.key("spectral_weights", c.spectral_weights, "Of channels within that error, over 1, as `q200=3`");
}

void describe(config::Table& table, LevelConfig& c) {
  table.key("tokens", c.tokens, "Share of the tokens that its blocks see").range(0.25, 1).required();
  table.key("first_block", c.first_block, "First block that sees fewer tokens").range(0, 1000);
  table.key("last_block", c.last_block, "First block behind them (default: none)").range(1, 1000);
}

void describe(config::Table& table, DistillRolloutConfig& c) {
  table.key("steps", c.steps, "Optimiser steps of the rollout phase").range(1, 1e9);
  table.key("lead_steps", c.lead_steps, "Consecutive steps of the network in one rollout").range(2, 32);
  table.key("learning_rate", c.learning_rate, "Peak learning rate of the rollout phase").range(0, 1);
  table.key("warm_up", c.warm_up, "Steps of linear warm-up").range(0, 1e9);
  table.key("starts", c.starts, "Initial times of the teacher's rollouts, spread evenly; 0: all").range(0, 1e9);
}

void describe(config::Table& table, AcceptanceConfig& c) {
  table.key("start", c.start, "First time of the judged period (default: the last tenth of the period)");
  table.key("end", c.end, "Last time of the judged period");
  table.key("samples", c.samples, "Initial times, spread evenly").range(1, 1e6);
  table.key("lead", c.lead, "Lead time of the rollout that is judged, a multiple of the smallest step");
  table
      .key("one_step_percent", c.one_step_percent,
           "Most that the student's RMSE after one step may exceed the teacher's, in % of the standard deviation")
      .range(0, 1e3);
  table.key("lead_percent", c.lead_percent, "The same at the lead").range(0, 1e3);
  table
      .key("level_percent", c.level_percent,
           "Most that a token level's RMSE at the lead may exceed that of all tokens, in % of the standard deviation")
      .range(0, 1e3);
  table
      .key("spectrum_low", c.spectrum_low,
           "Least power over the archive's in each band of waves longer than four cells")
      .range(0, 1);
  table.key("spectrum_high", c.spectrum_high, "Most of it").range(1, 1e3);
  table.check("end", [&c] {
    if (c.start.has_value() != c.end.has_value()) return std::string("start and end are given together or not at all");
    return c.start && *c.end <= *c.start ? std::string("must be later than start") : std::string();
  });
}

void describe(config::Table& table, Int8Config& c) {
  table
      .key("percent", c.percent,
           "Most that int8 may add to a variable's RMSE, in % of its standard deviation; matrices that cost more stay "
           "as they are")
      .range(0, 100);
  table.key("samples", c.samples, "Initial times for calibration").range(1, 1e6);
}

void describe(config::Table& table, DistillConfig& c) {
  table.key("teacher", c.teacher, "Model folder of the global teacher (default: the run's own model)");
  table.key("archive", c.archive, "Archive to learn from (default: the run's own)");
  table.section("region", c.region, "What the student is of: the teacher's whole patches within it");
  table.key("ring", c.ring, "Cells at the edge in which the state is relaxed to the host's").range(1, 64);
  table.section("student", c.student, "Sizes of the student");
  table.key("between", c.steps_between, "Step lengths of the teacher that the student learns").at_least(1);
  table
      .key("boundary", c.boundary,
           "Whose state forces the student in training: the teacher's, the archive's, or either")
      .one_of({"teacher", "truth", "mixed"});
  table.section("losses", c.losses, "Terms of the loss, on the interior");
  table.key("channel_weights", c.channel_weights, "Weights of the squared errors over the rules, as `z500=2.0`");
  table.list("levels", c.levels,
             "Token levels that are learnt beside all tokens: in every step one, drawn at random, on the same samples");
  table.key("level_weight", c.level_weight, "Weight of the level's loss").range(0, 1e6);
  table.key("start", c.start, "First time learnt from (default: the period of the archive's statistics)");
  table.key("end", c.end, "Last time learnt from");
  table.key("starts", c.starts, "Initial times of the first phase, spread evenly; 0: all").range(0, 1e9);
  table.key("batch", c.batch, "Samples of one optimiser step").range(1, 65536);
  table.key("steps", c.steps, "Optimiser steps of the first phase, of single steps").range(1, 1e9);
  table.key("learning_rate", c.learning_rate, "Peak learning rate").range(0, 1);
  table.key("final_learning_rate", c.final_learning_rate, "Learning rate at the end of the cosine").range(0, 1);
  table.key("warm_up", c.warm_up, "Steps of linear warm-up").range(0, 1e9);
  table.key("weight_decay", c.weight_decay, "AdamW: decoupled weight decay").range(0, 10);
  table.key("clip", c.clip, "Largest norm of the gradient; 0: no clipping").range(0, 1e9);
  table.key("ema_decay", c.ema_decay, "Decay of the averaged weights, which the model file holds").range(0, 0.999999);
  table.section("rollout", c.rollout, "Second phase: gradients through several consecutive steps");
  table.section("checkpoint", c.checkpoint, "Checkpoints");
  table.section("acceptance", c.acceptance, "What the student is judged by");
  table.section("int8", c.int8, "Quantisation to int8, with a gate for each variable");
  table.key("cache", c.cache, "Bytes of the teacher's runs kept in memory").range(0, 1e13);
  table.key("seed", c.seed, "Of random numbers");
  table.key("licence", c.licence, "Licence of the student, an SPDX identifier");
}

}  // namespace zonda::model
