#include "model/training/cost_model.hpp"

#include <algorithm>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/training/exchange_levels.hpp"
#include "model/training/gradient_sum.hpp"
#include "model/training/pipeline_schedule.hpp"
#include "model/training/training_step.hpp"
#include "parallel/canonical.hpp"
#include "parallel/imagined.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

using parallel::Axis;

void describe(config::Table& table, Link& link) {
  table.key("bandwidth", link.bandwidth, "Bytes a second that a rank sends").range(1, 1e15).required();
  table.key("latency", link.latency, "Seconds a message takes besides").range(0, 1).required();
}

void describe(config::Table& table, System& system) {
  table.key("name", system.name, "Of the machine").required();
  table.key("source", system.source, "Where the numbers are from");
  table.key("ranks_per_node", system.ranks_per_node, "Ranks that share a node, a device each").range(1, 1024);
  table.key("memory", system.memory, "Bytes of a rank").range(1e6, 1e15).required();
  table.key("fp32", system.fp32, "Floating-point operations a second of a rank, over a whole training step in fp32")
      .range(1e6, 1e18)
      .required();
  table.key("bf16", system.bf16, "The same with the trunk in bf16").range(1e6, 1e18).required();
  table.section("within_node", system.within_node, "Between ranks of a node");
  table.section("between_nodes", system.between_nodes, "Between ranks of different nodes");
}

double StepCost::communication_seconds() const {
  double seconds = 0;
  for (const Exchange& exchange : exchanges) seconds += exchange.seconds;
  return seconds;
}

namespace {

class Costing {
 public:
  Costing(const NetworkConfig& config, const ForecastLayout& layout, const StepShape& step, const System& system,
          int stage)
      : step_(step),
        system_(system),
        slabs_(step.mesh[Axis::spatial]),
        heads_(step.mesh[Axis::tensor]),
        data_(step.mesh[Axis::data]),
        stages_(step.mesh[Axis::pipeline]),
        levels_(exchange_levels(step.mesh, system.ranks_per_node)),
        // A slab in the middle has two neighbours, and of shifted windows as many as any.
        network_(network_of_layout(config, layout, nullptr,
                                   {.slabs = parallel::imagined(slabs_ / 2, slabs_),
                                    .chunks = step.chunks > 0 ? step.chunks : slabs_,
                                    .heads = parallel::imagined(0, heads_),
                                    .stages = parallel::imagined(stage, stages_)})),
        shares_(network_.parameters(), network_.buckets(),
                TrainingRanks{.data = parallel::imagined(0, data_),
                              .slabs = parallel::imagined(0, slabs_),
                              .all = parallel::imagined(0, data_ * slabs_),
                              .heads = parallel::imagined(0, heads_),
                              .stages = parallel::imagined(stage, stages_)}),
        layout_(layout) {
    if (step.batch % step.micro_batch != 0 || (step.batch / step.micro_batch) % data_ != 0)
      fail(ErrorKind::usage, "batch {} in micro-batches of {} is not shared evenly by {} data ranks", step.batch,
           step.micro_batch, data_);
  }

  StepCost cost() {
    StepCost cost;
    cost.ranks = step_.mesh.ranks();
    cost.nodes = (cost.ranks + system_.ranks_per_node - 1) / system_.ranks_per_node;
    const int terms = step_.batch / step_.micro_batch / data_, passes = step_.steps;
    // Forward and backward; in a rollout all but the last forward pass again; blocks that are computed again.
    const double again = step_.recompute == "block" ? 1 : step_.recompute == "mlp" ? 2.0 / 3 : 0;
    cost.flops = step_.batch * network_.flops_per_sample() * ((3 + again) * passes + (passes - 1));
    const Slab& slab = network_.slab();
    const double share = static_cast<double>(slab.token_count()) /
                         static_cast<double>(slab.row_cuts().back() * slab.patches().token_columns);
    cost.rank_flops = cost.flops / data_ * share / heads_ * network_.flops_of_stage() / network_.flops_per_sample();
    cost.compute_seconds = cost.rank_flops / (network_.trunk() == DType::bf16 ? system_.bf16 : system_.fp32);

    // Rollouts go through the stages one micro-batch after another: one stage works at a time.
    const double waiting = passes > 1 ? stages_ - 1 : (stages_ - 1.0) / terms;
    cost.bubble_seconds = waiting * cost.compute_seconds;

    tokens_and_halos(cost, terms, passes);
    tokens_between_stages(cost, terms, passes);
    sums_over_heads(cost, terms, passes);
    gradients_over_slabs(cost, terms, passes);
    gradients_over_data(cost, terms, passes);
    values(cost, terms, passes);
    memory(cost, terms);
    return cost;
  }

 private:
  std::uint64_t parameter_bytes() const {
    std::uint64_t numbers = 0;
    for (const Bucket& bucket : network_.buckets())
      if (here(bucket)) numbers += static_cast<std::uint64_t>(bucket.count);
    return numbers * sizeof(float);
  }
  bool here(const Bucket& bucket) const { return bucket.stage == network_.stage(); }
  /// A group whose ranks lie `stride` apart shares a node if all of it fits.
  const Link& link(int ranks, int stride) const {
    return ranks * stride <= system_.ranks_per_node ? system_.within_node : system_.between_nodes;
  }
  void add(StepCost& cost, const std::string& what, Axis axis, std::uint64_t messages, std::uint64_t bytes) const {
    if (messages == 0) return;
    int stride = 1;
    for (const Axis inner : {Axis::tensor, Axis::spatial, Axis::pipeline, Axis::data}) {
      if (inner == axis) break;
      stride *= step_.mesh[inner];
    }
    const Link& used = link(step_.mesh[axis], stride);
    cost.exchanges.push_back(
        {what, std::string(name_of(axis)), messages, bytes,
         static_cast<double>(messages) * used.latency + static_cast<double>(bytes) / used.bandwidth});
  }

  void tokens_and_halos(StepCost& cost, int terms, int passes) const {
    const auto n = static_cast<std::uint64_t>(terms);
    const auto forward = network_.forward_traffic(step_.micro_batch);
    const auto forwards = n * static_cast<std::uint64_t>(2 * passes - 1);
    const auto last = network_.backward_traffic(step_.micro_batch, false),
               inner = network_.backward_traffic(step_.micro_batch, true);
    const auto inner_ones = n * static_cast<std::uint64_t>(passes - 1);
    add(cost, "tokens and halos", Axis::spatial,
        forward.messages * forwards + last.messages * n + inner.messages * inner_ones,
        forward.bytes * forwards + last.bytes * n + inner.bytes * inner_ones);
  }

  void tokens_between_stages(StepCost& cost, int terms, int passes) const {
    if (stages_ == 1) return;
    const bool to_all = passes > 1;
    RankTraffic sum;
    const auto count = [&](const RankTraffic& part, int times) {
      const auto n = static_cast<std::uint64_t>(times);
      sum += {n * part.messages, n * part.bytes};
    };
    count(network_.forward_stage_traffic(step_.micro_batch, to_all), terms * (2 * passes - 1));
    count(network_.backward_stage_traffic(step_.micro_batch, false), terms);
    count(network_.backward_stage_traffic(step_.micro_batch, true), terms * (passes - 1));
    add(cost, "tokens between stages", Axis::pipeline, sum.messages, sum.bytes);
  }

  void sums_over_heads(StepCost& cost, int terms, int passes) const {
    if (heads_ == 1) return;
    // Parts go to those who add them, sums to everybody: n (P - 1) / P twice.
    const auto p = static_cast<std::uint64_t>(heads_);
    const std::uint64_t sums = 2 * network_.layers_of_stage(),
                        runs = static_cast<std::uint64_t>(terms) * static_cast<std::uint64_t>(3 * passes - 1);
    const std::uint64_t numbers =
        static_cast<std::uint64_t>(step_.micro_batch) * static_cast<std::uint64_t>(network_.shared_head_sums());
    add(cost, "sums over heads", Axis::tensor, runs * sums * 2 * (p - 1),
        runs * 2 * numbers * (p - 1) / p * sizeof(float));
  }

  /// Shares are cut between the optimiser's pieces, so that one rank has more than another.
  std::uint64_t share_bytes(std::size_t bucket, int rank) const {
    return static_cast<std::uint64_t>(shares_.share(bucket, rank).count) * sizeof(float);
  }
  std::uint64_t slab_share_bytes(std::size_t bucket, int slab) const {
    std::uint64_t bytes = 0;
    for (int data = 0; data < data_; ++data) bytes += share_bytes(bucket, slab * data_ + data);
    return bytes;
  }
  template <class Of>
  std::uint64_t sum_over_buckets(Of&& bytes_of) const {
    std::uint64_t sum = 0;
    for (std::size_t b = 0; b < network_.buckets().size(); ++b)
      if (here(network_.buckets()[b])) sum += bytes_of(b);
    return sum;
  }
  std::uint64_t bytes_of_bucket(std::size_t b) const {
    return static_cast<std::uint64_t>(network_.buckets()[b].count) * sizeof(float);
  }
  std::uint64_t gradient_runs(int terms, int passes) const {
    return static_cast<std::uint64_t>(terms) * static_cast<std::uint64_t>(network_.slab().chunks() > 1 ? passes : 1);
  }
  std::uint64_t gradient_nodes(int terms) const {
    const auto all = static_cast<std::size_t>(step_.batch / step_.micro_batch);
    return parallel::tree_nodes(all, {0, static_cast<std::size_t>(terms)}).size();
  }
  /// Exchanges of a bucket's sum: columns go some at a time.
  std::uint64_t rounds_over_slabs(std::size_t bucket) const {
    std::uint64_t widest = 0;
    for (int slab = 0; slab < slabs_; ++slab) widest = std::max(widest, slab_share_bytes(bucket, slab));
    const auto slabs = static_cast<std::size_t>(slabs_);
    return parallel::canonical_rounds(slabs, slabs, widest / sizeof(float), sizeof(float));
  }
  std::uint64_t rounds_over_data(std::size_t bucket) const {
    std::uint64_t widest = 0;
    for (int rank = 0; rank < data_; ++rank) widest = std::max(widest, share_bytes(bucket, rank));
    return parallel::canonical_rounds(static_cast<std::size_t>(data_),
                                      static_cast<std::size_t>(step_.batch / step_.micro_batch), widest / sizeof(float),
                                      sizeof(float));
  }
  std::uint64_t bytes_over_slabs(int rank, int terms, int passes) const {
    return gradient_runs(terms, passes) * sum_over_buckets([&](std::size_t b) {
             return network_.buckets()[b].replicated ? 0 : bytes_of_bucket(b) - slab_share_bytes(b, rank / data_);
           });
  }
  std::uint64_t bytes_over_data(int rank, int terms) const {
    return gradient_nodes(terms) *
           sum_over_buckets([&](std::size_t b) { return slab_share_bytes(b, rank / data_) - share_bytes(b, rank); });
  }
  /// Gathers of a bucket in a step: at each use, but that the head stays from a forward pass to the backward one.
  std::uint64_t gathers(std::size_t bucket, int terms, int passes) const {
    if (step_.zero < 3) return 1;
    const bool stays = network_.buckets()[bucket].name == "head";
    return static_cast<std::uint64_t>(terms) * static_cast<std::uint64_t>(3 * passes - 1 - (stays ? passes : 0));
  }
  std::uint64_t bytes_of_values(int rank, int terms, int passes) const {
    const auto others = static_cast<std::uint64_t>(data_ * slabs_ - 1);
    return others * sum_over_buckets([&](std::size_t b) { return gathers(b, terms, passes) * share_bytes(b, rank); });
  }
  /// The rank that sends most gradients and weights, where all of them go from everybody to everybody.
  int busiest(int terms, int passes) const {
    int rank = 0;
    std::uint64_t most = 0;
    for (int r = 0; r < data_ * slabs_; ++r) {
      const std::uint64_t bytes =
          bytes_over_slabs(r, terms, passes) + bytes_over_data(r, terms) + bytes_of_values(r, terms, passes);
      if (bytes > most) {
        most = bytes;
        rank = r;
      }
    }
    return rank;
  }
  /// Whether nothing goes in levels.
  bool plain() const { return levels_.data.sizes.size() == 1 && data_ * slabs_ <= system_.ranks_per_node; }

  void gradients_over_slabs(StepCost& cost, int terms, int passes) const {
    if (slabs_ == 1) return;
    const auto p = static_cast<std::uint64_t>(slabs_);
    const std::uint64_t even =
        gradient_runs(terms, passes) *
        sum_over_buckets([&](std::size_t b) { return network_.buckets()[b].replicated ? 0 : bytes_of_bucket(b); }) *
        (p - 1) / p;
    const std::uint64_t exchanges =
        sum_over_buckets([&](std::size_t b) { return network_.buckets()[b].replicated ? 0 : rounds_over_slabs(b); });
    add(cost, "gradients over slabs", Axis::spatial, gradient_runs(terms, passes) * exchanges * (p - 1),
        plain() ? bytes_over_slabs(busiest(terms, passes), terms, passes) : even);
  }

  void gradients_over_data(StepCost& cost, int terms, int passes) const {
    if (data_ == 1) return;
    parallel::LevelTraffic traffic = parallel::sum_traffic(
        levels_.data, gradient_nodes(terms) * parameter_bytes() / static_cast<std::uint64_t>(slabs_));
    if (plain()) traffic.bytes[0] = bytes_over_data(busiest(terms, passes), terms);
    add_levels(cost, "gradients over data", sum_over_buckets([&](std::size_t b) { return rounds_over_data(b); }),
               levels_.data, traffic);
  }

  /// An exchange in levels: each over the link between the ranks of its groups.
  void add_levels(StepCost& cost, const std::string& what, std::uint64_t exchanges, const parallel::Levels& levels,
                  const parallel::LevelTraffic& traffic) const {
    Exchange exchange{what, std::string(name_of(Axis::data)), 0, 0, 0};
    const int between = step_.mesh[Axis::tensor] * slabs_ * step_.mesh[Axis::pipeline];
    for (std::size_t level = 0; level < levels.sizes.size(); ++level) {
      // Slabs, the last of all levels, are nearer to each other than data ranks.
      const bool of_slabs = slabs_ > 1 && level + 1 == levels.sizes.size() && levels.ranks() > data_;
      const int stride = of_slabs ? step_.mesh[Axis::tensor] : levels.stride(level) * between;
      const Link& used = link(levels.sizes[level], stride);
      const std::uint64_t messages = exchanges * static_cast<std::uint64_t>(levels.sizes[level] - 1),
                          bytes = traffic.bytes[level];
      exchange.messages += messages;
      exchange.bytes += bytes;
      exchange.seconds += static_cast<double>(messages) * used.latency + static_cast<double>(bytes) / used.bandwidth;
    }
    cost.exchanges.push_back(exchange);
  }

  /// Weights from those who updated them: once a step, or before every use.
  void values(StepCost& cost, int terms, int passes) const {
    const auto replicas = static_cast<std::uint64_t>(data_ * slabs_);
    if (replicas == 1) return;
    std::uint64_t exchanges = 0;
    const std::uint64_t bytes = sum_over_buckets([&](std::size_t b) {
      exchanges += gathers(b, terms, passes);
      return gathers(b, terms, passes) * bytes_of_bucket(b);
    });
    if (data_ == 1) {
      add(cost, "weights", Axis::spatial, exchanges * (replicas - 1),
          plain() ? bytes_of_values(busiest(terms, passes), terms, passes) : bytes / replicas * (replicas - 1));
      return;
    }
    const parallel::Levels levels = plain() ? parallel::Levels{.sizes = {data_ * slabs_}} : levels_.all;
    parallel::LevelTraffic traffic = parallel::gather_traffic(levels, bytes);
    if (plain()) traffic.bytes[0] = bytes_of_values(busiest(terms, passes), terms, passes);
    add_levels(cost, "weights", exchanges, levels, traffic);
  }

  void memory(StepCost& cost, int terms) {
    const RecomputePolicy policy{step_.recompute == "block" ? network_.shape().layers() : 0,
                                 step_.recompute == "mlp" ? network_.shape().layers() : 0};
    const MemoryPlan plan = network_.memory_with(policy, step_.micro_batch, Use::training, true);
    const auto replicas = static_cast<std::size_t>(data_ * slabs_);
    std::size_t largest = 0;
    for (const Bucket& bucket : network_.buckets())
      if (here(bucket)) largest = std::max(largest, static_cast<std::size_t>(bucket.count) * sizeof(float));
    const auto cut = [&](std::size_t bytes, int from, std::size_t there) {
      return step_.zero >= from && replicas > 1 ? bytes / replicas + there : bytes;
    };
    const std::size_t copy = plan.copies > 0 ? largest / 2 : 0;
    cost.parameter_bytes =
        cut(plan.parameters, 3, 2 * largest) + cut(plan.copies, 3, 2 * copy) + cut(plan.gradients, 2, largest) +
        (plan.moments + plan.average) / replicas +
        gradient_sum_bytes(static_cast<std::size_t>(terms), plan.gradients / static_cast<std::size_t>(slabs_));
    const Unrolling unrolling{step_.steps, true, false};
    // Micro-batches on their way at once.
    const std::size_t lanes =
        step_.steps > 1 ? 1
                        : in_flight(static_cast<std::size_t>(stages_), static_cast<std::size_t>(network_.stage()),
                                    static_cast<std::size_t>(terms));
    cost.activation_bytes =
        lanes * plan.activations + plan.tables +
        lanes * training_tensor_bytes(layout_, static_cast<std::size_t>(step_.micro_batch), unrolling, false) /
            static_cast<std::size_t>(slabs_);
  }

  const StepShape& step_;
  const System& system_;
  const int slabs_, heads_, data_, stages_;
  const ExchangeLevels levels_;
  ForecastNetwork network_;
  const ParameterShares shares_;
  const ForecastLayout& layout_;
};

}  // namespace

StepCost cost_of_step(const NetworkConfig& network, const ForecastLayout& layout, const StepShape& step,
                      const System& system) {
  // The slowest stage's time, and the most memory of any.
  StepCost slowest;
  std::size_t most = 0;
  for (int stage = 0; stage < step.mesh[Axis::pipeline]; ++stage) {
    StepCost cost = Costing(network, layout, step, system, stage).cost();
    const bool fuller = cost.memory_bytes() > most;
    most = std::max(most, cost.memory_bytes());
    const std::size_t parameters = fuller ? cost.parameter_bytes : slowest.parameter_bytes,
                      activations = fuller ? cost.activation_bytes : slowest.activation_bytes;
    if (stage == 0 || cost.seconds() > slowest.seconds()) slowest = std::move(cost);
    slowest.parameter_bytes = parameters;
    slowest.activation_bytes = activations;
  }
  return slowest;
}

}  // namespace zonda::model
