#pragma once
// LayerCut: a layer's tokens in the order in which rows can travel while others are worked on.
#include <cstdint>
#include <vector>

#include "model/network/token_order.hpp"

namespace zonda::model {

/// Turns in which a layer's sequences are worked on. Rows of the products do not depend on the rows beside them, so
/// that the cut changes no bit.
class LayerCut {
 public:
  /// Sequences that follow one another, of each sample.
  struct Part {
    std::int64_t first = 0;  ///< row of the sample's rows with which it begins
    SequenceTable table;
  };
  /// Without waiting in between.
  struct Turn {
    const char* what;
    std::vector<Part> parts;
    std::size_t needs = 0;  ///< portions of rows that must have come
    std::size_t gives = 0;  ///< portions of rows that may go behind it
  };
  /// Of each row of a sample, in the layer's order: the portion in which it comes from another rank, or goes to one;
  /// -1: it does not.
  using Portions = std::vector<int>;

  LayerCut() = default;
  /// Sequences that need rows of others, or have rows that others need, are the edge. What does not is worked on before
  /// it, while rows come, and behind it, while they go.
  static LayerCut around_the_edge(const LayerTokens& tokens, const Portions& arriving, const Portions& leaving);
  /// The first half of the sequences, and the second.
  static LayerCut in_halves(const LayerTokens& tokens, const Portions& arriving, const Portions& leaving);
  /// There is nothing to do meanwhile, or too little to be worth the smaller products.
  bool none() const { return turns_.empty(); }
  const std::vector<Turn>& turns() const { return turns_; }
  std::size_t bytes() const;

 private:
  void settle(const Portions& arriving, const Portions& leaving);
  std::vector<Turn> turns_;
};

}  // namespace zonda::model
