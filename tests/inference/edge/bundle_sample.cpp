// Writes a small bundle for the outside judges: bundle_sample BUNDLE.
#include "tests/inference/edge/edge_bundle.hpp"

int main(int count, char** words) {
  if (count < 2) return 2;
  zonda::edge::testing::write_edge_bundle(words[1], {});
  return 0;
}
