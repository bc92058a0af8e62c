#pragma once
// Conditioning: the sample's condition vector (step, lead time, season, hour) to the shift, scale and gate of every
// block (adaLN-single: one shared projection; each block adds its own table).
#include "model/network/linear.hpp"

namespace zonda::model {

class Conditioning {
 public:
  Conditioning(ParameterStore& store, int condition_size, int width);
  struct Saved {
    Tensor first, first_active, second, second_active;
  };
  /// condition [B, n] -> modulation [B, 6 D].
  void forward(Context& ctx, const Tensor& condition, const Tensor& modulation, Saved& saved) const;
  void backward(Context& ctx, const Tensor& condition, Saved& saved, const Tensor& dmodulation) const;

 private:
  int width_;
  Linear first_, second_, shared_;
};

}  // namespace zonda::model
