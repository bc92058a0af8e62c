#include "ingest/cf/slab_writer.hpp"

#include <exception>
#include <span>

#include "core/error.hpp"
#include "parallel/together.hpp"

namespace zonda::ingest {
namespace {

constexpr int tag = 79;

/// Steps of which each must be taken, since other ranks take part in it; the first error is thrown at the end.
class Steps {
 public:
  template <class Step>
  void take(Step step) {
    try {
      step();
    } catch (const Error&) {
      if (!error_) error_ = std::current_exception();
    }
  }
  bool failed() const { return error_ != nullptr; }
  void finish() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
};

}  // namespace

SlabWriter::SlabWriter(const std::filesystem::path& path, const Grid& grid, const std::vector<Channel>& channels,
                       const CfOptions& options, const parallel::Communicator& ranks, std::vector<parallel::Range> rows,
                       SlabWriting writing)
    : ranks_(ranks), rows_(std::move(rows)), columns_(grid.nlon()), writing_(writing) {
  if (rows_.size() != static_cast<std::size_t>(ranks.size()) || rows_.back().end != grid.nlat())
    fail(ErrorKind::failure, "{}: rows of {} slabs for {} ranks, up to row {} of {}", path.string(), rows_.size(),
         ranks.size(), rows_.back().end, grid.nlat());
  if (writing_ == SlabWriting::collective) {
    writer_ = std::make_unique<CfWriter>(path, grid, channels, options, ranks_);
    return;
  }
  parallel::together(ranks_, [&] {
    if (ranks_.is_root()) writer_ = std::make_unique<CfWriter>(path, grid, channels, options);
  });
}

void SlabWriter::write(const State& mine) {
  parallel::together(ranks_, [&] {
    if (writing_ == SlabWriting::collective)
      write_own(mine);
    else if (ranks_.is_root())
      write_all(mine);
    else
      send(mine);
  });
}

void SlabWriter::write_own(const State& mine) {
  Steps steps;
  steps.take([&] { writer_->begin(mine.time); });
  for (std::size_t c = 0; c < mine.channels.size(); ++c)
    steps.take([&] { writer_->write_rows(c, rows_[static_cast<std::size_t>(ranks_.rank())], mine.field(c)); });
  steps.finish();
}

void SlabWriter::send(const State& mine) const {
  for (std::size_t c = 0; c < mine.channels.size(); ++c) ranks_.send(std::as_bytes(mine.field(c)), 0, tag).wait();
}

void SlabWriter::write_all(const State& mine) {
  Steps steps;
  steps.take([&] { writer_->begin(mine.time); });
  std::vector<float> slab;
  for (std::size_t c = 0; c < mine.channels.size(); ++c) {
    if (!steps.failed()) steps.take([&] { writer_->write_rows(c, rows_[0], mine.field(c)); });
    for (std::size_t rank = 1; rank < rows_.size(); ++rank) {
      slab.resize(rows_[rank].size() * columns_);
      ranks_.receive(std::as_writable_bytes(std::span(slab)), static_cast<int>(rank), tag).wait();
      if (!steps.failed()) steps.take([&] { writer_->write_rows(c, rows_[rank], slab); });
    }
  }
  steps.finish();
}

void SlabWriter::close() {
  if (writing_ == SlabWriting::collective) return writer_->close();
  parallel::together(ranks_, [&] {
    if (writer_) writer_->close();
  });
}

}  // namespace zonda::ingest
