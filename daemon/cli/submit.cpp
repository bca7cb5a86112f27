#include "cli/context.hpp"
#include "cli/dry_run.hpp"
#include "cli/submit_lines.hpp"
#include "db/store.hpp"

#include <boost/json.hpp>

namespace batchd {
namespace {

/// Shows how far it is, on a terminal.
EnqueueProgress progress(EnqueueCounts& latest) {
  return [&latest, live = stderr_is_terminal()](const EnqueueCounts& counts) {
    latest = counts;
    if (live) std::fprintf(stderr, "\r%s new, %s known ", grouped(counts.fresh).c_str(), grouped(counts.known).c_str());
  };
}

void check_options(const SubmitOptions& options) {
  if (options.job.empty() || options.job.size() > 512) throw CommandError(exit_usage, "--job must have 1 to 512 bytes");
  if (!options.endpoint.empty() && !options.endpoint.starts_with('/')) {
    throw CommandError(exit_usage, "--endpoint must be a path such as /v1/chat/completions");
  }
}

}  // namespace

int run_submit(const CommonOptions& common, const SubmitOptions& options) {
  check_options(options);
  const SubmitDefaults defaults{options.model, options.endpoint};
  const InputFile input(options.file);
  if (options.dry_run) return dry_submit(common, options, input);
  Database database(database_settings(common));

  if (input.regular()) {
    SubmitLines lines(input, defaults);
    if (const auto bad = lines.complain(); bad > 0) {
      throw CommandError(exit_failure, options.file + " has " + grouped(bad) + " bad lines of " +
                                           grouped(bad + lines.requests()) + ": nothing was enqueued");
    }
    input.rewind();
  }

  SubmitLines lines(input, defaults);
  EnqueueOptions how;
  how.job = options.job;
  how.priority = options.priority;
  EnqueueCounts counts;
  try {
    counts = enqueue(
        database, how, [&lines](NewRequest& request) { return lines.next(request); }, progress(counts));
  } catch (const BadLine& error) {
    say(error.what());
    const auto bad = 1 + lines.complain(1);
    throw CommandError(exit_failure, grouped(bad) + " bad lines; " + grouped(counts.fresh) +
                                         " requests that stood before the first one were enqueued, and nothing after them");
  } catch (const StoreError&) {
    if (counts.fresh + counts.known > 0) {
      say(grouped(counts.fresh) +
          " requests were enqueued before it failed; with custom_ids the same command enqueues only the rest");
    }
    throw;
  }
  if (stderr_is_terminal()) std::fprintf(stderr, "\r\033[K");
  if (options.json) {
    print(boost::json::serialize(boost::json::object{{"job", options.job}, {"new", counts.fresh}, {"known", counts.known}}) +
          "\n");
  } else {
    print(options.job + ": " + grouped(counts.fresh) + " new, " + grouped(counts.known) + " known\n");
  }
  return exit_ok;
}

}  // namespace batchd
