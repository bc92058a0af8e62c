#pragma once
// PositionEmbedding: adds to every token what a linear layer makes of its place on the Earth. Where features are those
// of the token's row plus those of its column, so is what is added: a table has a row for each row and each column of
// tokens, instead of one for each token.
#include <cstdint>
#include <memory>

#include "model/network/linear.hpp"
#include "model/network/slab.hpp"
#include "model/network/token_grid.hpp"
#include "model/tensor/buffer.hpp"

namespace zonda::model {

class PositionEmbedding {
 public:
  PositionEmbedding(ParameterStore& store, const TokenGrid& grid, const Slab& slab, int width, DType dtype,
                    Memory& memory, int lift);
  /// What does not need the tokens; none where there is nothing to take along.
  Tensor begin(Context& ctx) const;
  /// tokens [B T, D] accumulates.
  void finish(Context& ctx, Tensor& position, const Tensor& tokens) const;
  void backward(Context& ctx, const Tensor& dtokens) const;
  std::size_t table_bytes(bool learning) const;

 private:
  struct Sums;
  Tensor features(const Context& ctx) const;
  void make_sums() const;

  TokenGrid grid_;
  parallel::Range rows_;  // of tokens, of this slab
  std::int64_t tokens_;
  int width_, lift_;
  DType dtype_;
  Memory* memory_;
  bool split_;
  Linear layer_;
  std::shared_ptr<Buffer> features_ = std::make_shared<Buffer>();  // [tokens, features], as they are needed
  std::shared_ptr<Sums> sums_;
};

}  // namespace zonda::model
