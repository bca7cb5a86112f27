#include "cli/context.hpp"
#include "cli/output_file.hpp"
#include "cli/result_line.hpp"
#include "db/reading.hpp"

#include <unistd.h>

namespace batchd {

int run_results(const CommonOptions& common, const ResultsOptions& options) {
  Database database(database_settings(common));
  Reading reading(database);
  const auto before = reading.job(options.job);
  if (!before) throw CommandError(exit_failure, "no request was ever enqueued under the job '" + options.job + "'");

  OutputFile out(options.output, options.output + "." + std::to_string(getpid()) + ".unfinished");
  std::int64_t count = 0;
  reading.results(options.job, [&](const ResultRow& row) {
    append_result_line(out.text(), row);
    out.flush_if_large();
    ++count;
    return true;
  });
  out.finish();

  const std::int64_t open = before->queued + before->in_flight;
  say(grouped(count) + " results" + (open > 0 ? ", " + grouped(open) + " requests are not settled yet" : ""));
  // Retention may have taken some; a silently shorter file would look complete.
  if (count < before->settled()) say(grouped(before->settled() - count) + " results are no longer kept");
  return exit_ok;
}

}  // namespace batchd
