// `adopt`: a database that was restored or cloned elsewhere submits nothing until someone says which installation it is.
#include "cli/context.hpp"
#include "db/acting.hpp"
#include "db/diagnosis.hpp"

#include <boost/json.hpp>

#include <unistd.h>

#include <iostream>
#include <string>

namespace batchd {
namespace {

/// Asks on a terminal; elsewhere only --yes will do.
void confirm(const AdoptOptions& options, const std::string& consequence) {
  if (options.yes) return;
  say(consequence);
  if (isatty(STDIN_FILENO) != 1) throw CommandError(exit_usage, "nobody can be asked here: say --yes if that is what you want");
  std::fputs("Go on? [y/N] ", stderr);
  std::string answer;
  std::getline(std::cin, answer);
  if (answer != "y" && answer != "Y" && answer != "yes") throw CommandError(exit_failure, "nothing was changed");
}

void refuse_while_alive(Diagnosis& diagnosis, Milliseconds ttl) {
  std::string alive;
  for (const ReplicaLine& replica : diagnosis.replicas()) {
    if (replica.silent >= ttl) continue;
    alive += "\n  process " + std::to_string(replica.pid) + " on " + replica.host + ", heard of " +
             std::to_string(replica.silent.count() / 1000) + " s ago";
  }
  if (alive.empty()) return;
  throw CommandError(exit_failure,
                     "replicas of this database are alive, and would go on under its old name: stop them first (one that "
                     "belongs to the original falls silent here by itself)" +
                         alive);
}

void tell(const AdoptOptions& options, const boost::json::object& object, const std::string& sentence) {
  print((options.json ? boost::json::serialize(object) : sentence) + "\n");
}

int adopt_as_new(Database& database, const InstanceState& before, const AdoptOptions& options, Milliseconds ttl) {
  Diagnosis diagnosis(database);
  refuse_while_alive(diagnosis, ttl);
  confirm(options, "This makes the database an installation of its own, apart from instance " + before.id +
                       ". Whatever was under way is\ngiven up here and queued again: what the original has paid for will be "
                       "paid for once more by this one. The original's files\nand batches are left alone.");
  const NewInstance made = Acting(database).adopt_as_new_instance(ttl);
  tell(options,
       {{"instance", made.id},
        {"was", before.id},
        {"moved", before.moved},
        {"adopted", true},
        {"shards", made.shards},
        {"unanswered", made.unanswered}},
       "this is instance " + made.id + " now, no longer " + before.id + ": " + grouped(made.shards) + " shards given up, " +
           grouped(made.unanswered) + " requests go back to the queue when a daemon runs");
  return exit_ok;
}

int adopt_same(Database& database, const InstanceState& before, const AdoptOptions& options) {
  if (before.moved) {
    confirm(options, "This database is not where instance " + before.id +
                         " last ran. If the place it was copied from still runs batchd, two daemons\nwould act under one name "
                         "and pay for the same work: then stop that one first, or make this one an installation of its own\n"
                         "with `batchd adopt --as-new-instance`.");
  }
  const bool adopted = Acting(database).adopt();
  tell(options, {{"instance", before.id}, {"was", before.id}, {"moved", before.moved}, {"adopted", adopted}},
       adopted ? "instance " + before.id + " goes on here" : "nothing to adopt: instance " + before.id + " is where it was");
  return exit_ok;
}

int resubmit_lost(Database& database, const InstanceState& before, const AdoptOptions& options) {
  std::int64_t requests = 0;
  for (const LossLine& loss : Diagnosis(database).losses()) requests += loss.requests;
  if (requests > 0) {
    confirm(options,
            "The answers of " + grouped(requests) +
                " requests were paid for and are lost. A later backup of the database may have them; otherwise they are\n"
                "sent, and paid for, again.");
  }
  const AcceptedLoss accepted = Acting(database).accept_loss();
  tell(options, {{"instance", before.id}, {"requests", requests}, {"shards", accepted.shards}, {"batches", accepted.batches}},
       requests > 0 ? grouped(requests) + " requests may be sent again" : std::string("nothing is known to be lost"));
  return exit_ok;
}

}  // namespace

int run_adopt(const CommonOptions& common, const AdoptOptions& options) {
  const Milliseconds ttl = require_config(common, ConfigScope::database).config.lease.ttl;
  Database database(database_settings(common));
  const InstanceState before = Diagnosis(database).instance();
  if (options.resubmit_lost) return resubmit_lost(database, before, options);
  return options.as_new_instance ? adopt_as_new(database, before, options, ttl) : adopt_same(database, before, options);
}

}  // namespace batchd
