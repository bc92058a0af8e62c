// When the values that others updated travel: beside what does not need them, and in time for what does.
#include "model/training/sharded_parameters.hpp"
#include "model/training/training_mesh.hpp"
#include "tests/parallel/diary.hpp"

namespace zonda::model {
namespace {

constexpr int inputs = 6, outputs = 2, conditions = 3, blocks = 3;

struct Stepping {
  Stepping(const parallel::Communicator& threads, int zero)
      : diary(std::make_shared<parallel::Diary>()),
        world(parallel::in_diary(threads, diary)),
        mesh(world, parallel::parse_mesh("data=2")),
        ranks(training_ranks(mesh)),
        network(small_network()),
        parameters(network, ranks, zero, false),
        sum(network.parameters(), parameters.shares(), 2, parameters.sum_options(1, 2)) {
    parameters.initialise(1);
    parameters.allocate(false);
    network.plan(1, Use::training);
    network.observe_work([this](const std::string& layer, const char* what, bool begins) {
      diary->write(fmt::format("{} of {} {}", what, layer, begins ? "begins" : "ends"));
    });
    parameters.collect(&sum);
  }
  static ForecastNetwork small_network() {
    NetworkConfig config;
    config.preset = "tiny";
    config.width = 16;
    config.heads = 2;
    config.blocks = blocks;
    return ForecastNetwork(config, Grid::latlon(8, 16, false), inputs, outputs, conditions, DType::f32,
                           make_backend("cpu", 1));
  }
  void forward() {
    network.forward(Tensor::of(x, {1, inputs, 8, 16}), Tensor::of(condition, {1, conditions}),
                    Tensor::of(y, {1, outputs, 8, 16}));
  }
  void backward() {
    parameters.collect(&sum);
    Arena arena;
    Context ctx(network.backend(), arena, DType::f32);
    sum.begin_term(ctx);
    network.backward(Tensor::of(y, {1, outputs, 8, 16}), {});
    sum.end_term(ctx);
    sum.finish(ctx);
  }
  parallel::DiaryReading gathers() const { return {diary->lines(), "all_gather"}; }

  std::shared_ptr<parallel::Diary> diary;
  parallel::Communicator world;
  parallel::Mesh mesh;
  TrainingRanks ranks;
  ForecastNetwork network;
  ShardedParameters parameters;
  GradientSum sum;
  std::vector<float> x = std::vector<float>(inputs * 8 * 16, 0.5F), y = std::vector<float>(outputs * 8 * 16),
                     condition = std::vector<float>(conditions, 0.1F);
};

TEST(ValuesOnTheirWay, AreWaitedForWhereAPassUsesThem) {
  parallel::run_on_threads(2, [](const parallel::Communicator& threads) {
    Stepping step(threads, 1);
    step.forward();
    step.backward();
    step.diary->clear();
    step.parameters.update({}, 1, 0.9);
    const auto& buckets = step.network.buckets();
    ASSERT_EQ(step.gathers().exchanges(), buckets.size());
    for (std::size_t b = 0; b < buckets.size(); ++b)
      EXPECT_EQ(step.gathers().is_over(b), step.diary->lines().size()) << buckets[b].name;
    step.diary->write("update is over");
    step.forward();
    const parallel::DiaryReading diary = step.gathers();
    SCOPED_TRACE(diary.text());
    const auto gather_of = [&](const std::string& name) {
      return static_cast<std::size_t>(
          std::find_if(buckets.begin(), buckets.end(), [&](const Bucket& b) { return b.name == name; }) -
          buckets.begin());
    };
    for (int block = 0; block < blocks; ++block) {
      const std::string here = "block" + std::to_string(block),
                        next = block + 1 < blocks ? "block" + std::to_string(block + 1) : "head";
      EXPECT_LT(diary.is_over(gather_of(here)), diary.at("forward of " + here + " begins"));
      diary.expect_during("forward of " + here, gather_of(next));
    }
  });
}

TEST(ValuesOnTheirWay, OfTheNextLayerComeWhileThisOneIsWorkedOn) {
  parallel::run_on_threads(2, [](const parallel::Communicator& threads) {
    Stepping step(threads, 3);
    for (int i = 1; i <= 3; ++i) {  // what follows what is known by then
      step.diary->clear();
      step.diary->write("step begins");
      step.forward();
      step.backward();
      step.diary->write("gradient is there");
      step.parameters.update({}, i, 0.9);
    }
    step.forward();
    const parallel::DiaryReading diary = step.gathers();
    SCOPED_TRACE(diary.text());
    // In the order of their use: conditioning and embedding, of which the first was fetched before the step.
    const std::size_t first = 1;
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::size_t own = first + block;
      const std::string work = "forward of block" + std::to_string(block);
      EXPECT_LT(diary.is_over(own), diary.at(work + " begins"));
      diary.expect_during(work, own + 1);  // the last block's next is the head
    }
    // The head stays for the backward pass, and brings the last block back.
    const std::size_t last = first + blocks + 1;
    for (std::size_t i = 0; i < blocks; ++i) {
      const std::string layer = " of block" + std::to_string(blocks - 1 - i);
      EXPECT_LT(diary.is_over(last + i), diary.at("backward, tokens" + layer + " begins"));
      EXPECT_GT(diary.at("backward, tokens" + layer + " begins"), diary.leaves(last + i + 1));
      EXPECT_LT(diary.at("backward, weights" + layer + " ends"), diary.is_over(last + i + 1));
    }
    // Each bucket at each use, but for the head; the next step's first one leaves behind the update.
    const std::size_t of_step = 2 * step.network.buckets().size() - 1;
    EXPECT_LT(diary.leaves(of_step - 2), diary.at("gradient is there"));
    EXPECT_GT(diary.leaves(of_step - 1), diary.at("gradient is there"));
  });
}

}  // namespace
}  // namespace zonda::model
