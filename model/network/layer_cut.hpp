#pragma once
// LayerCut: a layer's tokens in the order in which rows can travel while others are worked on.
#include <cstdint>
#include <vector>

#include "model/network/token_order.hpp"

namespace zonda::model {

/// Sequences of a rank that need rows of others, or have rows that others need, are the edge. What does not is worked
/// on before it, while rows come, and behind it, while they go. Rows of the products do not depend on the rows beside
/// them, so that the cut changes no bit.
class LayerCut {
 public:
  /// Sequences that follow one another, of each sample.
  struct Part {
    std::int64_t first = 0;  ///< row of the sample's rows with which it begins
    SequenceTable table;
  };
  /// Of a sample's rows in the layer's order: which come from other ranks, which go to them (empty: none).
  LayerCut(const LayerTokens& tokens, const std::vector<bool>& arriving, const std::vector<bool>& leaving);
  /// There is nothing to do meanwhile, or too little to be worth the smaller products.
  bool none() const { return before_.empty() && behind_.empty(); }
  const std::vector<Part>& before() const { return before_; }
  const std::vector<Part>& edge() const { return edge_; }
  const std::vector<Part>& behind() const { return behind_; }
  std::size_t bytes() const;

 private:
  std::vector<Part> before_, edge_, behind_;
};

}  // namespace zonda::model
