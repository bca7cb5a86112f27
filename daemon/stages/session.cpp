#include "stages/session.hpp"

#include "runtime/task_group.hpp"

#include <stdexcept>

namespace batchd {

Task<void> Session::run() {
  for (;;) {
    std::optional<std::string> failure;
    try {
      co_await shield(beat());
    } catch (const StoreError& error) {
      failure = error.what();
    }
    if (failure) log_.warn("heartbeat.failed", {{"error", *failure}, {"trusted", trusted()}});
    metrics_.loop_beat("heartbeat");
    co_await clock_.sleep_for(failure ? ttl_ / 10 : ttl_ / 3);
  }
}

Task<void> Session::beat() {
  // Trust counts from before the question was asked: the answer may have been long under way.
  const auto asked = clock_.now();
  if (term_) {
    const Standing standing = co_await store_.heartbeat(*term_);
    if (standing == Standing::rewound) {
      log_.error("database.rewound",
                 {{"meaning", "the database has lost what it had confirmed: a backup was restored, or a standby promoted early"},
                  {"next", "nothing is planned or submitted until the providers' lists have been compared with it"}});
      rewound_ = true;
    }
    if (standing != Standing::alive) {
      log_.warn("replica.lost", {{"term", term_->value}});
      metrics_.lease_lost();
      term_.reset();
    }
  }
  if (left_) co_return;
  if (!term_) {
    const Term term = co_await store_.join(self_);
    const std::string instance = co_await store_.instance_id();
    if (!instance_.empty() && instance != instance_) {
      co_await store_.leave(term);
      throw std::runtime_error("this database has become another instance meanwhile; a new start works under its name");
    }
    instance_ = instance;
    term_ = term;
    log_.info("replica.joined", {{"term", term.value}});
  }
  if (rewound_) {
    const bool done = co_await on_rewound(*term_);
    rewound_ = !done;
  }
  trusted_until_ = asked + ttl_ * 2 / 3;
  const Burial burial = co_await store_.bury_dead(ttl_, last_burial_);
  last_burial_ = asked;
  if (burial.replicas > 0) {
    log_.warn("replica.buried", {{"replicas", burial.replicas}});
    if (on_burial) on_burial();
  }
  if (burial.clock_step.count() != 0) log_.warn("database.clock_set", {{"by_ms", burial.clock_step.count()}});
}

Task<void> Session::leave() {
  left_ = true;
  if (!term_) co_return;
  const Term term = *term_;
  term_.reset();
  co_await store_.leave(term);
  log_.info("replica.left", {{"term", term.value}});
}

}  // namespace batchd
