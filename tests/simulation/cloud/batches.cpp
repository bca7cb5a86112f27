#include "simulation/cloud/batches.hpp"

namespace batchd::simulation {
namespace {

BatchStatus before(BatchStatus status, bool ran) {
  switch (status) {
    case BatchStatus::validating:
    case BatchStatus::in_progress:
      return BatchStatus::validating;
    case BatchStatus::finalizing:
      return BatchStatus::in_progress;
    case BatchStatus::cancelled:
      return BatchStatus::cancelling;
    case BatchStatus::failed:
      return ran ? BatchStatus::finalizing : BatchStatus::validating;
    case BatchStatus::cancelling:
      return BatchStatus::in_progress;
    default:
      return BatchStatus::finalizing;
  }
}

}  // namespace

BatchStatus CloudBatch::status(Milliseconds now) const {
  if (now >= over) return end;
  if (cancelling && now >= *cancelling) return BatchStatus::cancelling;
  if (now < validated) return BatchStatus::validating;
  return now < ran ? BatchStatus::in_progress : BatchStatus::finalizing;
}

void CloudBatch::fail_validation(std::vector<BatchError> why) {
  end = BatchStatus::failed;
  over = validated;
  ran = never;
  share = 0;
  errors = std::move(why);
}

Batch CloudBatch::show(Milliseconds now, bool older) const {
  Batch batch = shown;
  batch.status = status(now);
  if (older) {
    batch.status = before(batch.status, ran != never);
    batch.output_file_id.reset();
    batch.error_file_id.reset();
    batch.errors.clear();
  }
  if (!no_counts) {
    batch.counts = is_over && !older ? counts : RequestCounts{now < validated ? 0 : counts.total, 0, 0};
  }
  if (no_metadata) batch.metadata.clear();
  if (no_input_id) batch.input_file_id.reset();
  return batch;
}

}  // namespace batchd::simulation
