#include "app/network_plan.hpp"

#include <fmt/format.h>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "ingest/pipeline/channel_presets.hpp"
#include "ingest/pipeline/ingest_config.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/network/device_plan.hpp"
#include "model/training/cost_model.hpp"
#include "parallel/layout/mesh.hpp"

namespace zonda::app {

namespace {

constexpr double gibibyte = 1024.0 * 1024.0 * 1024.0;

std::string gibibytes(std::size_t bytes) {
  return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / gibibyte);
}

model::ForecastLayout layout_of(const NetworkPlanSection& section) {
  ingest::IngestConfig fields;
  fields.preset = section.preset;
  fields.variables = section.variables;
  fields.levels = section.levels;
  fields.channels = section.channels;
  fields.statics = section.statics;
  return {.grid = Grid::parse(section.grid),
          .channels = ingest::configured_channels(fields),
          .static_channels = ingest::configured_statics(fields),
          .static_fields = {},
          .forcings = section.forcings,
          .steps = {},
          .target = model::Target::tendency,
          .normalisation = {},
          .trained_lead = Duration{0}};
}

}  // namespace

void describe(config::Table& table, NetworkPlanSection& s) {
  table.section("network", s.network, "The network");
  table.key("grid", s.grid, "Its grid, such as `latlon 721x1440`").required();
  table.key("preset", s.preset, "Channel list of a published model: fengwu (69 channels), fengwu-ghr (74), or empty")
      .one_of({"", "fengwu", "fengwu-ghr"});
  table.key("variables", s.variables, "Variables by short name; those on pressure levels on each of `levels`");
  table.key("levels", s.levels, "Pressure levels in hPa");
  table.key("channels", s.channels, "Single channels: `z500`, `2t`");
  table.key("statics", s.statics, "Fields that do not depend on time");
  table.key("forcings", s.forcings, "Computed input fields");
  table.key("batch", s.batch, "Samples that pass the network together").range(1, 65536);
  table.key("device_memory", s.device_memory, "Bytes of a device").range(1e6, 1e15);
}

NetworkPlanText plan_network(const NetworkPlanSection& section) {
  const model::ForecastLayout layout = layout_of(section);
  const model::ForecastNetwork network = model::network_of_layout(section.network, layout);
  const model::NetworkShape& shape = network.shape();
  NetworkPlanText plan;
  plan.record = {
      {"preset", section.network.preset},           {"grid", layout.grid.to_string()},
      {"input_channels", network.input_channels()}, {"output_channels", network.output_channels()},
      {"precision", section.network.precision},     {"batch", section.batch},
      {"parameters", network.parameter_count()},    {"forward_flops_per_sample", network.flops_per_sample()}};
  plan.text = fmt::format(
      "network {} on {}: {} input and {} output channels, width {}, {} blocks, {} heads, lift {}\n"
      "  {:.1f} M parameters; forward {:.4g} TFLOP a sample, training 3 times that (4 where blocks are computed "
      "again)\n"
      "  training in {}, {} samples at a time:\n",
      section.network.preset, layout.grid.to_string(), network.input_channels(), network.output_channels(), shape.width,
      shape.layers(), shape.heads, shape.lift, static_cast<double>(network.parameter_count()) / 1e6,
      network.flops_per_sample() / 1e12, section.network.precision, section.batch);
  for (const char* recompute : {"none", "mlp", "block"}) {
    const model::DevicePlan devices =
        model::plan_devices(network, recompute, section.batch, static_cast<std::size_t>(section.device_memory));
    const model::MemoryPlan& m = devices.memory;
    plan.record["training"][recompute] = {{"parameter_bytes", m.parameters}, {"copy_bytes", m.copies},
                                          {"gradient_bytes", m.gradients},   {"moment_bytes", m.moments},
                                          {"average_bytes", m.average},      {"activation_bytes", m.activations},
                                          {"table_bytes", m.tables},         {"field_bytes", devices.fields},
                                          {"total_bytes", devices.divided},  {"gathered_bytes", devices.whole}};
    auto& record = plan.record["training"][recompute];
    plan.text += fmt::format(
        "    recompute {:5}: {} = weights {} + copies {} + gradients {} + moments {} + average {} + activations {} + "
        "tables {} + fields {}\n",
        recompute, gibibytes(devices.divided), gibibytes(m.parameters), gibibytes(m.copies), gibibytes(m.gradients),
        gibibytes(m.moments), gibibytes(m.average), gibibytes(m.activations), gibibytes(m.tables),
        gibibytes(devices.fields));
    if (devices.devices) {
      const std::size_t each = devices.per_device(*devices.devices);
      record["devices"] = *devices.devices;
      record["bytes_per_device"] = each;
      plan.text += fmt::format(
          "      fits on {} device{} of {:.0f} GB, {} each = {} / {} + {} gathered <= {:.0f} % of a device\n",
          *devices.devices, *devices.devices == 1 ? "" : "s", section.device_memory / 1e9, gibibytes(each),
          gibibytes(devices.divided), *devices.devices, gibibytes(devices.whole), 100 * model::device_share);
    } else {
      plan.text += fmt::format("      fits on no number of devices of {:.0f} GB: {} are gathered on each\n",
                               section.device_memory / 1e9, gibibytes(devices.whole));
    }
  }
  plan.text +=
      "  n devices share all of it evenly, parameters by ranges (ZeRO 3), activations and fields by bands of the "
      "grid;\n"
      "  gathered on each: the largest unit of parameters twice in the products' type, its gradient once. Halos and "
      "the\n"
      "  libraries' memory are in the share of a device that is left free. Activations are those of the CPU backend.\n";
  return plan;
}

NetworkPlanText plan_step(const NetworkPlanSection& section, const StepPlanWords& words) {
  model::System system;
  config::read(config::read_yaml(words.system), system);
  model::StepShape step{.mesh = parallel::parse_mesh(words.mesh, words.ranks),
                        .batch = 0,
                        .micro_batch = section.batch,
                        .steps = 1,
                        .zero = words.zero,
                        .chunks = 0,
                        .recompute = words.recompute};
  step.batch = words.batch > 0 ? words.batch : section.batch * step.mesh[parallel::Axis::data];
  const model::StepCost cost = model::cost_of_step(section.network, layout_of(section), step, system);
  NetworkPlanText plan;
  plan.record = {{"system", system.name},
                 {"ranks", cost.ranks},
                 {"nodes", cost.nodes},
                 {"mesh", parallel::to_string(step.mesh)},
                 {"batch", step.batch},
                 {"micro_batch", step.micro_batch},
                 {"zero", step.zero},
                 {"recompute", step.recompute},
                 {"flops_per_step", cost.flops},
                 {"compute_seconds", cost.compute_seconds},
                 {"bubble_seconds", cost.bubble_seconds},
                 {"communication_seconds", cost.communication_seconds()},
                 {"step_seconds", cost.seconds()},
                 {"parameter_bytes_per_rank", cost.parameter_bytes},
                 {"activation_bytes_per_rank", cost.activation_bytes},
                 {"memory_bytes_per_rank", cost.memory_bytes()},
                 {"fits", static_cast<double>(cost.memory_bytes()) <= model::device_share * system.memory},
                 {"exchanges", nlohmann::ordered_json::array()}};
  plan.text = fmt::format(
      "a step of training on {} ranks ({}) of {}, {} node{}: batch {}, {} at a time, ZeRO {}, recompute {}\n"
      "  work      {:.4g} TFLOP, {:.4g} of them on the busiest rank: {:.4g} s\n",
      cost.ranks, parallel::to_string(step.mesh), system.name, cost.nodes, cost.nodes == 1 ? "" : "s", step.batch,
      step.micro_batch, step.zero, step.recompute, cost.flops / 1e12, cost.rank_flops / 1e12, cost.compute_seconds);
  if (cost.bubble_seconds > 0)
    plan.text += fmt::format("  bubble    {:.4g} s, {:.1f} % of work and bubble\n", cost.bubble_seconds,
                             100 * cost.bubble_seconds / (cost.bubble_seconds + cost.compute_seconds));
  for (const model::Exchange& exchange : cost.exchanges) {
    plan.record["exchanges"].push_back({{"what", exchange.what},
                                        {"axis", exchange.axis},
                                        {"messages", exchange.messages},
                                        {"bytes", exchange.bytes},
                                        {"seconds", exchange.seconds}});
    plan.text += fmt::format("  {:20}  {:8}  {:7} messages  {:10.4g} MB  {:.4g} s\n", exchange.what, exchange.axis,
                             exchange.messages, static_cast<double>(exchange.bytes) / 1e6, exchange.seconds);
  }
  const double share = static_cast<double>(cost.memory_bytes()) / system.memory;
  plan.text += fmt::format(
      "  step      {:.4g} s, {:.1f} % of it communication, none of which is taken to overlap\n"
      "  memory    {} a rank = parameters {} + activations and fields {}: {:.0f} % of {:.0f} GB{}\n",
      cost.seconds(), 100 * cost.communication_seconds() / cost.seconds(), gibibytes(cost.memory_bytes()),
      gibibytes(cost.parameter_bytes), gibibytes(cost.activation_bytes), 100 * share, system.memory / 1e9,
      share <= model::device_share ? "" : "; too much");
  return plan;
}

}  // namespace zonda::app
