#include "runtime/task_group.hpp"

#include <stdexcept>

namespace batchd {

void TaskGroup::spawn(std::string name, std::function<Task<void>()> loop) {
  if (stopping_) return;
  Entry& entry = entries_.emplace_back();
  entry.name = std::move(name);
  entry.body = std::move(loop);
  ++running_;
  asio::co_spawn(
      loop_, [&entry] { return entry.body(); },
      asio::bind_cancellation_slot(entry.stop.slot(), [this, &entry](std::exception_ptr failure) { ended(entry, failure); }));
}

void TaskGroup::ended(Entry& entry, std::exception_ptr failure) {
  entry.done = true;  // from here on its signal must not be emitted: nobody listens to it any more
  --running_;
  if (stopping_) {
    failure = nullptr;
  } else {
    if (!failure) failure = std::make_exception_ptr(std::runtime_error("the loop '" + entry.name + "' ended by itself"));
    request_stop();
  }
  if (on_exit) on_exit(entry.name, failure);
}

void TaskGroup::request_stop() {
  if (stopping_) return;
  stopping_ = true;
  for (Entry& entry : entries_) {
    if (!entry.done) entry.stop.emit(asio::cancellation_type::terminal);
  }
}

}  // namespace batchd
