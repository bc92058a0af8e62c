// `moved_model MODEL TO CHANGE [SEED]`: a model each of whose weights is multiplied by 1 + CHANGE n, n normal: a
// release that differs little from the last.
#include <cstdio>
#include <cstdlib>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/forecast_state/forecast_model.hpp"

int main(int argc, char** argv) {
  using namespace zonda;
  if (argc < 4) return 2;
  const double change = std::atof(argv[3]);
  const std::uint64_t seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1;
  try {
    const auto model = model::load_model(argv[1], {.backend = {}, .precision = "fp32"});
    const model::ParameterStore& store = model->network.parameters();
    for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
      const Philox noise(seed, store.at(id).name);
      std::uint64_t i = 0;
      for (float& value : store.value(id).span<float>()) value *= static_cast<float>(1 + change * noise.normal(i++));
    }
    model::write_model(argv[2], model->layout, model->network, model->origin, false);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
