// Runs one operation in mixed precision on numbers from files, for tests/peers/torch_ops.py:
//   operation_sample OPERATION DIRECTORY SIZE...
// reads DIRECTORY/in0, in1, ... (f32, little-endian) and writes DIRECTORY/out0, out1, ... alike.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>

#include "core/error.hpp"
#include "tests/model/engine/operation_bench.hpp"

namespace {

using namespace zonda;
using namespace zonda::model;
using testing::Operands;

class Files {
 public:
  explicit Files(std::string directory) : directory_(std::move(directory)) {}
  Tensor read(Shape shape, bool half = false) {
    std::vector<float> numbers(static_cast<std::size_t>(shape.count()));
    std::ifstream file(directory_ + "/in" + std::to_string(read_++), std::ios::binary);
    if (!file.read(reinterpret_cast<char*>(numbers.data()), static_cast<std::streamsize>(numbers.size() * 4)))
      fail(ErrorKind::data, "{}: input {} is missing or short", directory_, read_ - 1);
    const Tensor t = operands.zeros(shape, half);
    for (std::int64_t i = 0; i < t.count(); ++i) testing::set(t, i, numbers[static_cast<std::size_t>(i)]);
    return t;
  }
  void write(const Tensor& t) {
    std::ofstream file(directory_ + "/out" + std::to_string(written_++), std::ios::binary);
    for (std::int64_t i = 0; i < t.count(); ++i) {
      const auto number = static_cast<float>(testing::get(t, i));
      file.write(reinterpret_cast<const char*>(&number), 4);
    }
  }
  Operands operands{testing::kMixed};

 private:
  std::string directory_;
  int read_ = 0, written_ = 0;
};

using Sizes = std::vector<std::int64_t>;
using Operation = std::function<void(Files&, const Sizes&, Backend&)>;

/// in: a [m, k], b [k, n], bias [n]; out: product, GELU of it.
void gemm(Files& files, const Sizes& s, Backend& backend) {
  const Tensor a = files.read({s[0], s[2]}, true), b = files.read({s[2], s[1]}, true), bias = files.read({s[1]}),
               c = files.operands.zeros({s[0], s[1]}, true), activated = files.operands.zeros({s[0], s[1]}, true);
  testing::run_planned(backend, testing::kMixed, [&](Context& ctx) {
    GemmOptions options;
    options.bias = bias;
    options.activated = activated;
    ctx->gemm(ctx, a, b, c, options);
  });
  files.write(c);
  files.write(activated);
}

/// in: x [n], dy [n]; out: GELU(x), dx.
void gelu(Files& files, const Sizes& s, Backend& backend) {
  const Tensor x = files.read({s[0]}, true), dy = files.read({s[0]}, true), y = files.operands.zeros({s[0]}, true),
               dx = files.operands.zeros({s[0]}, true);
  testing::run_planned(backend, testing::kMixed, [&](Context& ctx) { ctx->gelu_backward(ctx, x, dy, dx, y); });
  files.write(y);
  files.write(dx);
}

/// in: x [rows, width], scale and shift [1, 2 width], dy; out: y, dx.
void norm(Files& files, const Sizes& s, Backend& backend) {
  const Tensor x = files.read({s[0], s[1]}), rows = files.read({1, 2 * s[1]}), dy = files.read({s[0], s[1]}, true),
               y = files.operands.zeros({s[0], s[1]}, true), dx = files.operands.zeros({s[0], s[1]}),
               statistics = files.operands.zeros({s[0], 2});
  testing::run_planned(backend, testing::kMixed, [&](Context& ctx) {
    const Backend::Modulation modulation{rows, 0, s[1]};
    ctx->norm_modulate(ctx, NormKind::rms, x, modulation, y, statistics);
    ctx->norm_modulate_backward(ctx, NormKind::rms, x, modulation, statistics, dy, dx, false, {});
  });
  files.write(y);
  files.write(dx);
}

/// in: qkv [tokens, 3 heads size], gains [size] of queries and keys, dy, cosine and sine [tokens, size / 2]; out: y,
/// dqkv, gradients of the gains.
void attention(Files& files, const Sizes& s, Backend& backend) {
  const std::int64_t tokens = s[0], heads = s[1], size = s[2], width = heads * size;
  const Tensor qkv = files.read({tokens, 3 * width}, true), q_gain = files.read({size}), k_gain = files.read({size}),
               dy = files.read({tokens, width}, true);
  SequenceTable table;
  table.cosine = files.read({tokens, size / 2});
  table.sine = files.read({tokens, size / 2});
  table.longest = static_cast<std::int32_t>(tokens);
  table.offsets = {0, table.longest};
  for (std::int32_t i = 0; i < table.longest; ++i) table.tokens.push_back(i);
  const Tensor y = files.operands.zeros({tokens, width}, true), log_sum = files.operands.zeros({tokens, heads}),
               dqkv = files.operands.zeros({tokens, 3 * width}, true), dq_gain = files.operands.zeros({size}),
               dk_gain = files.operands.zeros({size});
  const AttentionShape shape{1, static_cast<int>(heads), static_cast<int>(size)};
  testing::run_planned(backend, testing::kMixed, [&](Context& ctx) {
    ctx->attention(ctx, shape, table, qkv, q_gain, k_gain, y, log_sum);
    ctx->attention_backward(ctx, shape, table, qkv, q_gain, k_gain, y, log_sum, dy, dqkv, dq_gain, dk_gain);
  });
  for (const Tensor* t : {&y, &dqkv, &dq_gain, &dk_gain}) files.write(*t);
}

}  // namespace

int main(int count, char** words) try {
  const std::map<std::string, std::pair<std::size_t, Operation>> operations{
      {"gemm", {3, gemm}}, {"gelu", {1, gelu}}, {"norm", {2, norm}}, {"attention", {3, attention}}};
  const auto found = count > 2 ? operations.find(words[1]) : operations.end();
  if (found == operations.end() || static_cast<std::size_t>(count) != 3 + found->second.first)
    fail(ErrorKind::usage, "operation_sample gemm|gelu|norm|attention DIRECTORY SIZE...");
  Sizes sizes;
  for (int i = 3; i < count; ++i) sizes.push_back(std::stoll(words[i]));
  Files files(words[2]);
  found->second.second(files, sizes, *make_backend("cpu", 1));
  return 0;
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
