#pragma once
// The parameters in the pieces in which a pass through the network uses them.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace zonda::model {

/// Numbers [first, first + count) of the parameters' arenas: one part of the network, all of it neighbours there.
struct Bucket {
  std::string name;  ///< `embedding`, `conditioning`, `head`, `block3`, `lift0`
  std::int64_t first = 0, count = 0;
  /// Where latitude is cut into slabs: every slab finds the whole gradient; else its own term of a sum over the slabs.
  bool replicated = false;
  int stage = 0;  ///< whose ranks use it
};

/// Is told by a network what a pass uses, so that parameters and gradients need not all be there all the time.
class BucketObserver {
 public:
  virtual ~BucketObserver() = default;
  /// The bucket's values are about to be read, and must be there until after_use(). Returns whether they are new: come
  /// back, or others than at the last use.
  virtual bool before_use(std::size_t bucket) = 0;
  virtual void after_use(std::size_t bucket) = 0;
  /// backward() is about to add to the bucket's gradients.
  virtual void before_gradients(std::size_t bucket) = 0;
  /// backward() adds nothing more to the bucket's gradients, which may be taken away and set to zero.
  virtual void gradients_ready(std::size_t bucket) = 0;
};

using WorkObserver = std::function<void(const std::string& layer, const char* what, bool begins)>;

}  // namespace zonda::model
